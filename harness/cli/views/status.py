"""Prints how far a run is, from its directory alone."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.terminal import say
from harness.design import score_text
from harness.records.directory import DirectoryError, RunDirectory
from harness.records.record import Record
from harness.records.tally import Tally


def show_status(path: Path, console: Console) -> None:
    """Per arm: done, failed, planned, best validation score; then damage and losses, if any.

    Raises:
        DirectoryError: if this is no run directory.
    """
    directory = RunDirectory(path)
    plan = directory.read_plan()
    records, others = directory.read_records(plan)
    tally = Tally.of(records.values(), plan.score.higher_is_better)
    table = Table(box=None, pad_edge=False)
    table.add_column("arm")
    for heading in ("done", "failed", "planned", "best validation score"):
        table.add_column(heading, justify="right")
    for key, arm in plan.arms.items():
        planned = arm.planned_trials
        score = score_text(tally.best[key]) if key in tally.best else ""
        table.add_row(Text(key), str(tally.done[key]), str(tally.failed[key]), str(planned), score)
    console.print(Text(f"{plan.study.name} in {path}", style="bold"))
    console.print(table)
    total = sum(arm.planned_trials for arm in plan.arms.values())
    console.print(Text(f"{tally.done.total()} of {total} trials done"))
    console.print(
        Text("A `harness run` is at work here." if directory.in_use() else "Nothing runs here now.")
    )
    if failed := tally.failed.total():
        say(console, f"{failed} failed; `harness status {path} --failed` lists them")
    for trial_id, wrong in others.items():
        console.print(Text(f"Record {trial_id} {wrong}; the next `harness run` sets it aside"))
    if torn := directory.log.damaged_lines():
        say(console, f"{torn} line(s) of the log in {path / 'executions'} are damaged and left out")
    if lost := directory.log.lost_attempts():
        why = "stopped, or lost with their worker"
        say(console, f"{lost} attempt(s) ended without a record ({why}) and ran again")


def show_failed(path: Path, console: Console) -> None:
    """A line for each trial that failed: which, its status, its message; and how to see its traceback.

    Raises:
        DirectoryError: if this is no run directory.
    """
    failed = [record for record in _records(path).values() if record.has_failed]
    if not failed:
        console.print(Text("No trial has failed."))
    for record in sorted(failed, key=lambda record: (record.arm, record.replicate, record.index)):
        which = f"{record.trial_id} {record.arm} trial {record.index}"
        say(console, f"{which}: {record.status}: {record.message}")
        if record.traceback:
            command = f"harness status {path} --traceback {record.trial_id}"
            say(console, f"    its traceback: {command}")


def show_traceback(path: Path, wanted: str, console: Console) -> None:
    """The traceback in the record of a trial, named by its id or the beginning of it.

    Raises:
        DirectoryError: if this is no run directory, or not one trial is meant, or it left no traceback.
    """
    found = [record for trial_id, record in _records(path).items() if trial_id.startswith(wanted)]
    if len(found) != 1:
        many = "no record" if not found else f"{len(found)} records"
        raise DirectoryError(f"--traceback {wanted}: {many} of {path} begin so; --failed lists ids")
    if not found[0].traceback:
        raise DirectoryError(f"--traceback {wanted}: the trial ended as {found[0].status!r}, without one")
    say(console, found[0].traceback)


def _records(path: Path) -> dict[str, Record]:
    directory = RunDirectory(path)
    return directory.read_records(directory.read_plan())[0]
