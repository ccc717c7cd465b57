"""The outcome of a trial that kills its worker every time."""

from datetime import UTC, datetime

from harness.dealing import MAX_LOSSES, Task
from harness.plan import Plan
from harness.provenance import provenance
from harness.records import Costs, Record
from harness.run_directory import RunDirectory


def give_up(plan: Plan, directory: RunDirectory, task: Task) -> Record:
    """Store and return the record of a trial that killed its worker every time."""
    trial, now = task.trial, datetime.now(UTC).isoformat(timespec="milliseconds")
    record = Record(
        trial_id=trial.id,
        arm=trial.arm,
        replicate=trial.replicate,
        index=trial.index,
        pair_id=trial.pair_id,
        params=dict(trial.params),
        seeds=dict(trial.seeds),
        status="crashed",
        message=f"its worker died {MAX_LOSSES} times in it (out of memory, or a fault in native code)",
        traceback="",
        epochs=[],
        events=[],
        epochs_planned=plan.arms[trial.arm].epochs,
        start_size=None,
        selected_epoch=None,
        val_score=None,
        test_score=None,
        val_examples=0,
        test_examples=plan.facts[plan.arms[trial.arm].dataset].test_examples,
        attempt=task.attempt,
        costs=Costs(0.0, 0.0, 0.0, 0.0, 0, "", 0.0),
        provenance=provenance(),
        started_at=now,
        finished_at=now,
    )
    if directory.store.write(record):
        return record
    return directory.store.read(trial.id) or record
