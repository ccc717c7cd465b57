"""Faults that are neither a trial's nor its data's: our engine's, or a device's. One text file an attempt."""

from dataclasses import dataclass
from pathlib import Path

from harness.records.files import naming
from harness.records.plain_text import message_of, traceback_of


@dataclass(frozen=True, slots=True)
class FaultFolder:
    """The faults of a run; `run` is the run's directory.

    A file's first line says what was raised, its type first; the traceback follows.
    """

    run: Path

    def path(self, what: str) -> Path:
        """Where a fault is kept; `what` is an attempt as `attempt_name` has it, or another name of a file."""
        return self.run / "faults" / f"{what}.txt"

    def write(self, what: str, error: BaseException) -> Path:
        """Keep a fault; returns its file."""
        path = self.path(what)
        path.parent.mkdir(exist_ok=True)
        with naming(path):
            text = f"{' '.join(message_of(error).split())}\n\n{traceback_of(error)}"
            path.write_text(text, encoding="utf-8")
        return path

    def read(self, what: str) -> str | None:
        """What was raised, in a line; None if there was no such fault."""
        try:
            return self.path(what).read_text(encoding="utf-8").partition("\n")[0]
        except FileNotFoundError:
            return None


def attempt_name(trial_id: str, attempt: int) -> str:
    """How the fault of a trial's attempt is called."""
    return f"{trial_id}.{attempt}"
