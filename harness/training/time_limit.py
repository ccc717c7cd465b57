"""Ends a call that does not come back: the loop looks at a trial's time limit between steps only.

Past the limit and a grace an alarm raises OverdueError in whatever Python code runs then, under each executor
in the same way, so that the record is the same. A call that hangs in native code hears of no alarm. Then a
worker's process is ended from within, by a thread that needs no Python and leaves word of it.
"""

import faulthandler
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

#: What a last step, an edit or an evaluation may take beyond the limit: this or a tenth of the limit.
GRACE_SECONDS = 5.0
#: Seconds between alarms, for code that swallows the first; and from the first to the end of the process.
_AGAIN_SECONDS, _LAST_SECONDS = 1.0, 5.0
#: Timers take no more; three years are no limit.
_LONGEST_SECONDS = 1e8


class OverdueError(BaseException):
    """A call was ended because it did not come back. No Exception, so that less code swallows it."""


@dataclass(slots=True)
class _LastResort:
    """file: number of the open file for the word; None where the process is not to be ended."""

    file: int | None = None


_last_resort = _LastResort()


@contextmanager
def ending_process(file: int) -> Iterator[None]:
    """In this block a call that nothing else ends takes the process with it.

    Args:
        file: number of an open file, for the traceback of where it hung.
    """
    _last_resort.file = file
    try:
        yield
    finally:
        _last_resort.file = None


@contextmanager
def coming_back(limit_seconds: float) -> Iterator[None]:
    """The block ends within the limit and its grace, or OverdueError is raised in it. Not to be nested."""
    seconds = min(limit_seconds + max(GRACE_SECONDS, limit_seconds / 10), _LONGEST_SECONDS)
    is_over = False

    def alarm(number: int, frame: FrameType | None) -> None:
        if not is_over:
            raise OverdueError(f"over its {limit_seconds:g} s: a call did not come back")

    # Python runs handlers in the main thread alone.
    can_alarm = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if _last_resort.file is not None:
        faulthandler.dump_traceback_later(seconds + _LAST_SECONDS, exit=True, file=_last_resort.file)
    if can_alarm:
        handler = signal.signal(signal.SIGALRM, alarm)
        timer = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
    try:
        try:
            yield
        finally:
            is_over = True
    finally:
        if can_alarm:
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, handler)
        if _last_resort.file is not None:
            faulthandler.cancel_dump_traceback_later()
