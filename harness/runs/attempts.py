"""An attempt at a trial, and how a worker makes it: logged before, recorded after."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.datasets.base import DataError
from harness.records.directory import RunDirectory
from harness.records.faults import attempt_name
from harness.records.record import Record
from harness.records.running import note_epoch
from harness.runs.origins import origin_outcome
from harness.sizing.origin import OriginOutcome
from harness.study.plan import Trial

if TYPE_CHECKING:
    from harness.runs.trial_runner import TrialRunner  # brings torch, which the driver does without

#: A trial whose worker died this often is not run again: it is what kills the worker.
MAX_LOSSES = 3


class EngineError(RuntimeError):
    """A trial could not be run, by no fault of its own or of its data: its worker is not to be trusted.

    trace: the file that holds the traceback.
    """

    def __init__(self, attempt: "Attempt", what: str, trace: Path) -> None:
        super().__init__(
            f"trial {attempt.trial.id} of {attempt.trial.arm} could not be run to an outcome: {what}; the "
            f"traceback lies in {trace}"
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """A trial to be run, and the how-manieth attempt this is.

    number: from 1. ran_out: whether it ran out of memory before. If it does so again, with the device to
    itself, that is its outcome.
    """

    trial: Trial
    number: int
    ran_out: bool = False


def run_attempt(
    runner: "TrialRunner",
    directory: RunDirectory,
    attempt: Attempt,
    wait_seconds: float,
    may_end_process: bool,
) -> Record | None:
    """Run a trial, store its record, return it; None if it ran out of memory for the first time.

    Should the trial have a record already (its first worker was taken for dead and was not), that one
    stands, and nothing is run.

    Args:
        may_end_process: should a call hang in native code, nothing else ends it.

    Raises:
        DataError: if its data cannot be read.
        EngineError: for what is the fault of neither the trial nor its data; its traceback is kept.
        OSError: if the record cannot be kept.
    """
    recorded = directory.store.read(attempt.trial.id)
    if recorded is not None:
        return recorded
    directory.log.write("started", attempt.trial.id, attempt.number)
    name = attempt_name(attempt.trial.id, attempt.number)
    with directory.running.begun(name) as file:
        try:
            before = attempt.trial.origin
            origin = None if before is None else origin_outcome(runner.plan, before, directory.store.read)
            record = _run(runner, attempt, wait_seconds, origin, file, may_end_process)
            if record.status == "out_of_memory":
                runner.free_memory()
        except DataError:
            raise
        except Exception as error:
            trace = directory.faults.write(name, error)
            raise EngineError(attempt, directory.faults.read(trace.stem) or "", trace) from error
    if record.status == "out_of_memory" and record.was_begun and not attempt.ran_out:
        directory.log.write("out_of_memory", attempt.trial.id, attempt.number)
        return None
    directory.store.write(record)
    directory.log.write("finished", attempt.trial.id, attempt.number)
    return directory.store.read(attempt.trial.id) or record


def _run(
    runner: "TrialRunner",
    attempt: Attempt,
    wait_seconds: float,
    origin: OriginOutcome | None,
    file: int,
    may_end_process: bool,
) -> Record:
    from harness.training.time_limit import ending_process

    with ending_process(file) if may_end_process else nullcontext():
        return runner.run(
            attempt.trial, attempt.number, wait_seconds, on_epoch=lambda _: note_epoch(file), origin=origin
        )
