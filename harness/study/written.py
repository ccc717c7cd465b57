"""plan.json read back as typed data: the one place that knows how plans were written, in every version."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.datasets.base import DatasetFacts
from harness.design import ArmDesign, ReplayDesign, Score
from harness.study.plan import PLAN_VERSION, Trial
from harness.study.schema import Study
from harness.study.versions import check_version
from harness.trial_table import SEARCHED


class DamagedPlanError(ValueError):
    """A plan cannot be read; the message says where it is wrong."""


@dataclass(frozen=True, slots=True)
class Software:
    """What wrote a plan: the harness's version, and its commit where it ran from a checkout."""

    version: str
    commit: str | None


@dataclass(frozen=True, slots=True)
class WrittenPlan:
    """A plan as a run directory holds it.

    plan_version: of the file, and of the rule by which its trials' ids were made (see `Plan.version`).
    study: with the names of its plug-in files alone, not where they lay. plugins: file name -> SHA-256.
    sources: arm -> what of strangers' code its trials use, name -> SHA-256 or version; from version 2 on.
    begun_by: what began the run; from version 2 on. score: from version 3 on; before, accuracy.
    """

    plan_version: int
    study: Study
    data: dict[str, DatasetFacts]
    plugins: dict[str, str]
    arms: dict[str, ArmDesign]
    warnings: tuple[str, ...]
    trials: tuple[Trial, ...]
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    begun_by: Software | None = None
    score: Score = field(default_factory=Score)
    replays: dict[str, ReplayDesign] = field(default_factory=dict)

    def comparable(self) -> dict[str, Any]:
        """What must be equal for a run to go on: all but words, and samplers that have drawn already."""
        arms = {key: arm.asked() for key, arm in self.arms.items()}
        for arm in arms.values():
            if arm["sampling"] not in SEARCHED:
                arm["sampler"] = ""
        study = self.study.identity() | {"description": ""}
        plugins = self.plugins
        if self.plan_version > 1:
            # What arms use of them stands in `sources`; one that no arm uses is no change.
            study, plugins = study | {"plugins": []}, {}
        return {
            "study": study,
            "data": {name: facts.identity() for name, facts in self.data.items()},
            "plugins": plugins,
            "sources": self.sources,
            "arms": arms,
            "trials": [asdict(trial) for trial in self.trials],
        }


_PLANS = TypeAdapter(WrittenPlan)


def read_written(fields: Any, file: object) -> WrittenPlan:
    """A plan from what its JSON file holds.

    Args:
        file: what messages call it.

    Raises:
        DamagedPlanError: if it is no plan, or was changed; one sentence.
        VersionError: if a newer version of the harness wrote it.
    """
    if not isinstance(fields, Mapping) or "plan_version" not in fields:
        raise DamagedPlanError(f"{file} is not a plan")
    check_version(fields["plan_version"], PLAN_VERSION, file)
    try:
        return _PLANS.validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"] if not str(step).startswith("<"))
        message = first["msg"].removeprefix("Value error, ")
        raise DamagedPlanError(
            f"{file} is not a plan: {where}: {message}; it was changed, or is damaged"
        ) from error
