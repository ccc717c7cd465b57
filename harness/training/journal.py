"""What a training leaves as it goes, so that a trial that ends badly keeps all it has measured."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import nn

from harness.records.record import Event, Status
from harness.sizing.interval import Epoch
from harness.sizing.ledger.size import Size


class TrialEndedError(Exception):
    """A trial is over before its last epoch, with a status that is an outcome and not a fault of ours."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Selected:
    """The best network so far: a copy, because training goes on changing the original."""

    epoch: int
    val_score: float
    network: nn.Module


@dataclass(slots=True)
class Journal:
    """Filled by the training loop, read when the trial is over, however it ended."""

    epochs: list[Epoch] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    start_size: Size | None = None
    selected: Selected | None = None
    test_score: float | None = None
    train_flops: int = 0
    stop_reason: str = ""
    notes: list[str] = field(default_factory=list)
    best_test_scores: dict[int, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(
        default_factory=lambda: {"warm_up": 0.0, "train": 0.0, "evaluation": 0.0}
    )

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Charge the time of a block to "warm_up", "train" or "evaluation", exceptions included."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] += time.perf_counter() - start
