"""Puts a record together: trial + outcome + costs."""

from dataclasses import fields
from datetime import UTC, datetime

from harness.datasets import validation_count
from harness.records.provenance import provenance
from harness.records.record import Costs, Outcome, Record
from harness.study.plan import Plan, Trial


def make_record(
    plan: Plan,
    trial: Trial,
    attempt: int,
    outcome: Outcome,
    costs: Costs,
    started_at: str,
    residence: str = "",
) -> Record:
    """The record of a trial that has just ended, here and now.

    Args:
        attempt: the how-manieth attempt has this outcome, from 1.
        started_at: of that attempt, as `now` gives it.
        residence: where its data were kept; empty if it did not come to that.
    """
    study, facts = plan.study, plan.facts[plan.arms[trial.arm].dataset]
    told = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
    return Record(
        trial_id=trial.id,
        arm=trial.arm,
        replicate=trial.replicate,
        index=trial.index,
        pair_id=trial.pair_id,
        origin_trial_id=trial.origin,
        repeat=trial.repeat,
        params=dict(trial.params),
        seeds=dict(trial.seeds),
        **told | {"epochs": list(outcome.epochs), "events": list(outcome.events)},
        val_examples=validation_count(
            facts.name, facts.train_examples, study.training.validation_fraction, study.seeds.split
        ),
        test_examples=facts.test_examples,
        attempt=attempt,
        costs=costs,
        provenance=provenance() | ({"residence": residence} if residence else {}),
        started_at=started_at,
        finished_at=now(),
    )


def now() -> str:
    """This moment as records write it: ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
