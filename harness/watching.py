"""What running, extracting and reporting tell whoever watches: a terminal, a notebook, a logger.

Nothing of the package prints but `harness.cli`; all else tells a `Watcher`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from harness.records.record import Record


class Work(Protocol):
    """Trials that are being run; may be asked at any time how far they are."""

    @property
    def planned(self) -> Mapping[str, int]:
        """Arm -> trials of the plan."""
        ...

    @property
    def records(self) -> "Mapping[str, Record]":
        """Trial id -> record, of the trials that have theirs, those of earlier runs included."""
        ...

    @property
    def higher_is_better(self) -> bool:
        """The direction of validation scores."""
        ...

    @property
    def running(self) -> Mapping[str, int]:
        """Arm -> trials that a worker is at."""
        ...

    def expected_seconds(self) -> float | None:
        """Work left, in seconds of one worker; None before anything is known."""
        ...


class Watcher(Protocol):
    """Is told what happens, in the thread where it happens. What a method here raises ends the work."""

    def say(self, sentence: str) -> None:
        """Be told something in words: a warning of the plan, a damaged record, which trial was chosen."""
        ...

    def begin(self, work: Work, workers: int) -> None:
        """Trials begin to run, `workers` at once. `end` follows, however they end."""
        ...

    def recorded(self, record: "Record") -> None:
        """A trial has its record. It lies on disk already."""
        ...

    def trained(self, epoch: int, epochs: int) -> None:
        """A network that is being extracted has been trained for `epoch` of `epochs` epochs again."""
        ...

    def end(self) -> None:
        """No trial runs any more, and none is trained again."""
        ...


class Silent:
    """Watches and says nothing; to be inherited from by who wants to hear of some things only."""

    def say(self, sentence: str) -> None:
        """Ignored."""

    def begin(self, work: Work, workers: int) -> None:
        """Ignored."""

    def recorded(self, record: "Record") -> None:
        """Ignored."""

    def trained(self, epoch: int, epochs: int) -> None:
        """Ignored."""

    def end(self) -> None:
        """Ignored."""
