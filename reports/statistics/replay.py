"""A search under a pruner, replayed from what its trials did without one.

What is estimated: the test score of the incumbent after a budget is spent, averaged over random orders of
the pool's trials, without replacement. The incumbent is the trial and epoch of the highest validation score
seen by then, in a stopped trial or not. A trial that crosses the budget is cut there; what a trial cost is
paid whether it was stopped, failed or finished. A trial that was trained into its failure leaves no network.

Limits: jackknife over the pool. Each trial in turn is deleted *from the same orders*, which are replayed; of
the squared error the Monte-Carlo part is taken away. The spread over orders is never used: orders share the
pool. Coverage as seen is in `tests.calibration.replays`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reports.statistics.arrays import Floats
from reports.statistics.bits import Ints, bits_of, no_bits
from reports.statistics.matching import t_quantile
from reports.statistics.recorded import Bools, Curves, Stopping
from reports.statistics.stopping import stopping

#: Random orders of the pool: the error they leave is small beside that of the pool.
ORDERS = 1_000
#: Where more orders than this share run out of trials before the budget is spent, there is no estimate.
MOST_EXHAUSTED = 0.01


@dataclass(frozen=True, slots=True)
class Pool:
    """Recorded trials. Shapes: [trials, epochs] but where said.

    curves: validation scores as reported. best: the best validation score that could be selected up to an
    epoch; NaN where there was none. best_test: the test score at that epoch. costs: paid up to an epoch.
    totals: [trials], paid by a trial that ran to its end. failed_score: counted while there is no network.
    """

    curves: Curves
    best: Floats
    best_test: Floats
    costs: Floats
    totals: Floats
    failed_score: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the orders. Shapes: [orders, places] for stops, [orders, budgets] for the others.

    stops: the epoch after which the trial was stopped, 0 where it ran to its end or lies behind all budgets.
    test: of the incumbent.
    begun: trials begun before the budget was spent. stopped: those of them that were stopped by then.
    exhausted: the pool was, before the budget.
    """

    stops: Ints
    test: Floats
    begun: Ints
    stopped: Ints
    exhausted: Bools


@dataclass(frozen=True, slots=True)
class Spending:
    """Expected test score of the incumbent against what was spent. Shapes [budgets].

    begun, stopped: mean numbers of trials. exhausted: share of orders that ran out of trials.
    """

    budgets: Floats
    value: Floats
    se: Floats
    df: Floats
    begun: Floats
    stopped: Floats
    exhausted: Floats

    def limits(self, level: float) -> tuple[Floats, Floats]:
        """The ends of the interval at every budget."""
        half = t_quantile(level, self.df) * self.se
        return self.value - half, self.value + half


@dataclass(frozen=True, slots=True)
class Search:
    """One search over a whole pool. test: of the incumbent at its end. cost: paid for all trials.

    stopped, finished, failed: numbers of trials; a trial that is stopped before it would have failed did not.
    """

    test: float
    cost: float
    stopped: int
    finished: int
    failed: int


def random_orders(trials: int, orders: int, seed: int) -> Ints:
    """[orders, trials], each a random order of the pool."""
    generator = np.random.default_rng(seed)
    return generator.permuted(np.tile(np.arange(trials), (orders, 1)), axis=1)


def replay(pool: Pool, pruner: Mapping[str, Any], orders: Ints, budgets: Floats) -> Replayed:
    """A sequential study under a pruner, in many orders at once.

    Args:
        pruner: by Optuna's name, with all its options (`reports.statistics.stopping.stopping`).
        orders: [orders, places], trials of the pool, none twice.
        budgets: [budgets], growing, in the unit of the pool's costs.
    """
    return _replay(pool, stopping(pruner, pool.curves), orders, budgets)


def whole_search(pool: Pool, pruner: Mapping[str, Any], order: Ints) -> Search:
    """A sequential study under a pruner that goes through all of `order`, [places], whatever it costs."""
    found = replay(pool, pruner, order[None, :], np.array([np.inf]))
    stops = found.stops[0]
    stopped, failed = stops > 0, (stops == 0) & pool.curves.failed[order]
    costs = np.where(stopped, pool.costs[order, np.maximum(stops, 1) - 1], pool.totals[order])
    return Search(
        test=float(found.test[0, 0]),
        cost=float(costs.sum()),
        stopped=int(stopped.sum()),
        finished=int((~stopped & ~failed).sum()),
        failed=int(failed.sum()),
    )


def _replay(pool: Pool, rule: Stopping, orders: Ints, budgets: Floats) -> Replayed:
    count, places = orders.shape
    curves = pool.curves
    rule.begin(count)
    words = no_bits(len(pool.totals), 1).shape[1]
    finished = no_bits(len(pool.totals), count)
    spent, best = np.zeros(count), np.full(count, -np.inf)
    test = np.full(count, pool.failed_score)
    known = np.where(np.isnan(pool.best), -np.inf, pool.best if curves.higher_is_better else -pool.best)
    ends = np.full((count, len(budgets)), pool.failed_score)
    begun, stopped = np.zeros((2, count, len(budgets)), dtype=np.intp)
    is_open = np.ones((count, len(budgets)), dtype=np.bool_)
    stops = np.zeros((count, places), dtype=np.intp)
    for place in range(places):
        if not is_open.any():
            break
        trials = orders[:, place]
        stop = rule.stops(trials, finished, place)
        stops[:, place] = stop
        through = stop == 0
        last = np.where(through, curves.lengths[trials], stop)
        cost = np.where(through, pool.totals[trials], pool.costs[trials, np.maximum(last, 1) - 1])
        after = spent + cost
        for number, budget in enumerate(budgets):
            here = is_open[:, number]
            begun[here, number] += 1
            stopped[here & ~through & (after <= budget), number] += 1
            crossing = np.flatnonzero(here & (after >= budget))
            if not crossing.size:
                continue
            cut = trials[crossing]
            seen = (pool.costs[cut] <= (budget - spent[crossing])[:, None]).sum(axis=1)
            seen = np.minimum(seen, last[crossing])
            lost = through[crossing] & curves.failed[cut] & (after[crossing] <= budget)
            mine, own_test = _offered(known, pool.best_test, cut, np.where(lost, 0, seen))
            better = mine > best[crossing]
            ends[crossing, number] = np.where(better, own_test, test[crossing])
            is_open[crossing, number] = False
        failed = through & curves.failed[trials]
        mine, own_test = _offered(known, pool.best_test, trials, np.where(failed, 0, last))
        better = mine > best
        best, test = np.where(better, mine, best), np.where(better, own_test, test)
        spent = after
        complete = np.flatnonzero(through & ~curves.failed[trials])
        finished[complete] |= bits_of(trials[complete], words)
    ends = np.where(is_open, test[:, None], ends)
    return Replayed(stops, ends, begun, stopped, is_open)


def _offered(known: Floats, tests: Floats, trials: Ints, epochs: Ints) -> tuple[Floats, Floats]:
    """The best of some trials after some epochs, and its test score; minus infinity after none."""
    at = np.maximum(epochs, 1) - 1
    return np.where(epochs > 0, known[trials, at], -np.inf), tests[trials, at]


def spending(
    pool: Pool,
    pruners: tuple[Mapping[str, Any], ...],
    budgets: Floats,
    seed: int,
    orders: int = ORDERS,
) -> tuple[tuple[Spending, ...], Spending | None]:
    """Every pruner's incumbent against what was spent, and the first one's score less the second's.

    All are replayed in the same orders, so their difference is as sharp as the pool allows.
    """
    drawn = random_orders(len(pool.totals), orders, seed)
    number = len(pool.totals)
    rules = [stopping(pruner, pool.curves) for pruner in pruners]
    full = [_replay(pool, rule, drawn, budgets) for rule in rules]
    left: list[list[Floats]] = [[] for _ in pruners]
    for trial in range(number):
        without = drawn[drawn != trial].reshape(orders, number - 1)
        for place, rule in enumerate(rules):
            left[place].append(_replay(pool, rule, without, budgets).test)
    lines = [_line(run.test, np.stack(parts), run, budgets) for run, parts in zip(full, left, strict=True)]
    if len(pruners) < 2:
        return tuple(lines), None
    gap = _line(full[0].test - full[1].test, np.stack(left[0]) - np.stack(left[1]), full[0], budgets)
    parts = [line.se**2 for line in lines]
    # Satterthwaite's, as for two arms: of equal searches, whose errors may be none, those of either.
    whole, apart = sum(parts), sum(part**2 / line.df for part, line in zip(parts, lines, strict=True))
    df = np.where(apart > 0, whole**2 / np.where(apart > 0, apart, 1.0), lines[0].df)
    exhausted = np.maximum(lines[0].exhausted, lines[1].exhausted)
    return tuple(lines), replace(gap, df=np.minimum(df, number - 1.0), exhausted=exhausted)


def _line(test: Floats, left: Floats, run: Replayed, budgets: Floats) -> Spending:
    """test: [orders, budgets]. left: [trials, orders, budgets], with each trial deleted."""
    number, orders = left.shape[:2]
    begun = run.begun.mean(axis=0)
    means = left.mean(axis=1)
    variance = (number - 1) / number * ((means - means.mean(axis=0)) ** 2).sum(axis=0)
    apart = left - left.mean(axis=0)
    noise = (number - 1) / number * apart.var(axis=1, ddof=1).sum(axis=0) / orders
    own = test.var(axis=0, ddof=1) / orders
    se = np.sqrt(np.maximum(variance - noise, 0.0) + own)
    df = np.minimum(number - 1.0, np.maximum(2.0, 2 * number / begun - 1))
    return Spending(
        budgets, test.mean(axis=0), se, df, begun, run.stopped.mean(axis=0), run.exhausted.mean(axis=0)
    )
