"""The lock on a run's directory: one driver at a time, and whoever is refused learns who holds it."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

LOCK = ".lock"
#: `harness status` looks by holding the lock for a moment, shared; a start that meets it there tries again.
_PATIENCE_SECONDS = 1.0


class LockedError(OSError):
    """Another driver holds the directory; the message says which: " (process 1 on host since ...)"."""


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the lock goes with the process, however it ends.

    Raises:
        LockedError: if another process holds it.
        OSError: if there can be no lock there, as on some network file systems.
    """
    with open(folder / LOCK, "a+", encoding="utf-8") as file:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise LockedError(_holder(folder)) from error
                time.sleep(0.05)
        file.seek(0)
        file.truncate()
        since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}\n")
        file.flush()
        yield


def is_held(folder: Path) -> bool:
    """Whether a driver holds the folder now. Holds off no start for longer than it is patient."""
    try:
        with open(folder / LOCK, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is no lock, or there can be none: no driver of ours is at work
        return False
    return False


def _holder(folder: Path) -> str:
    try:
        said = (folder / LOCK).read_text(encoding="utf-8").strip()[:200]
    except (OSError, UnicodeDecodeError):
        return ""
    return f" ({said})" if said else ""
