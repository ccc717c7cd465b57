"""Which trials a pruner stops, in many orders at once: Optuna's rules on recorded curves.

A pruner of a sequential study knows, when a trial has trained an epoch, the trials before it and this one so
far. For trials that learn nothing from each other it only truncates what each would have done, so it can be
replayed. All orders go forward in step, one trial at a time; which trials finished, or reached a rung, is
kept as bits, so that counts of better ones are counts of bits. Steps are epochs, from 1.

The rules are those of Optuna 5.0, `optuna.pruners`; each is held against the live pruner in the tests.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.statistics.arrays import Floats
from reports.statistics.bits import BITS, Ints, Words, bits_of, highest, lowest, no_bits
from reports.statistics.halving import Halving, Hyperband, Ladder
from reports.statistics.recorded import Bools, Curves, Stopping, first_wanted


def stopping(pruner: Mapping[str, Any], curves: Curves) -> Stopping:
    """A pruner by Optuna's name.

    Args:
        pruner: name, options (all of them), and for Hyperband the study_name whose hash deals the brackets.

    Raises:
        ValueError: for a pruner whose rule is not known here.
    """
    return _made(pruner, curves, np.ones(curves.scores.shape, dtype=np.bool_))


def _made(pruner: Mapping[str, Any], curves: Curves, asked: Bools) -> Stopping:
    """asked: [trials, epochs], whether the pruner is asked there at all."""
    name, options = pruner["name"], pruner["options"]
    if name == "NopPruner":
        return _Fixed(np.zeros(curves.scores.shape, dtype=np.bool_))
    if name == "ThresholdPruner":
        return _Fixed(asked & _beyond(curves, **options))
    if name in ("MedianPruner", "PercentilePruner"):
        return _Percentile(curves, asked, **{"percentile": 50.0, **options})
    if name == "SuccessiveHalvingPruner":
        return Halving(curves, asked, [Ladder(**options)])
    if name == "HyperbandPruner":
        return Hyperband(curves, asked, pruner.get("study_name", ""), **options)
    if name == "PatientPruner":
        waits = _waited(curves, options["patience"], options["min_delta"])
        inner = options["wrapped_pruner"]
        if inner is None:
            return _Fixed(asked & waits)
        named = {"study_name": pruner.get("study_name", ""), **inner}
        return _made(named, curves, asked & waits)
    raise ValueError(f"{name} cannot be replayed")


@dataclass(frozen=True, slots=True)
class _Fixed:
    """A pruner that looks at nothing but the trial itself."""

    wanted: Bools

    def begin(self, orders: int) -> None:
        """Nothing is remembered."""

    def stops(self, trials: Ints, finished: Words, place: int) -> Ints:
        return first_wanted(self.wanted)[trials]


def _due(epochs: int, n_warmup_steps: int, interval_steps: int) -> Bools:
    """[epochs], whether an epoch is the first report in its interval after the warm-up."""
    steps = np.arange(1, epochs + 1)
    before = np.where(steps == 1, -1, steps - 1)
    beginning = (steps - n_warmup_steps) // interval_steps * interval_steps + n_warmup_steps
    return (steps >= n_warmup_steps) & (before < beginning)


def _beyond(
    curves: Curves, lower: float | None, upper: float | None, n_warmup_steps: int, interval_steps: int
) -> Bools:
    low = -math.inf if lower is None else lower
    high = math.inf if upper is None else upper
    scores = curves.scores
    out = np.isnan(scores) | (scores < low) | (scores > high)
    return out & curves.reported & _due(scores.shape[1], n_warmup_steps, interval_steps)


def _waited(curves: Curves, patience: int, min_delta: float) -> Bools:
    """[trials, epochs], whether nothing better by min_delta came in the last `patience` + 1 epochs."""
    epochs = curves.scores.shape[1]
    turned = curves.turned
    known = np.where(np.isnan(turned), -math.inf, turned)
    best = np.maximum.accumulate(known, axis=1)
    found = np.zeros(turned.shape, dtype=np.bool_)
    for epoch in range(patience + 1, epochs):
        before = best[:, epoch - patience - 1]
        after = known[:, epoch - patience : epoch + 1].max(axis=1)
        # Where either side is all NaN, Optuna compares with NaN, which is never so.
        sure = np.isfinite(before) & (np.isfinite(after))
        found[:, epoch] = sure & (before - min_delta > after)
    return found & curves.reported


class _Percentile:
    """Stops a trial whose best so far is worse than a percentile of the finished trials' at its epoch."""

    def __init__(
        self,
        curves: Curves,
        asked: Bools,
        percentile: float,
        n_startup_trials: int,
        n_warmup_steps: int,
        interval_steps: int,
        n_min_trials: int,
    ) -> None:
        turned = curves.turned
        trials, epochs = turned.shape
        self.raw, self.sign = curves.scores, 1 if curves.higher_is_better else -1
        self.startup, self.least = max(1, n_startup_trials), n_min_trials
        self.share = np.true_divide(100 - percentile if curves.higher_is_better else percentile, 100)
        known = np.where(np.isnan(turned), -math.inf, turned)
        self.best = np.maximum.accumulate(known, axis=1)
        self.nothing = np.isneginf(self.best) & np.isnan(turned)
        self.asked = asked & curves.reported & _due(epochs, n_warmup_steps, interval_steps)
        self.words = -(-trials // BITS)
        # Bits of trials by the rank of their score at an epoch: the neighbours of a value are bits apart.
        self.by_rank = np.argsort(np.where(np.isnan(turned), math.inf, turned), axis=0, kind="stable")
        rank = np.argsort(self.by_rank, axis=0)
        numbers = ~np.isnan(turned)
        self.bits = np.zeros((trials, epochs, self.words), dtype=np.uint64)
        below = np.zeros((trials, epochs, self.words), dtype=np.uint64)
        for epoch in range(epochs):
            own = bits_of(rank[:, epoch], self.words)
            own[~numbers[:, epoch]] = 0
            self.bits[:, epoch] = own
            lower = (turned[:, epoch][None, :] <= self.best[:, epoch][:, None]) & numbers[:, epoch][None, :]
            for word in range(self.words):
                parts = np.where(lower, own[:, word][None, :], np.uint64(0))
                below[:, epoch, word] = np.bitwise_or.reduce(parts, axis=1)
        self.below = below
        self.is_reported = curves.reported

    def begin(self, orders: int) -> None:
        trials, epochs, words = self.bits.shape
        self.kept = np.zeros((orders, epochs, words), dtype=np.uint64)
        self.reports = np.zeros((orders, epochs), dtype=np.int64)
        self.before = no_bits(trials, orders)
        self.last = np.zeros(orders, dtype=np.intp)

    def stops(self, trials: Ints, finished: Words, place: int) -> Ints:
        ended = np.flatnonzero((finished != self.before).any(axis=1))
        self.kept[ended] |= self.bits[self.last[ended]]
        self.reports[ended] += self.is_reported[self.last[ended]]
        self.before, self.last = finished.copy(), trials
        done = np.bitwise_count(finished).sum(axis=1, dtype=np.int64)
        wanted = self.asked[trials] & (done >= self.startup)[:, None]
        if not wanted.any():
            return np.zeros(len(trials), dtype=np.intp)
        below: Words = np.bitwise_and(self.kept, self.below[trials])
        numbers = np.bitwise_count(self.kept).sum(axis=2, dtype=np.int64)
        lower = np.bitwise_count(below).sum(axis=2, dtype=np.int64)
        place_of = np.maximum(numbers - 1, 0) * self.share
        floor = np.floor(place_of).astype(np.int64)
        part = place_of - floor
        # From the worse side: `low` and `high` are the ranks between which the percentile lies.
        low, high = (floor, floor + (part > 0)) if self.sign > 0 else (
            numbers - 1 - floor - (part > 0), numbers - 1 - floor
        )  # fmt: skip
        enough = (self.reports >= self.least) & (numbers > 0)
        stop = enough & (lower <= low)
        rows, epochs = np.nonzero(wanted & enough & (lower == low + 1) & (low < high))
        if rows.size:
            worse = self._value(highest(below[rows, epochs]), epochs)
            above: Words = np.bitwise_and(self.kept[rows, epochs], ~self.below[trials[rows], epochs])
            better = self._value(lowest(above), epochs)
            first, second = (worse, better) if self.sign > 0 else (better, worse)
            between = _between(first, second, part[rows, epochs])
            stop[rows, epochs] = self.best[trials[rows], epochs] < self.sign * between
        stop |= self.nothing[trials]
        return first_wanted(wanted & stop)

    def _value(self, rank: Ints, epochs: Ints) -> Floats:
        return self.raw[self.by_rank[rank, epochs], epochs]


def _between(first: Floats, second: Floats, part: Floats) -> Floats:
    """As numpy's percentile interpolates, to the last bit."""
    gap = second - first
    return np.where(part >= 0.5, second - gap * (1 - part), first + gap * part)
