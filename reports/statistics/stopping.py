"""Which trials a pruner stops, in many orders at once: Optuna's rules on recorded curves.

A pruner of a sequential study knows, when a trial has trained an epoch, the trials before it and this one so
far. For trials that learn nothing from each other it only truncates what each would have done, so it can be
replayed. All orders go forward in step, one trial at a time; which trials finished, or reached a rung, is
kept as bits, so that counts of better ones are counts of bits. Steps are epochs, from 1.

The rules are those of Optuna 5.0, `optuna.pruners`; each is held against the live pruner in the tests.
"""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reports.statistics.arrays import Floats

Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]
Words = NDArray[np.uint64]
_BITS = 64


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


def stopping(pruner: Mapping[str, Any], curves: Curves) -> Stopping:
    """A pruner by Optuna's name.

    Args:
        pruner: name, options (all of them), and for Hyperband the study_name whose hash deals the brackets.

    Raises:
        ValueError: for a pruner whose rule is not known here.
    """
    return _made(pruner, curves, np.ones(curves.scores.shape, dtype=np.bool_))


def no_bits(trials: int, orders: int) -> Words:
    """[orders, words] for sets of trials, all empty."""
    return np.zeros((orders, -(-trials // _BITS)), dtype=np.uint64)


def bits_of(trials: Ints, words: int) -> Words:
    """[orders, words] with the bit of one trial each."""
    bits = np.zeros((len(trials), words), dtype=np.uint64)
    bits[np.arange(len(trials)), trials // _BITS] = np.uint64(1) << (trials % _BITS).astype(np.uint64)
    return bits


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
        return _Halving(curves, asked, [_Ladder(**options)])
    if name == "HyperbandPruner":
        return _Hyperband(curves, asked, pruner.get("study_name", ""), **options)
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
        return _first(self.wanted)[trials]


def _first(wanted: Bools) -> Ints:
    """The first epoch, from 1, at which a row wants it; 0 if none."""
    return np.where(wanted.any(axis=-1), wanted.argmax(axis=-1) + 1, 0)


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
        self.words = -(-trials // _BITS)
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
            worse = self._value(_highest(below[rows, epochs]), epochs)
            above: Words = np.bitwise_and(self.kept[rows, epochs], ~self.below[trials[rows], epochs])
            better = self._value(_lowest(above), epochs)
            first, second = (worse, better) if self.sign > 0 else (better, worse)
            between = _between(first, second, part[rows, epochs])
            stop[rows, epochs] = self.best[trials[rows], epochs] < self.sign * between
        stop |= self.nothing[trials]
        return _first(wanted & stop)

    def _value(self, rank: Ints, epochs: Ints) -> Floats:
        return self.raw[self.by_rank[rank, epochs], epochs]


def _between(first: Floats, second: Floats, part: Floats) -> Floats:
    """As numpy's percentile interpolates, to the last bit."""
    gap = second - first
    return np.where(part >= 0.5, second - gap * (1 - part), first + gap * part)


def _lowest(bits: Words) -> Ints:
    """[rows], number of the lowest bit that is set in each row of words; there is one."""
    word = (bits != 0).argmax(axis=1)
    value = bits[np.arange(len(bits)), word]
    alone = value & (~value + np.uint64(1))
    number: Ints = word * _BITS + np.bitwise_count(alone - np.uint64(1)).astype(np.intp)
    return number


def _highest(bits: Words) -> Ints:
    """[rows], number of the highest bit that is set in each row of words; there is one."""
    words = bits.shape[1]
    word = words - 1 - (bits[:, ::-1] != 0).argmax(axis=1)
    value = bits[np.arange(len(bits)), word]
    for shift in (1, 2, 4, 8, 16, 32):
        value = value | (value >> np.uint64(shift))
    number: Ints = word * _BITS + np.bitwise_count(value).astype(np.intp) - 1
    return number


@dataclass(frozen=True, slots=True)
class _Ladder:
    """Options of successive halving, by Optuna's names; min_resource may be "auto"."""

    min_resource: int | str
    reduction_factor: int
    min_early_stopping_rate: int
    bootstrap_count: int


class _Rungs:
    """A ladder for one least resource: at which epoch each trial comes to which rung, and who is better."""

    def __init__(self, curves: Curves, asked: Bools, ladder: _Ladder, least: int) -> None:
        turned = curves.turned
        trials, epochs = turned.shape
        asked = asked & curves.reported
        words = -(-trials // _BITS)
        own = bits_of(np.arange(trials), words)
        self.epochs: list[Ints] = []  # of each rung: [trials], from 1; 0 if not reached
        self.is_nan: list[Bools] = []
        self.better: list[Words] = []  # [trials, words], the trials that are strictly better there
        goal = least * ladder.reduction_factor**ladder.min_early_stopping_rate
        while goal <= epochs:
            reached = asked.copy()
            reached[:, : goal - 1] = False
            at = _first(reached)
            value = turned[np.arange(trials), np.maximum(at, 1) - 1]
            better = (value[None, :] > value[:, None]) & (at > 0)[None, :]
            masks = np.zeros((trials, words), dtype=np.uint64)
            for word in range(words):
                parts = np.where(better, own[:, word][None, :], np.uint64(0))
                masks[:, word] = np.bitwise_or.reduce(parts, axis=1)
            self.epochs.append(at)
            self.is_nan.append(np.isnan(value))
            self.better.append(masks)
            goal *= ladder.reduction_factor


class _Halving:
    """Successive halving in one bracket or several, each with rungs and competitors of its own.

    brackets: one ladder each.
    """

    def __init__(self, curves: Curves, asked: Bools, brackets: list[_Ladder]) -> None:
        self.curves, self.asked, self.brackets = curves, asked, brackets
        self.is_ever_asked: Bools = (asked & curves.reported).sum(axis=1) > 0
        self.trials, self.lengths = len(curves.scores), curves.lengths
        self.tables: dict[tuple[int, int], _Rungs] = {}

    def begin(self, orders: int) -> None:
        least = self.brackets[0].min_resource
        self.orders = orders
        self.least: Ints = np.full(orders, -1 if least == "auto" else int(least), dtype=np.intp)
        self.reached: dict[tuple[int, int], Words] = {}  # bracket, rung -> [orders, words]
        self.longest = np.zeros(orders, dtype=np.intp)
        self.before = no_bits(self.trials, orders)
        self.last = np.zeros(orders, dtype=np.intp)

    def stops(self, trials: Ints, finished: Words, place: int) -> Ints:
        self._look_at_longest(finished)
        self.last = trials
        unknown: Bools = (self.least < 0) & (self.longest > 0) & self.is_ever_asked[trials]
        self.least = np.where(unknown, np.maximum(self.longest // 100, 1), self.least)
        stops = np.zeros(self.orders, dtype=np.intp)
        which = self._bracket(trials, place)
        for bracket in np.unique(which[which >= 0]):
            for least in np.unique(self.least[(which == bracket) & (self.least > 0)]):
                rows = np.flatnonzero((which == bracket) & (self.least == least))
                stops[rows] = self._climb(rows, trials[rows], int(bracket), int(least))
        return stops

    def _bracket(self, trials: Ints, place: int) -> Ints:
        return np.zeros(self.orders, dtype=np.int64)

    def _look_at_longest(self, finished: Words) -> None:
        ended = (finished != self.before).any(axis=1)
        self.longest[ended] = np.maximum(self.longest[ended], self.lengths[self.last[ended]])
        self.before = finished.copy()

    def _climb(self, rows: Ints, trials: Ints, bracket: int, least: int) -> Ints:
        ladder = self.brackets[bracket]
        if (bracket, least) not in self.tables:
            self.tables[bracket, least] = _Rungs(self.curves, self.asked, ladder, least)
        rungs = self.tables[bracket, least]
        stops = np.zeros(len(rows), dtype=np.intp)
        here = np.arange(len(rows))
        for rung, (epochs, is_nan, better) in enumerate(
            zip(rungs.epochs, rungs.is_nan, rungs.better, strict=True)
        ):
            here = here[epochs[trials[here]] > 0]
            if not here.size:
                break
            now = trials[here]
            reached = self.reached.setdefault((bracket, rung), no_bits(self.trials, self.orders))
            rivals = reached[rows[here]]
            number = np.bitwise_count(rivals).sum(axis=1, dtype=np.int64) + 1
            ahead = np.bitwise_count(rivals & better[now]).sum(axis=1, dtype=np.int64)
            lost = (number <= ladder.bootstrap_count) | (
                ahead >= np.maximum(number // ladder.reduction_factor, 1)
            )
            lost |= is_nan[now]
            entering = here[~is_nan[now]]
            reached[rows[entering]] |= bits_of(trials[entering], reached.shape[1])
            stops[here[lost]] = epochs[now[lost]]
            here = here[~lost]
        return stops


class _Hyperband(_Halving):
    """Brackets of successive halving; the hash of the study's name and the trial's number chooses one."""

    def __init__(
        self,
        curves: Curves,
        asked: Bools,
        study_name: str,
        min_resource: int,
        max_resource: int | str,
        reduction_factor: int,
        bootstrap_count: int,
    ) -> None:
        self.study_name, self.factor = study_name, reduction_factor
        self.smallest = min_resource
        most = int(curves.lengths.max(initial=1)) + 1 if max_resource == "auto" else int(max_resource)
        ladders = [
            _Ladder(min_resource, reduction_factor, bracket, bootstrap_count)
            for bracket in range(max(1, _brackets(most, min_resource, reduction_factor)))
        ]
        super().__init__(curves, asked, ladders)
        self.largest = -1 if max_resource == "auto" else int(max_resource)

    def begin(self, orders: int) -> None:
        super().begin(orders)
        self.most: Ints = np.full(orders, self.largest, dtype=np.intp)

    def _bracket(self, trials: Ints, place: int) -> Ints:
        unknown: Bools = (self.most < 0) & (self.longest > 0) & self.is_ever_asked[trials]
        self.most = np.where(unknown, self.longest + 1, self.most)
        which = np.full(self.orders, -1, dtype=np.int64)
        for most in np.unique(self.most[self.most > 0]):
            which[self.most == most] = self._dealt(int(most), place)
        return which

    def _dealt(self, most: int, place: int) -> int:
        count = _brackets(most, self.smallest, self.factor)
        shares = [
            math.ceil(count * self.factor ** (count - 1 - b) / (count - b)) for b in range(max(count, 0))
        ]
        if not shares:
            return -1
        left = zlib.crc32(f"{self.study_name}_{place}".encode()) % sum(shares)
        for bracket, share in enumerate(shares):
            left -= share
            if left < 0:
                return bracket
        raise AssertionError("a remainder is below the sum of the shares")


def _brackets(most: int, least: int, factor: int) -> int:
    return math.floor(math.log(most / least, factor)) + 1
