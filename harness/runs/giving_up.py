"""The outcome of a trial that kills its worker every time."""

from harness.records.directory import RunDirectory
from harness.records.making import make_record, now
from harness.records.provenance import cpu_name
from harness.records.record import Costs, Outcome, Record
from harness.runs.attempts import MAX_LOSSES, Attempt
from harness.study.plan import Plan


def give_up(plan: Plan, directory: RunDirectory, attempt: Attempt) -> Record:
    """Store and return the record of a trial that killed its worker every time."""
    trial, resources = attempt.trial, plan.study.resources
    on_gpu = resources.gpus > 0
    outcome = Outcome(
        "crashed",
        epochs_planned=plan.arms[trial.arm].epochs,
        message=f"its worker died {MAX_LOSSES} times in it (out of memory, or a fault in native code); "
        "how many FLOPs that took is not known, and counts as 0",
    )
    costs = Costs(
        wait_seconds=0.0,
        warm_up_seconds=0.0,
        train_seconds=_seconds_lost(directory, trial.id),
        evaluation_seconds=0.0,
        train_flops=0,
        device="GPU" if on_gpu else cpu_name(),
        device_share=resources.gpus if on_gpu else resources.cpus,
    )
    record = make_record(plan, trial, attempt.number, outcome, costs, started_at=now())
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
