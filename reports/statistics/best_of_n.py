"""Expected score of the best-by-validation of n independent trials, exactly, with its interval.

All functions work on the last axis, so that whole simulations run at once; leading axes are batches.
Weights: Tang et al. 2020 (arXiv 2004.13705), extended to ties and to any concomitant of the selected trial.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from reports.statistics.arrays import Floats, Integers, settled

#: Above this many trials the bootstrap adds nothing to the jackknife and is left out.
BOOTSTRAP_LIMIT = 2_000
#: Up to this n every number of trials is looked at; beyond, steps of 2 per cent with straight lines between.
DENSE_TRIALS = 200


def weights(trials: int, n: int) -> Floats:
    """Probability that rank i (from worst to best) is the best of n out of N drawn without replacement.

    C(i - 1, n - 1) / C(N, n) for i = 1..N, by the recurrence w_N = n / N, w_(i-1) = w_i (i - n) / (i - 1):
    no binomial is ever formed.

    Args:
        trials: N.
        n: 1 <= n <= N.

    Returns:
        Shape [N], sums to 1.

    Raises:
        ValueError: n is not between 1 and N.
    """
    if not 1 <= n <= trials:
        raise ValueError(f"best of {n} is not defined for {trials} trials")
    ranks = np.arange(trials, 1, -1, dtype=np.float64)
    steps = np.maximum(ranks - n, 0.0) / (ranks - 1.0)
    return (n / trials * np.concatenate(([1.0], np.cumprod(steps))))[::-1]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Trials sorted by validation score. Shapes [..., N]; `first` and `last` bound each trial's tie group."""

    order: Integers
    first: Integers
    last: Integers

    @property
    def trials(self) -> int:
        """N."""
        return int(self.order.shape[-1])

    def sorted(self, values: Floats) -> Floats:
        """`values` in the order of the ranking."""
        return np.take_along_axis(np.broadcast_to(values, self.order.shape), self.order, axis=-1)

    def tie_means(self, ranked: Floats) -> Floats:
        """Means over tie groups of values already in ranked order: ties are broken uniformly."""
        # Summed from the best down: a huge loss among the worst must not round the others.
        total = _leading_sums(ranked[..., ::-1])[..., ::-1]
        upper = np.take_along_axis(total, self.first, axis=-1)
        lower = np.take_along_axis(total, self.last + 1, axis=-1)
        means: Floats = np.where(
            self.first == self.last, ranked, (upper - lower) / (self.last - self.first + 1)
        )
        return means

    def unsorted(self, ranked: Floats) -> Floats:
        """Back to the order of the table."""
        values = np.empty_like(ranked)
        np.put_along_axis(values, np.broadcast_to(self.order, ranked.shape), ranked, axis=-1)
        return values


def _leading_sums(values: Floats) -> Floats:
    """Sums of the first 0, 1, ..., N entries. Shape [..., N + 1]."""
    zero = np.zeros((*values.shape[:-1], 1))
    return np.concatenate((zero, np.cumsum(values, axis=-1)), axis=-1)


def rank(validation: Floats) -> Ranking:
    """Sorts by validation score and finds the ties. Shape [..., N]."""
    order = np.argsort(validation, axis=-1, kind="stable")
    ranked = np.take_along_axis(validation, order, axis=-1)
    places = np.broadcast_to(np.arange(validation.shape[-1]), validation.shape)
    new = np.ones(validation.shape, dtype=bool)
    new[..., 1:] = ranked[..., 1:] != ranked[..., :-1]
    first = np.maximum.accumulate(np.where(new, places, 0), axis=-1)
    closes = np.ones(validation.shape, dtype=bool)
    closes[..., :-1] = new[..., 1:]
    behind = np.where(closes, places, validation.shape[-1])[..., ::-1]
    last = np.minimum.accumulate(behind, axis=-1)[..., ::-1]
    return Ranking(order, first, last)


def expected_best(ranking: Ranking, values: Floats, n: int) -> Floats:
    """Mean of `values` at the trial that validation selects among n, over all subsets of size n.

    The unbiased estimator of E[values at the best-by-validation of n independent trials]: test score, size,
    cost, or validation minus test.

    Returns:
        Shape [...].
    """
    means = ranking.tie_means(ranking.sorted(values))
    best: Floats = means @ weights(ranking.trials, n)
    return best


def trial_weights(ranking: Ranking, n: int) -> Floats:
    """Probability of each trial, in the table's order, to be the selected one of n. Shape [..., N]."""
    w = np.broadcast_to(weights(ranking.trials, n), ranking.order.shape)
    return ranking.unsorted(ranking.tie_means(w))


def leave_one_out(ranking: Ranking, values: Floats, n: int) -> Floats:
    """`expected_best` with each trial left out in turn, in O(N) by prefix sums.

    Returns:
        Shape [..., N], in the table's order.

    Raises:
        ValueError: n is not between 1 and N - 1.
    """
    ranked = ranking.sorted(values)
    means = ranking.tie_means(ranked)
    w = weights(ranking.trials - 1, n)
    # Ranks below the one left out keep their weight, ranks above move down by one place; its own tie group
    # loses a place and its mean changes.
    below = _leading_sums(w * means[..., :-1])
    above = _leading_sums(w * means[..., 1:])
    share = np.concatenate(([0.0], np.cumsum(w)))
    size = ranking.last - ranking.first + 1
    rest = (size * means - ranked) / np.maximum(size - 1, 1)
    own = (share[ranking.last] - share[ranking.first]) * np.where(size > 1, rest, 0.0)
    left = np.take_along_axis(below, ranking.first, axis=-1)
    right = above[..., -1:] - np.take_along_axis(above, ranking.last, axis=-1)
    return ranking.unsorted(left + own + right)


def jackknife_se(left_out: Floats, scale: npt.ArrayLike | None = None) -> Floats:
    """Standard error from leave-one-out values, shape [..., N] -> [...]; on average too large if anything
    (Efron & Stein 1981). Zero where it is zero but for rounding.

    scale: size of the numbers that the values came from, shape [...]; None: the largest of the values.
    """
    trials = left_out.shape[-1]
    spread = left_out - left_out.mean(axis=-1, keepdims=True)
    error = np.sqrt((trials - 1) / trials * np.sum(spread**2, axis=-1))
    found: Floats = settled(error, np.abs(left_out).max(axis=-1) if scale is None else scale)
    return found


def best_of_n_df(trials: int, n: int | Integers) -> Any:
    """Degrees of freedom for best-of-n jackknife limits: min(N - 1, max(2, 2 N / n - 1)).

    Calibrated by simulation (`make calibrate`, bar 3), from no paper: about N / n independent searches hide
    in N trials, and the jackknife variance is itself noisy.
    """
    return np.minimum(trials - 1, np.maximum(2.0, 2.0 * trials / np.asarray(n) - 1.0))


def bootstrap_best(
    ranking: Ranking, values: Floats, n: npt.ArrayLike, resamples: int, generator: np.random.Generator
) -> Floats:
    """Bootstrap replicates of `expected_best` without re-sorting: only counts on the sorted sample are drawn.

    Args:
        ranking: of one arm, shape [N].
        values: shape [N].
        n: numbers of trials, shape [K].
        resamples: B.
        generator: random numbers.

    Returns:
        Shape [K, B].
    """
    trials = ranking.trials
    ranked = ranking.sorted(values)
    draws = generator.integers(0, trials, (resamples, trials)) + trials * np.arange(resamples)[:, None]
    counts = np.bincount(draws.ravel(), minlength=resamples * trials).reshape(resamples, trials)
    ends = np.unique(ranking.last)
    reached = np.concatenate(
        (np.zeros((resamples, 1), dtype=np.int64), np.cumsum(counts, axis=1)[:, ends]), axis=1
    )
    sums = np.concatenate((np.zeros((resamples, 1)), np.cumsum(counts * ranked, axis=1)[:, ends]), axis=1)
    drawn = np.diff(reached, axis=1)
    means = np.diff(sums, axis=1) / np.maximum(drawn, 1)
    replicates = np.empty((np.size(n), resamples))
    for row, m in enumerate(np.atleast_1d(n)):
        table = np.concatenate(([0.0], np.cumsum(weights(trials, int(m)))))
        replicates[row] = np.einsum("bg,bg->b", np.diff(table[reached], axis=1), means)
    return replicates


def hull_limits(
    value: Floats, se: Floats, df: Floats, replicates: Floats | None, level: float
) -> tuple[Floats, Floats]:
    """The wider of jackknife-t and percentile bootstrap at each end.

    The jackknife covers at N / n of 2 and more; the percentile ends repair n <= 2 where rare catastrophes
    have not been seen often enough.

    Args:
        value: shape [K].
        se: shape [K].
        df: shape [K].
        replicates: shape [K, B], or None for the jackknife alone.
        level: e.g. .95.

    Returns:
        Lower and upper limits, shape [K] each.
    """
    half = stats.t.ppf((1 + level) / 2, df) * se
    low, high = value - half, value + half
    if replicates is not None:
        ends = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=1)
        low, high = np.minimum(low, ends[0]), np.maximum(high, ends[1])
    return low, high


def trial_grid(largest: int, *wanted: int) -> Integers:
    """Numbers of trials at which curves are computed: 1..largest, thinned beyond `DENSE_TRIALS`.

    `wanted` numbers are kept, if not above `largest`.
    """
    if largest <= DENSE_TRIALS:
        return np.arange(1, largest + 1)
    steps = int(np.ceil(np.log(largest / DENSE_TRIALS) / np.log(1.02)))
    tail = np.geomspace(DENSE_TRIALS, largest, steps + 1)
    kept = np.array([n for n in wanted if 1 <= n <= largest], dtype=np.int64)
    return np.unique(np.concatenate((np.arange(1, DENSE_TRIALS + 1), np.round(tail).astype(np.int64), kept)))


def median_best(validation: Floats, n: int, level: float) -> tuple[float, float, float]:
    """Median of the best validation score of n trials, with exact distribution-free limits.

    The median of the best of n is the 2^(-1/n) quantile of one trial; limits are order statistics. A finite
    upper limit exists only for N >= ln((1 - level) / 2) / ln(1/2) * n, i.e. 5.32 n at 95 %.

    Returns:
        Median, lower and upper limit; infinite where none exists.
    """
    ranked = np.sort(validation)
    trials = ranked.size
    place = int(np.searchsorted(np.cumsum(weights(trials, n)), 0.5 - 1e-12))
    quantile = 0.5 ** (1 / n)
    tail = (1 - level) / 2
    below = stats.binom.cdf(np.arange(trials + 1), trials, quantile)
    lower = int(np.searchsorted(below, tail, side="right"))  # ranks 1..lower have P(Bin <= rank - 1) <= tail
    upper = int(np.searchsorted(below, 1 - tail))  # first r with P(Bin <= r) >= 1 - tail: the rank r + 1
    low = float(ranked[lower - 1]) if lower >= 1 else -np.inf
    high = float(ranked[upper]) if upper < trials else np.inf
    return float(ranked[min(place, trials - 1)]), low, high
