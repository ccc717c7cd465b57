"""Runs in processes of their own, and what a run's directory holds afterwards."""

import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.results.tabulate import read_run

#: `harness`, but for the report, which takes longer than all that is tested here.
COMMAND = """
import os, sys, types
if hasattr(os, "sched_setaffinity"):  # two workers: each of them takes seconds to start
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
sys.modules["reports.write"] = stub = types.ModuleType("reports.write")
stub.write_report, stub.short_table = lambda table, out, **_: out, lambda table, **_: []
stub.said = lambda page: ()
from harness.cli.main import main
main()
"""


def table_of(out: Path) -> pd.DataFrame:
    """A run's trial table without what differs between runs of the same plan."""
    table, _, _ = read_run(out)
    return table.drop(
        columns=[name for name in table.columns if str(name).endswith(("_seconds", "_bytes"))] + ["attempt"]
    )


def outcomes_of(out: Path) -> dict[str, dict[str, Any]]:
    """Trial id -> outcome of every record; none may be damaged."""
    records, damaged = RunDirectory(out).store.read_all()
    assert damaged == {}
    return {trial_id: record.outcome() for trial_id, record in records.items()}


def records_of(out: Path) -> dict[str, list[Record]]:
    """Method -> its records in the order of the plan."""
    records, damaged = RunDirectory(out).store.read_all()
    assert damaged == {}
    found: dict[str, list[Record]] = {}
    for record in sorted(records.values(), key=lambda record: record.index):
        found.setdefault(record.arm.rpartition("/")[2], []).append(record)
    return found


def recorded(out: Path) -> set[str]:
    """Ids of the trials that have a record now."""
    return {path.stem for path in (out / "records").glob("*.json")}


def starts_of_finished(out: Path) -> dict[str, int]:
    """Trial id -> how often it was started, of the trials that have a record now."""
    starts = RunDirectory(out).log.starts()
    return {trial_id: starts[trial_id] for trial_id in recorded(out)}


@dataclass
class Driver:
    """A `harness run` in a process of its own."""

    process: "subprocess.Popen[str]"
    out: Path

    def wait_for_records(self, count: int, seconds: float = 200) -> set[str]:
        deadline = time.monotonic() + seconds
        while len(found := recorded(self.out)) < count:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, f"{len(found)} records after {seconds} s"
            time.sleep(0.02)
        return found

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = 300) -> tuple[int, str, str]:
        """Exit code and output, when it has ended."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err
