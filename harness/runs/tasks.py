"""A dealt trial, and how a worker runs it: logged before, recorded after."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.study.plan import Trial

if TYPE_CHECKING:
    from harness.runs.trial_runner import TrialRunner  # brings torch, which the driver does without

#: A trial whose worker died this often is not run again: it is what kills the worker.
MAX_LOSSES = 3


@dataclass(frozen=True, slots=True)
class Task:
    """A trial to be run, and the how-manieth attempt this is, from 1."""

    trial: Trial
    attempt: int


def run_task(runner: "TrialRunner", directory: RunDirectory, task: Task, wait_seconds: float) -> Record:
    """Run a trial, store its record, return it.

    Should the trial have a record already (its first worker was taken for dead and was not), that one
    stands, and nothing is run.
    """
    before = directory.store.read(task.trial.id)
    if before is not None:
        return before
    directory.log.write("started", task.trial.id, task.attempt)
    record = runner.run(task.trial, task.attempt, wait_seconds)
    directory.store.write(record)
    directory.log.write("finished", task.trial.id, task.attempt)
    return directory.store.read(task.trial.id) or record
