"""Runs of small studies, in this process and in processes of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runs.executors.driving import COMMAND, Driver

Fields = dict[str, Any]


@pytest.fixture
def start(write_study: Callable[[Fields], Path]) -> Callable[..., Driver]:
    """Starts `harness run` on a study in a process of its own."""

    def start_driver(fields: Fields, out: Path, *options: object) -> Driver:
        command = [sys.executable, "-c", COMMAND, "run", write_study(fields), "--out", out, *options]
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
