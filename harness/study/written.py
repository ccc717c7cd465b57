"""plan.json read back as typed data: the one place that knows how plans were written, in every version."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.datasets.base import DatasetFacts
from harness.design import ArmDesign, ReplayDesign, Score
from harness.search.space import domain_from_json
from harness.study.limits import MOST_TRIALS
from harness.study.plan import PLAN_VERSION, Trial
from harness.study.schema import Study
from harness.study.versions import check_version
from harness.trial_table import SAMPLINGS, SEARCHED


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
        plan = _PLANS.validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"] if not str(step).startswith("<"))
        message = first["msg"].removeprefix("Value error, ")
        raise DamagedPlanError(
            f"{file} is not a plan: {where}: {message}; it was changed, or is damaged"
        ) from error
    for where, wrong in _contradictions(plan):
        raise DamagedPlanError(f"{file} is not a plan: {where}: {wrong}; it was changed, or is damaged")
    return plan


def _contradictions(plan: WrittenPlan) -> Iterator[tuple[str, str]]:
    """Where a plan of the right form says what no plan can say, and what that is."""
    for key, arm in plan.arms.items():
        if key != f"{arm.dataset}/{arm.architecture}/{arm.method}":
            yield f"arms.{key}", f"is called {arm.dataset}/{arm.architecture}/{arm.method} inside"
        if arm.dataset not in plan.data:
            yield f"arms.{key}", f"there is no data set {arm.dataset!r}"
        if arm.sampling not in SAMPLINGS:
            yield f"arms.{key}.sampling", f"{arm.sampling!r} found; allowed: {', '.join(SAMPLINGS)}"
        if arm.origin is not None and arm.origin not in plan.arms:
            yield f"arms.{key}.origin", f"there is no arm {arm.origin!r}"
        for name in ("trials", "epochs", "replicates", "repeats"):
            if not 1 <= getattr(arm, name) <= MOST_TRIALS:
                yield (
                    f"arms.{key}.{name}",
                    f"{getattr(arm, name)!r:.40} found; 1 to {MOST_TRIALS:,} are allowed",
                )
        for name, domain in arm.space.items():
            try:
                domain_from_json(domain)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                yield f"arms.{key}.space.{name}", f"is no range and no choice ({error})"
    ids = Counter(trial.id for trial in plan.trials)
    for index, trial in enumerate(plan.trials):
        if trial.arm not in plan.arms:
            yield f"trials.{index}.arm", f"there is no arm {trial.arm!r}"
        if ids[trial.id] > 1:
            yield f"trials.{index}.id", f"{trial.id!r} is there twice"
