"""Whose fault an exception is: what strangers' code raises in a trial is the trial's, all else is not.

A method and a network are strangers. Where their code is entered, and where the engine checks what they
propose, a guard turns what is raised into a `TrialFaultError`; nothing else may be held against a trial.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType

import torch

from harness.records.plain_text import message_of
from harness.surgery.errors import SurgeryError
from harness.training.leaving import end_if_forked
from harness.training.time_limit import OverdueError

#: How torch says in a RuntimeError that memory ran out.
_SHORTAGES = (
    "can't allocate memory",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "_STATUS_ALLOC_FAILED",
)


class TrialFaultError(Exception):
    """What a method or a network raised, or what the engine refused of their proposals: its `cause`."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(message_of(cause))
        self.cause = cause


@dataclass(slots=True)
class _Interrupts:
    """What is known of Ctrl-C. heeded: a signal would be noted. came: the user wants the run to stop."""

    heeded: bool = False
    came: bool = False


_interrupts = _Interrupts()


@contextmanager
def heeding_interrupts() -> Iterator[None]:
    """Tell a user's Ctrl-C from a KeyboardInterrupt that a stranger raises, for as long as the block runs.

    The signal's handler stays the one that there is; that it raised KeyboardInterrupt is noted. Outside of
    such a block every KeyboardInterrupt is taken for the user's.
    """
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        try:
            if callable(before):
                before(number, frame)
        except KeyboardInterrupt:
            _interrupts.came = True
            raise

    # Python runs handlers in the main thread alone; any other hears of no signal.
    notes = callable(before) and threading.current_thread() is threading.main_thread()
    if notes:
        signal.signal(signal.SIGINT, note)
    _interrupts.heeded, _interrupts.came = True, False
    try:
        yield
        if _interrupts.came:
            raise KeyboardInterrupt
    except Exception as error:
        if _interrupts.came:  # libraries make other things of it too: pydantic a SchemaError
            raise KeyboardInterrupt from error
        raise
    finally:
        _interrupts.heeded = _interrupts.came = False
        if notes:
            signal.signal(signal.SIGINT, before)


class _Guard:
    """Turns exceptions of some kinds in its block into a TrialFaultError, and lets all others through.

    No code of ours raises SystemExit, GeneratorExit or the like in a trial, so those are always strangers'. A
    class and not a generator, because every training step goes through it.
    """

    def __init__(self, kind: type[BaseException]) -> None:
        self._kind = kind

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end_if_forked()
        if isinstance(error, OverdueError):
            return
        if _interrupts.came and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from error  # the stranger swallowed it, or made something else of it
        if error is None or isinstance(error, TrialFaultError):
            return
        if isinstance(error, KeyboardInterrupt) and (_interrupts.came or not _interrupts.heeded):
            return
        if isinstance(error, self._kind) or not isinstance(error, Exception):
            raise TrialFaultError(error) from error


#: Around every entry into a method's or a network's code, and around every check of what they give.
strangers = _Guard(BaseException)
#: Around surgery, which says in so many words what it refuses; whatever else it raises is its own fault.
refusals = _Guard(SurgeryError)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, however torch says it; also if that is only what caused the error."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, torch.OutOfMemoryError | MemoryError):
            return True
        if isinstance(cause, RuntimeError) and any(words in message_of(cause) for words in _SHORTAGES):
            return True
        seen.add(id(cause))
        cause = cause.__cause__
    return False


def answers(device: torch.device) -> bool:
    """Whether a device still computes. After some errors of a GPU nothing does in that process any more."""
    try:
        return float(torch.ones(2, device=device).sum()) == 2
    except RuntimeError:
        return False
