"""Records that a plan cannot explain: of another study, copied in by hand, or changed and signed anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from harness.records.record import Record
from harness.study.plan import Plan, Trial
from harness.trial_table import SEARCHED


class _Arm(Protocol):
    """What `Arm` and `ArmDesign` both say of an arm."""

    @property
    def sampling(self) -> str: ...
    @property
    def trials(self) -> int: ...
    @property
    def replicates(self) -> int: ...
    @property
    def repeats(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Planned:
    """What records are held against. trials: those that are known before anything runs, by id."""

    arms: Mapping[str, _Arm]
    trials: Mapping[str, Trial]

    @classmethod
    def of(cls, plan: Plan) -> "Planned":
        """Of a plan that is about to run."""
        return cls(plan.arms, {trial.id: trial for trials in plan.frozen.values() for trial in trials})

    def misfit(self, record: Record) -> str | None:
        """Why a record is none of this plan's, in words that go on from its name; None if it may be one.

        Of a search that learns, what it will ask for is not known here (`is_made_by`).
        """
        arm = self.arms.get(record.arm)
        if arm is None:
            return f"is of no arm of this plan ({record.arm})"
        trial = self.trials.get(record.trial_id)
        if trial is not None:
            for name in ("arm", "replicate", "index", "repeat", "params", "seeds"):
                if getattr(record, name) != getattr(trial, name):
                    return f"is of another trial than the plan's of that name: its {name} differ"
            return None
        is_within = (
            0 <= record.replicate < arm.replicates
            and 0 <= record.index < arm.trials
            and 0 <= record.repeat < arm.repeats
        )
        if arm.sampling not in SEARCHED or not is_within:
            return "is of no trial of this plan"
        return None


def is_made_by(plan: Plan, record: Record) -> bool:
    """Whether a record's id is the one that the plan gives to a trial of its arm with its values and seeds.

    So it is, too, for values that another version of a sampler drew.
    """
    trial = plan.make_trial(
        plan.arms[record.arm],
        record.replicate,
        record.index,
        record.params,
        record.origin_trial_id,
        record.repeat,
    )
    return trial.id == record.trial_id and dict(trial.seeds) == record.seeds
