"""Prints how far a run is, from its directory alone."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.records.directory import RunDirectory
from harness.records.tally import Tally


def show_status(path: Path, console: Console) -> None:
    """Per arm: done, failed, planned, best validation score; then damage and losses, if any.

    Raises:
        DirectoryError: if this is no run directory.
    """
    directory = RunDirectory(path)
    plan = directory.read_plan()
    records, damaged = directory.store.read_all()
    tally = Tally.of(records.values())
    table = Table(box=None, pad_edge=False)
    table.add_column("arm")
    for heading in ("done", "failed", "planned", "best validation score"):
        table.add_column(heading, justify="right")
    for key, arm in plan.arms.items():
        planned = arm.trials * arm.replicates
        score = f"{tally.best[key]:.4f}" if key in tally.best else ""
        table.add_row(Text(key), str(tally.done[key]), str(tally.failed[key]), str(planned), score)
    console.print(Text(f"{plan.study.name} in {path}", style="bold"))
    console.print(table)
    total = sum(arm.trials * arm.replicates for arm in plan.arms.values())
    console.print(Text(f"{tally.done.total()} of {total} trials done"))
    console.print(
        Text("A `harness run` is at work here." if directory.in_use() else "Nothing runs here now.")
    )
    for trial_id, wrong in damaged.items():
        console.print(Text(f"Record {trial_id} {wrong}; the next `harness run` sets it aside"))
    if lost := directory.log.lost_attempts():
        console.print(
            Text(
                f"{lost} attempt(s) ended without a record (stopped, or lost with their worker) and ran again"
            )
        )
