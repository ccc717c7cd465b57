"""Tests and effect sizes between two arms, for independent, paired and search-level comparisons.

The default test is Brunner-Munzel with a studentised permutation (Neubert & Brunner 2007; Chung & Romano
2011): exact if the arms are alike, asymptotically right whenever P(B > A) = 1/2 whatever the spreads, and
defined when the arms separate completely, where the t version divides by zero.
"""

from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from reports.statistics.arrays import ROUNDING, Floats, settled

#: Above this many trials together, and with `LARGE_ARM` in each arm, Student's t replaces permutations.
PERMUTATION_LIMIT = 1_000
LARGE_ARM = 20
#: Above this many pairs the Hodges-Lehmann shift is bracketed by counting instead of sorting all differences.
PAIRS_LIMIT = 1_000_000
#: Up to this many ways to split the searches, all are enumerated.
EXACT_SPLITS = 20_000
#: Permutations are judged in blocks of at most this many labels, to bound memory.
_BLOCK = 250_000
#: A small arm beside a huge one gets fewer permutations, 999 at least: no test takes more than seconds.
_MOST_LABELS = 20_000_000
#: Permutations end once so many were as extreme as what was observed: the p-value is known to a twentieth of
#: itself then, and stays valid (Besag & Clifford 1991).
_ENOUGH = 400


def _placements(pooled: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Order of the pooled sample with first and last place of each tie group."""
    order = np.argsort(pooled, kind="stable")
    ranked = pooled[order]
    first = np.searchsorted(ranked, ranked, side="left")
    last = np.searchsorted(ranked, ranked, side="right")
    return order, first, last


def _studentised(
    labels: npt.NDArray[np.bool_], first: npt.NDArray[np.intp], last: npt.NDArray[np.intp]
) -> Floats:
    """Brunner-Munzel statistics for many labellings of one sorted sample.

    Args:
        labels: True where a place belongs to the second arm B, shape [P, N].
        first: first place of each place's tie group, shape [N].
        last: place after the last one of it, shape [N].

    Returns:
        Shape [P]; infinite with the sign of the shift where the arms separate; 0 where nothing differs.
    """
    b = int(labels[0].sum())
    a = labels.shape[1] - b
    middle = (first + last) / 2  # trials of both arms below a place, ties half
    # Places run along the first axis: running sums and gathering of rows are contiguous then.
    in_b = np.ascontiguousarray(labels.T, dtype=np.float64)
    counts = np.zeros((middle.size + 1, labels.shape[0]))
    np.cumsum(in_b, axis=0, out=counts[1:])
    below = (counts[first] + counts[last]) / 2
    # Sums and sums of squares of each place's count of the other arm; whole and half numbers, so exact.
    below_b = in_b * below
    both, both_2 = below.sum(axis=0), (below**2).sum(axis=0)
    of_b, of_b_2 = below_b.sum(axis=0), (below_b**2).sum(axis=0)
    cross, total_b = (below_b * middle[:, None]).sum(axis=0), (in_b * middle[:, None]).sum(axis=0)
    squares_b = (in_b * (middle**2)[:, None]).sum(axis=0)
    sum_a, sum_a_2 = both - of_b, both_2 - of_b_2
    sum_b, sum_b_2 = total_b - of_b, squares_b - 2 * cross + of_b_2
    var_a, var_b = _variance(sum_a, sum_a_2, a) / b**2, _variance(sum_b, sum_b_2, b) / a**2
    shift = sum_b / (a * b) - 0.5
    shift = settled(shift, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = shift / np.sqrt(var_a / a + var_b / b)
    return np.where(shift == 0.0, 0.0, statistic)


def _variance(total: Floats, squares: Floats, size: int) -> Floats:
    """Variance from sums; rounding errors of equal values, far below what counts can differ by, are 0."""
    scatter = squares - total**2 / size
    return np.where(scatter > 1e-6, scatter, 0.0) / max(size - 1, 1)


def brunner_munzel_p(
    second: Floats, first: Floats, permutations: int, generator: np.random.Generator
) -> float:
    """Two-sided p-value of P(second > first) + P(tie) / 2 = 1/2.

    Studentised permutation test; above `PERMUTATION_LIMIT` trials Student's t with Satterthwaite's degrees of
    freedom. Never undefined: complete separation gives the exact permutation p-value, 2 / C(N_A + N_B, N_A),
    a sample of ties only gives 1.

    Args:
        second: scores of arm B, minus infinity for failed trials (they rank worst).
        first: scores of arm A.
        permutations: random relabellings.
        generator: random numbers.
    """
    a, b = first.size, second.size
    order, low, high = _placements(np.concatenate((first, second)))
    observed = _studentised((order >= a)[None, :], low, high)[0]
    if observed == 0.0:
        return 1.0
    if np.isinf(observed):
        splits = special.gammaln(a + b + 1) - special.gammaln(a + 1) - special.gammaln(b + 1)
        return float(min(1.0, 2 * np.exp(-splits)))
    if a + b > PERMUTATION_LIMIT and min(a, b) >= LARGE_ARM:
        _, _, df = a12_moments(second, first)
        return float(2 * special.stdtr(df, -abs(observed)))
    permutations = min(permutations, max(999, _MOST_LABELS // (a + b)))
    extreme = done = 0
    rows = max(1, _BLOCK // (a + b))
    while done < permutations and extreme < _ENOUGH:
        size = min(rows, permutations - done)
        shuffled = generator.random((size, a + b)).argsort(axis=1) >= a
        extreme += int((np.abs(_studentised(shuffled, low, high)) >= abs(observed) - 1e-9).sum())
        done += size
    return (extreme + 1) / (done + 1)


def a12_moments(second: Floats, first: Floats) -> tuple[float, float, float]:
    """P(second > first) + P(tie) / 2, its standard error and degrees of freedom (Brunner & Munzel 2000)."""
    a, b = first.size, second.size
    ranked_a, ranked_b = np.sort(first), np.sort(second)
    in_b = (np.searchsorted(ranked_b, first, "left") + np.searchsorted(ranked_b, first, "right")) / (2 * b)
    in_a = (np.searchsorted(ranked_a, second, "left") + np.searchsorted(ranked_a, second, "right")) / (2 * a)
    parts = (
        float(settled(in_b.std(ddof=1), 1.0)) ** 2 / a if a > 1 else 0.0,
        float(settled(in_a.std(ddof=1), 1.0)) ** 2 / b if b > 1 else 0.0,
    )
    scatter = parts[0] ** 2 / max(a - 1, 1) + parts[1] ** 2 / max(b - 1, 1)
    df = (parts[0] + parts[1]) ** 2 / scatter if scatter > 0 else float(max(min(a, b) - 1, 1))
    return float(in_a.mean()), float(np.sqrt(parts[0] + parts[1])), float(df)


def a12_limits(second: Floats, first: Floats, level: float) -> tuple[float, float, float]:
    """A12 with logit-t limits; at 0 or 1 the exact binomial limit for the smaller arm.

    Returns:
        Estimate, lower and upper limit, all in [0, 1].
    """
    value, error, df = a12_moments(second, first)
    edge = ((1 - level) / 2) ** (1 / min(first.size, second.size))
    if value <= 0.0:
        return 0.0, 0.0, 1 - edge
    if value >= 1.0:
        return 1.0, edge, 1.0
    half = float(special.stdtrit(df, (1 + level) / 2)) * error / (value * (1 - value))
    middle = special.logit(value)
    return value, float(special.expit(middle - half)), float(special.expit(middle + half))


def hodges_lehmann(second: Floats, first: Floats, level: float) -> tuple[float, float, float]:
    """Median of all differences second - first, with limits from the quantiles of Mann-Whitney's U.

    Limits are order statistics of the differences, by the normal form of U; with too few trials for the level
    they are the extreme differences.

    Returns:
        Shift, lower and upper limit.
    """
    a, b = first.size, second.size
    pairs = a * b
    z = float(special.ndtri((1 + level) / 2))
    reach = int(np.floor(pairs / 2 - z * np.sqrt(pairs * (a + b + 1) / 12) - 0.5))
    low = min(max(reach, 0), (pairs - 1) // 2)
    places = (low, (pairs - 1) // 2, pairs // 2, pairs - 1 - low)
    if pairs <= PAIRS_LIMIT:
        differences = np.partition(np.subtract.outer(second, first).ravel(), sorted(set(places)))
        values = [float(differences[place]) for place in places]
    else:
        ranked = np.sort(first), np.sort(second)
        values = [_kth_difference(ranked[1], ranked[0], place) for place in places]
    return (values[1] + values[2]) / 2, values[0], values[3]


def _kth_difference(second: Floats, first: Floats, place: int) -> float:
    """The difference of given place (from 0), by bisection on counts: O(N log N) a step."""
    low, high = float(second[0] - first[-1]), float(second[-1] - first[0])
    for _ in range(60):
        middle = (low + high) / 2
        at_most = first.size * second.size - int(np.searchsorted(first, second - middle, "left").sum())
        low, high = (low, middle) if at_most > place else (middle, high)
    return high


def paired_p(second: Floats, first: Floats, permutations: int, generator: np.random.Generator) -> float:
    """Two-sided p-value for paired trials: studentised mean difference of midranks, labels swapped in pairs.

    Under exchangeability within pairs swapping the two labels of a pair flips the sign of its difference
    (Konietschke & Pauly 2012 studentise in the same way).
    """
    midranks = stats.rankdata(np.concatenate((first, second)))
    differences = midranks[first.size :] - midranks[: first.size]
    size = differences.size

    def statistic(signed: Floats) -> Floats:
        mean = signed.mean(axis=-1)
        error = signed.std(axis=-1, ddof=1) / np.sqrt(size)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.abs(mean) / settled(error, size)
        return np.asarray(np.where(settled(mean, size) == 0.0, 0.0, ratio))

    observed = float(statistic(differences))
    if observed == 0.0:
        return 1.0
    extreme = 0
    rows = max(1, _BLOCK // size)
    for start in range(0, permutations, rows):
        signs = generator.choice((-1.0, 1.0), size=(min(rows, permutations - start), size))
        extreme += int((statistic(signs * differences) >= observed - 1e-9).sum())
    return (extreme + 1) / (permutations + 1)


def search_p(second: Floats, first: Floats, permutations: int, generator: np.random.Generator) -> float:
    """Two-sided permutation p-value between whole searches, on the difference of mean outcomes.

    All splits are enumerated where there are at most `EXACT_SPLITS` (exact: 5 against 5 reaches .0079), else
    random ones are drawn.

    Args:
        second: one outcome a search.
        first: one outcome a search.
        permutations: random relabellings where not enumerated.
        generator: random numbers.
    """
    pooled = np.concatenate((first, second))
    size, b = pooled.size, second.size
    total = pooled.sum()

    def shift(sums: Floats) -> Floats:
        distance: Floats = np.abs(sums / b - (total - sums) / (size - b))
        return distance

    observed = float(shift(np.asarray(second.sum())))
    slack = ROUNDING * float(np.abs(pooled).max())
    if comb(size, b) <= EXACT_SPLITS:
        splits = np.array(list(combinations(range(size), b)))
        return float(np.mean(shift(pooled[splits].sum(axis=1)) >= observed - slack))
    picks = generator.permuted(np.broadcast_to(pooled, (permutations, size)), axis=1)[:, :b].sum(axis=1)
    return (int((shift(picks) >= observed - slack).sum()) + 1) / (permutations + 1)
