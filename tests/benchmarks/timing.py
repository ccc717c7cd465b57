"""Times whole commands, as a user would start them."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence


def harness_command(*arguments: str) -> list[str]:
    """The command line of `harness` in this interpreter's environment."""
    return [sys.executable, "-c", "from harness.cli.main import main; main()", *arguments]


def seconds_of(command: Sequence[str], cores: int | None = None) -> tuple[float, str]:
    """Wall-clock seconds of a command from process start to end, and what it printed.

    Args:
        cores: let it use the first so many cores of those this process may use.

    Raises:
        subprocess.CalledProcessError: if it fails; its output goes to stderr first.
    """
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    start = time.perf_counter()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
    done.check_returncode()
    return seconds, done.stdout


def machine() -> str:
    """A line on where the figures come from."""
    from importlib.metadata import version

    from harness.records.provenance import cpu_name

    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "ray", "optuna"))
    return f"{cpu_name()}, {len(os.sched_getaffinity(0))} cores; {packages}"
