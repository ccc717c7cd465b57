"""The outcome of a trial that kills its worker every time."""

from datetime import UTC, datetime

from harness.datasets import validation_count
from harness.records.directory import RunDirectory
from harness.records.provenance import cpu_name, provenance
from harness.records.record import Costs, Record
from harness.runs.tasks import MAX_LOSSES, Task
from harness.study.plan import Plan


def give_up(plan: Plan, directory: RunDirectory, task: Task) -> Record:
    """Store and return the record of a trial that killed its worker every time."""
    trial, now = task.trial, datetime.now(UTC).isoformat(timespec="milliseconds")
    arm, study = plan.arms[trial.arm], plan.study
    facts, on_gpu = plan.facts[arm.dataset], study.resources.gpus > 0
    record = Record(
        trial_id=trial.id,
        arm=trial.arm,
        replicate=trial.replicate,
        index=trial.index,
        pair_id=trial.pair_id,
        params=dict(trial.params),
        seeds=dict(trial.seeds),
        status="crashed",
        message=f"its worker died {MAX_LOSSES} times in it (out of memory, or a fault in native code); "
        "how many FLOPs that took is not known, and counts as 0",
        traceback="",
        epochs=[],
        events=[],
        epochs_planned=arm.epochs,
        start_size=None,
        selected_epoch=None,
        val_score=None,
        test_score=None,
        val_examples=validation_count(
            facts.name, facts.train_examples, study.training.validation_fraction, study.seeds.split
        ),
        test_examples=facts.test_examples,
        attempt=task.attempt,
        costs=Costs(
            wait_seconds=0.0,
            warm_up_seconds=0.0,
            train_seconds=_seconds_lost(directory, trial.id),
            evaluation_seconds=0.0,
            train_flops=0,
            device="GPU" if on_gpu else cpu_name(),
            device_share=study.resources.gpus if on_gpu else study.resources.cpus,
        ),
        provenance=provenance(),
        started_at=now,
        finished_at=now,
    )
    directory.store.write(record)
    return directory.store.read(trial.id) or record


def _seconds_lost(directory: RunDirectory, trial_id: str) -> float:
    """What its attempts took, from each start to when the driver noticed the loss."""
    lines = [line for line in directory.log.read() if line["trial_id"] == trial_id]
    began = {line["attempt"]: line["time"] for line in lines if line["event"] == "started"}
    return sum(
        float(line["time"] - began[line["attempt"]])
        for line in lines
        if line["event"] == "lost" and line["attempt"] in began
    )
