"""The execution log: which process started which trial, how that ended, and when.

One file a process, so that no two processes write to one file, on a shared disk either.
"""

import functools
import json
import math
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.records.files import NoFileError, naming, read_file

_FOLDER = "executions"


@dataclass(frozen=True, slots=True)
class ExecutionLog:
    """The log of a run; `run` is the run's directory."""

    run: Path

    def write(
        self, event: Literal["started", "finished", "out_of_memory", "lost"], trial_id: str, attempt: int
    ) -> None:
        """Append a line to this process's file.

        Args:
            event: "finished" for an attempt that gave a record; "out_of_memory" for one after which the
                trial is tried once more; "lost", written by the driver, for one whose worker went.
        """
        folder = self.run / _FOLDER
        folder.mkdir(exist_ok=True)
        line = {"time": time.time(), "event": event, "trial_id": trial_id, "attempt": attempt}
        path = folder / f"{_process_name()}.jsonl"
        with open(path, "a", encoding="utf-8") as log, naming(path):
            log.write(json.dumps(line) + "\n")
            log.flush()  # closing would write it too, and name no file if it cannot

    def read(self) -> list[dict[str, Any]]:
        """The sound lines of all processes, in order of time."""
        return self._lines()[0]

    def damaged_lines(self) -> int:
        """Lines that cannot be read, such as those that a power cut leaves; what they told is not known.

        What a kill cut short, a last line, is none. A file that is none at all counts as one.
        """
        return self._lines()[1]

    def _lines(self) -> tuple[list[dict[str, Any]], int]:
        lines, damaged = [], 0
        for path in (self.run / _FOLDER).glob("*.jsonl"):
            try:
                texts = read_file(path).split(b"\n")[:-1]
            except NoFileError:
                damaged += 1
                continue
            for text in texts:
                line = _parse(text)
                if line is None:
                    damaged += 1
                else:
                    lines.append(line | {"process": path.stem})
        return sorted(lines, key=lambda line: line["time"]), damaged

    def lost_attempts(self) -> int:
        """Attempts that left no record: their worker died, or the run was stopped. Each was started again."""
        lines = self.read()
        ends = ("finished", "out_of_memory")
        finished = {(line["trial_id"], line["attempt"]) for line in lines if line["event"] in ends}
        started = [(line["trial_id"], line["attempt"]) for line in lines if line["event"] == "started"]
        latest = dict(started)  # it may be running, or be told by a record that the driver wrote
        return sum(latest[trial] != number and (trial, number) not in finished for trial, number in started)

    def starts(self) -> dict[str, int]:
        """Trial id -> how often it was started."""
        count: dict[str, int] = {}
        for line in self.read():
            if line["event"] == "started":
                count[line["trial_id"]] = count.get(line["trial_id"], 0) + 1
        return count


def _parse(text: bytes) -> dict[str, Any] | None:
    """A line, with the fields that every line has; None if it is damaged."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict):
        return None
    kinds = {name: type(line.get(name)) for name in ("time", "event", "trial_id", "attempt")}
    is_whole = kinds == {"time": float, "event": str, "trial_id": str, "attempt": int}
    return line if is_whole and math.isfinite(line["time"]) else None


@functools.cache
def _process_name() -> str:
    # With the time, because process numbers are used again.
    return f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}"
