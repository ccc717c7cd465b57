"""Runs of small studies, in this process and in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.records.directory import RunDirectory
from harness.results.tabulate import read_run

Fields = dict[str, Any]

FAULTY = str(Path(__file__).parent / "faulty.py")

#: `harness`, but for the report, which takes longer than all that is tested here.
_COMMAND = """
import os, sys, types
if hasattr(os, "sched_setaffinity"):  # two workers: each of them takes seconds to start
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
sys.modules["reports.write"] = stub = types.ModuleType("reports.write")
stub.write_report, stub.short_table = lambda table, out, **_: out, lambda table, **_: []
from harness.cli.main import main
main()
"""


def faulty(name: str, fault: str, **more: Any) -> Fields:
    """A method entry with one fault."""
    options = {"fault": fault} | more.pop("options", {})
    return {"name": name, "method": "faulty", "options": options, **more}


def table_of(out: Path) -> pd.DataFrame:
    """A run's trial table without what differs between runs of the same plan."""
    table, _, _ = read_run(out)
    return table.drop(columns=[name for name in table if name.endswith("_seconds")] + ["attempt"])


def outcomes_of(out: Path) -> dict[str, dict[str, Any]]:
    """Trial id -> outcome of every record; none may be damaged."""
    records, damaged = RunDirectory(out).store.read_all()
    assert damaged == {}
    return {trial_id: record.outcome() for trial_id, record in records.items()}


def recorded(out: Path) -> set[str]:
    """Ids of the trials that have a record now."""
    return {path.stem for path in (out / "records").glob("*.json")}


def starts_of_finished(out: Path) -> dict[str, int]:
    """Trial id -> how often it was started, of the trials that have a record now."""
    starts = RunDirectory(out).log.starts()
    return {trial_id: starts[trial_id] for trial_id in recorded(out)}


@dataclass
class Driver:
    """A `harness run` in a process group of its own."""

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


@pytest.fixture
def start(write_study: Callable[[Fields], Path]) -> Callable[..., Driver]:
    """Starts `harness run` on a study in a process of its own."""

    def start_driver(fields: Fields, out: Path, *options: object) -> Driver:
        command = [sys.executable, "-c", _COMMAND, "run", write_study(fields), "--out", out, *options]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=pipe,
            stderr=pipe,
            text=True,
            env=os.environ.copy(),
            # A shell starts what runs in the background deaf to Ctrl-C, and so would be what tests start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        return Driver(process, out)

    return start_driver


@pytest.fixture
def run_inline(write_study: Callable[[Fields], Path]) -> Callable[[Fields, Path], str]:
    """Runs a study inline in this process, to its end; gives what was printed."""

    def run(fields: Fields, out: Path) -> str:
        import io

        from rich.console import Console

        from harness.cli.views.progress import TerminalWatcher
        from harness.runs.run import RunRequest, run_study

        printed = io.StringIO()
        request = RunRequest(str(write_study(fields)), out, "inline")
        result = run_study(request, TerminalWatcher(Console(file=printed, width=200)))
        assert result.complete
        return printed.getvalue()

    return run
