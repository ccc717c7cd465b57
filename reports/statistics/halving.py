"""Successive halving and Hyperband on recorded curves, by the rules of Optuna's pruners of those names."""

import math
import zlib
from dataclasses import dataclass

import numpy as np

from reports.statistics.bits import BITS, Ints, Words, bits_of, no_bits
from reports.statistics.recorded import Bools, Curves, first_wanted


@dataclass(frozen=True, slots=True)
class Ladder:
    """Options of successive halving, by Optuna's names; min_resource may be "auto"."""

    min_resource: int | str
    reduction_factor: int
    min_early_stopping_rate: int
    bootstrap_count: int


class _Rungs:
    """A ladder for one least resource: at which epoch each trial comes to which rung, and who is better."""

    def __init__(self, curves: Curves, asked: Bools, ladder: Ladder, least: int) -> None:
        turned = curves.turned
        trials, epochs = turned.shape
        asked = asked & curves.reported
        words = -(-trials // BITS)
        own = bits_of(np.arange(trials), words)
        self.epochs: list[Ints] = []  # of each rung: [trials], from 1; 0 if not reached
        self.is_nan: list[Bools] = []
        self.better: list[Words] = []  # [trials, words], the trials that are strictly better there
        goal = least * ladder.reduction_factor**ladder.min_early_stopping_rate
        while goal <= epochs:
            reached = asked.copy()
            reached[:, : goal - 1] = False
            at = first_wanted(reached)
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


class Halving:
    """Successive halving in one bracket or several, each with rungs and competitors of its own.

    brackets: one ladder each.
    """

    def __init__(self, curves: Curves, asked: Bools, brackets: list[Ladder]) -> None:
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


class Hyperband(Halving):
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
            Ladder(min_resource, reduction_factor, bracket, bootstrap_count)
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
