"""A stranger's code can neither end the process that runs its trial nor go on with the trial in a second one.

`os._exit` asks nobody and cleans nothing up: inline it would end the whole run, and as if all were well. In a
trial it raises SystemExit instead, as `sys.exit` does. A fork that returns from the stranger's code would run
the rest of the trial twice, and then the rest of the study: it ends where that code was left.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

#: Ends this process at once, in a trial too.
exit_at_once = os._exit


@dataclass(slots=True)
class _Place:
    """inside: a trial is running in this process. forked: this process is a copy that was made in one."""

    inside: bool = False
    forked: bool = False


_place = _Place()


def _note_fork() -> None:
    _place.forked = _place.inside


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_note_fork)


@contextmanager
def staying() -> Iterator[None]:
    """For as long as the block runs, the process stays, and stays one."""
    trial = threading.get_ident()

    def refuse(status: int) -> NoReturn:
        if _place.forked or threading.get_ident() != trial:
            exit_at_once(status)
        raise SystemExit(f"os._exit({status}) was called in a trial")

    _place.inside = True
    os._exit = refuse
    try:
        yield
    finally:
        end_if_forked()
        _place.inside = False
        os._exit = exit_at_once


def end_if_forked() -> None:
    """End this process if it is a copy: to be called wherever a stranger's code may have been left."""
    if _place.forked:
        exit_at_once(0)
