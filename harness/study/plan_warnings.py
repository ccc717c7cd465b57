"""What a careful reviewer would say of a plan before it runs; the report has the same rules."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.search.space import Domain, domain_to_json
from harness.trial_table import design_warnings, space_text

if TYPE_CHECKING:
    from harness.study.plan import Arm
    from harness.study.schema import Study


def plan_warnings(study: "Study", arms: "Sequence[Arm]") -> tuple[str, ...]:
    """Sentences on what makes the study's arms unlike each other or too small, one finding each."""
    found = design_warnings([arm.design() for arm in arms], study.claim.n)
    return tuple(warning.sentence for warning in found)


def domain_text(domain: Domain) -> str:
    """A search range as a reader wants it: '16-4096 (log)'."""
    return space_text(domain_to_json(domain))
