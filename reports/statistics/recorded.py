"""What a replay starts from: the recorded curves of trials, and what any pruner answers of them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reports.statistics.arrays import Floats
from reports.statistics.bits import Ints, Words

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Curves:
    """What the trials of a pool reported.

    scores: [trials, epochs], as reported, of any sign; NaN where a trial reported NaN, and beyond its end.
    lengths: [trials], epochs reported. failed: [trials], whether a trial came to nothing after these.
    """

    scores: Floats
    lengths: Ints
    failed: Bools
    higher_is_better: bool = True

    @property
    def reported(self) -> Bools:
        """[trials, epochs], whether there is a report."""
        return np.arange(self.scores.shape[1]) < self.lengths[:, None]

    @property
    def turned(self) -> Floats:
        """The scores, higher is better."""
        return self.scores if self.higher_is_better else -self.scores


class Stopping(Protocol):
    """A pruner at work in some orders; asked trial by trial, from the first place on."""

    def begin(self, orders: int) -> None:
        """Forget all orders, and be at the beginning of so many."""

    def stops(self, trials: Ints, finished: Words, place: int) -> Ints:
        """The epoch after which each order's next trial is stopped; 0 where it is not.

        Args:
            trials: [orders], the trial of each.
            finished: [orders, words], bits of the trials that came to their end before.
            place: of the trial in every order, from 0: its number in Optuna's study.
        """


def first_wanted(wanted: Bools) -> Ints:
    """The first epoch, from 1, at which a row wants it; 0 if none."""
    return np.where(wanted.any(axis=-1), wanted.argmax(axis=-1) + 1, 0)
