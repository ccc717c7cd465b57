"""The contract of an executor: it runs what the dealer deals, and hands every record back."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the dealer brings Optuna, which workers do without
    from harness.records.record import Record
    from harness.runs.dealing import Dealer


#: Said of every run that ends before its time.
KEPT = "Every finished trial is kept, and the same command goes on"


class ExecutorError(RuntimeError):
    """An executor cannot start or go on; the message says why and what to do."""


class EngineFaultError(ExecutorError):
    """The harness itself or a device is at fault, and nothing in the study; the message names the trial where
    it showed and the file with the traceback."""


class ResourcesError(ExecutorError):
    """A trial is given more than there is; the message begins with the study's field."""


class Executor(Protocol):
    """Where trials run."""

    @property
    def workers(self) -> int:
        """How many trials run at once."""
        ...

    def run(self, dealer: "Dealer", on_record: "Callable[[Record], None]", deadline: float | None) -> None:
        """Run bundles until the dealer has finished or the deadline (time.monotonic) has passed.

        Every record lies in the run's store before `on_record` sees it, and the dealer has taken it. No trial
        is begun after the deadline. Data that cannot be read stop their arms, by the dealer; nothing is
        raised then. KeyboardInterrupt goes through, with all workers stopped.

        Raises:
            EngineFaultError: if our own code or a device fails: at once where there is but one process to run
                in, and if it happens again in another.
            ExecutorError: if records cannot be kept.
        """
        ...
