"""Where an attempt is: a file while it runs, which is left behind if its worker dies.

A line for each epoch that has ended; then, if a call hung and the worker was ended for it, the traceback of
where. In `running`, a file an attempt; gone when the attempt has come to an end of its own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

#: How the word begins that `faulthandler` leaves, past a trial's time limit.
HUNG = "Timeout ("

_EPOCH = "epoch ended\n"


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """epochs: that had ended when the worker died. word: the traceback of a call that hung; mostly empty."""

    epochs: int
    word: str


@dataclass(frozen=True, slots=True)
class RunningFolder:
    """The attempts that run; `run` is the run's directory."""

    run: Path

    def path(self, what: str) -> Path:
        """Where an attempt, as `attempt_name` has it, is told of."""
        return self.run / "running" / what

    @contextmanager
    def begun(self, what: str) -> Iterator[int]:
        """The number of the attempt's open file, which is there for as long as the block runs."""
        path = self.path(what)
        path.parent.mkdir(exist_ok=True)
        file = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND)
        try:
            yield file
        finally:
            os.close(file)
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Take away what a driver that was killed left, or its workers; nobody asks for it any more."""
        for path in self.path("").glob("*"):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # a worker that is still ending has put its file there
            self.path("").rmdir()

    def take(self, what: str) -> LeftBehind:
        """What an attempt left whose worker died; its file goes."""
        path = self.path(what)
        try:
            text = path.read_text(encoding="utf-8", errors="backslashreplace")
        except FileNotFoundError:
            return LeftBehind(0, "")
        path.unlink(missing_ok=True)
        epochs = text.count(_EPOCH)
        return LeftBehind(epochs, text[epochs * len(_EPOCH) :])


def note_epoch(file: int) -> None:
    """Write into an attempt's open file that one more epoch has ended."""
    os.write(file, _EPOCH.encode())
