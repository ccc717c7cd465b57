"""Runs one dealt trial in a worker: logged before, recorded after."""

from harness.dealing import Task
from harness.records import Record
from harness.run_directory import RunDirectory
from harness.trial_runner import TrialRunner


def run_task(runner: TrialRunner, directory: RunDirectory, task: Task, wait_seconds: float) -> Record:
    """Run a trial, store its record, return it.

    Should the trial have a record already (its first worker was taken for dead and was not), that one
    stands, and nothing is run.
    """
    before = directory.store.read(task.trial.id)
    if before is not None:
        return before
    directory.log.write("started", task.trial.id, task.attempt)
    record = runner.run(task.trial, task.attempt, wait_seconds)
    if not directory.store.write(record):
        record = directory.store.read(task.trial.id) or record
    directory.log.write("finished", task.trial.id, task.attempt)
    return record
