"""What a careful reviewer would say of a plan before it runs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.design import design_warnings

if TYPE_CHECKING:
    from harness.study.plan import Arm
    from harness.study.schema import Study


def plan_warnings(study: "Study", arms: "Sequence[Arm]") -> tuple[str, ...]:
    """Sentences on what makes the study's arms unlike each other or too small, one finding each."""
    found = design_warnings([arm.design() for arm in arms], study.claim.n)
    return tuple(warning.sentence for warning in found)
