"""The outcomes of trials that cannot tell them themselves, because their worker died in them."""

from harness.records.directory import RunDirectory
from harness.records.making import make_record, now
from harness.records.plain_text import plain
from harness.records.provenance import cpu_name
from harness.records.record import Costs, Outcome, Record
from harness.records.running import LeftBehind
from harness.runs.attempts import MAX_LOSSES, Attempt
from harness.study.plan import Plan

_UNKNOWN = "how many FLOPs that took is not known, and counts as 0"


def give_up(plan: Plan, directory: RunDirectory, attempt: Attempt, left: LeftBehind) -> Record:
    """Store and return the record of a trial that killed its workers in one and the same epoch."""
    outcome = Outcome(
        "crashed",
        epochs_planned=plan.arms[attempt.trial.arm].epochs,
        message=f"its worker died {MAX_LOSSES} times in epoch {left.epochs + 1}, the last time with nothing "
        f"beside it (out of memory, or a fault in native code); {_UNKNOWN}",
    )
    return _stored(plan, directory, attempt, outcome)


def end_hung(plan: Plan, directory: RunDirectory, attempt: Attempt, left: LeftBehind) -> Record:
    """Store and return the record of a trial whose worker was ended because a call hung in native code."""
    outcome = Outcome(
        "timed_out",
        epochs_planned=plan.arms[attempt.trial.arm].epochs,
        message=f"over its {plan.study.training.time_limit_seconds:g} s: a call in native code did not come "
        f"back, in epoch {left.epochs + 1}, and its worker was ended; {_UNKNOWN}",
        traceback=plain(left.word),
    )
    return _stored(plan, directory, attempt, outcome)


def _stored(plan: Plan, directory: RunDirectory, attempt: Attempt, outcome: Outcome) -> Record:
    trial, resources = attempt.trial, plan.study.resources
    on_gpu = resources.gpus > 0
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
