"""How many trials of a method match n trials of the baseline, and how likely its best of m wins.

Matched trials m*(n) = inf{m : E[best of m, method] >= E[best of n, baseline]}, linear between whole numbers.
Limits come from inverting the interval of the difference D(m); an end beyond half of the method's trials is
open, never replaced by a number. Leading axes are batches, as in `reports.statistics.best_of_n`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from reports.arms.from_table import Arm, Floats, Integers
from reports.statistics.best_of_n import (
    Ranking,
    best_of_n_df,
    expected_best,
    jackknife_se,
    leave_one_out,
    rank,
    trial_grid,
    trial_weights,
)

#: Fewest replicated searches of an adaptive arm: with 4 against 4 no permutation can reach p = .01.
FEWEST_SEARCHES = 5


def t_quantile(level: float | Floats, df: Floats) -> Floats:
    """Two-sided quantile of Student's t: t.ppf((1 + level) / 2, df), without scipy's checks."""
    quantile: Floats = special.stdtrit(df, (1 + np.asarray(level)) / 2)
    return quantile


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Expected score of the best of m, for growing m, with standard errors.

    Shapes: m [K]; value, se [..., K]; df broadcastable to them; left_out [K, N] in the table's order, where
    kept (paired arms need it).
    """

    m: Integers
    value: Floats
    se: Floats
    df: Floats
    left_out: Floats | None = None

    def at(self, n: int) -> "Track":
        """The track at one number of trials, shapes [..., 1].

        Raises:
            ValueError: the track does not hold n.
        """
        where = np.flatnonzero(self.m == n)
        if where.size == 0:
            raise ValueError(f"the curve has no value at n={n}")
        keep = slice(where[0], where[0] + 1)
        return Track(
            self.m[keep],
            self.value[..., keep],
            self.se[..., keep],
            np.broadcast_to(self.df, self.value.shape)[..., keep],
            None if self.left_out is None else self.left_out[keep],
        )


def independent_track(ranking: Ranking, test: Floats, m: Integers, keep: bool = False) -> Track:
    """Best-of-m of independent trials by exact weights and jackknife; m up to N / 2 is meaningful."""
    values, errors, kept = [], [], []
    for number in m:
        left_out = leave_one_out(ranking, test, int(number))
        values.append(expected_best(ranking, test, int(number)))
        errors.append(jackknife_se(left_out))
        if keep:
            kept.append(left_out)
    return Track(
        m,
        np.stack(values, axis=-1),
        np.stack(errors, axis=-1),
        best_of_n_df(ranking.trials, m),
        np.stack(kept) if keep else None,
    )


def search_paths(arm: Arm, values: Floats) -> Floats:
    """`values` of the best trial so far in each replicated search, in the order of drawing.

    Returns:
        Shape [R, M] with M the length of the shortest search. Ties keep the earlier trial.

    Raises:
        ValueError: the arm has no searches or no order of drawing.
    """
    if arm.search is None or arm.position is None:
        raise ValueError("replicated searches need the columns replicate and index")
    numbers = np.unique(arm.search)
    rows = [np.flatnonzero(arm.search == number) for number in numbers]
    length = min(row.size for row in rows)
    paths = np.empty((numbers.size, length))
    for place, row in enumerate(rows):
        row = row[np.argsort(arm.position[row], kind="stable")][:length]
        scores = arm.validation[row]
        best = np.maximum.accumulate(scores)
        is_new = np.concatenate(([True], scores[1:] > best[:-1]))
        selected = np.maximum.accumulate(np.where(is_new, np.arange(length), 0))
        paths[place] = values[row][selected]
    return paths


def search_track(arm: Arm) -> Track:
    """Best so far of an adaptive arm: mean over whole searches, t with R - 1 degrees of freedom."""
    paths = search_paths(arm, arm.test)
    searches = paths.shape[0]
    error = paths.std(axis=0, ddof=1) / np.sqrt(searches) if searches > 1 else np.full(paths.shape[1], np.inf)
    df = np.full(paths.shape[1], float(max(searches - 1, 1)))
    return Track(np.arange(1, paths.shape[1] + 1), paths.mean(axis=0), error, df)


def arm_track(arm: Arm, wanted: tuple[int, ...] = (), keep: bool = False) -> Track:
    """The track of an arm by the formula that its sampling allows; it holds the wanted numbers of trials.

    Raises:
        DependentTrialsError: the arm is a design (grid, quasi-random): described, not inferred from.
        ValueError: too few trials for any curve, or an adaptive arm without order.
    """
    if arm.sampling == "adaptive":
        return search_track(arm)
    arm.require_independent()
    return independent_track(rank(arm.validation), arm.test, trial_grid(arm.trials // 2, *wanted), keep)


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """D(m) = E[best of m, method] - E[best of n, baseline] for growing m. Shapes as in `Track`."""

    n: int
    m: Integers
    value: Floats
    se: Floats
    df: Floats

    def at(self, m: int) -> tuple[float, float, float]:
        """Difference, standard error and degrees of freedom at m trials of the method (no batch axes)."""
        index = int(np.argmin(np.abs(self.m - m)))
        return float(self.value[index]), float(self.se[index]), float(self.df[index])


def gap(method: Track, baseline: Track, n: int, paired: bool = False) -> Gap:
    """The difference between a method's track and the baseline's best of n.

    Args:
        method: of the method, shapes [..., K].
        baseline: of the baseline; must hold n.
        n: trials of the baseline.
        paired: the arms' trials correspond one to one, in order: joint jackknife over pairs.
    """
    base = baseline.at(n)
    value = method.value - base.value
    if paired and method.left_out is not None and base.left_out is not None:
        se = jackknife_se(method.left_out - base.left_out)
        df = np.minimum(np.broadcast_to(method.df, value.shape), base.df)
        return Gap(n, method.m, value, se, df)
    squares = method.se**2, base.se**2
    se = np.sqrt(squares[0] + squares[1])
    scatter = squares[0] ** 2 / method.df + squares[1] ** 2 / base.df
    smallest = np.minimum(np.broadcast_to(method.df, value.shape), base.df)
    # Satterthwaite; where neither arm varies the errors are 0 and the degrees of freedom do not matter.
    df = np.where(scatter > 0, se**4 / np.where(scatter > 0, scatter, 1.0), smallest)
    return Gap(n, method.m, value, se, np.maximum(df, 1.0))


def first_crossing(m: Integers, curve: Floats, strict: bool = False) -> Floats:
    """Smallest m (linear between whole numbers) where a curve reaches 0; infinity where it does not.

    Args:
        m: shape [K].
        curve: shape [..., K].
        strict: it must exceed 0.

    Returns:
        Shape [...]; m[0] where the curve starts above.
    """
    above = curve > 0 if strict else curve >= 0
    index = np.argmax(above, axis=-1)
    reached = np.take_along_axis(above, index[..., None], axis=-1)[..., 0]
    before = np.maximum(index - 1, 0)
    right = np.take_along_axis(curve, index[..., None], axis=-1)[..., 0]
    left = np.take_along_axis(curve, before[..., None], axis=-1)[..., 0]
    rise = np.where(right > left, right - left, 1.0)
    share = np.where(index > 0, np.clip(-left / rise, 0.0, 1.0), 0.0)
    crossing = m[before] + share * (m[index] - m[before])
    return np.where(reached, crossing, np.inf)


def matched_trials(gap_: Gap, level: float | Floats) -> tuple[Floats, Floats, Floats]:
    """m*(n) with limits by inversion: where D(m) + t se first reaches 0, and D(m) - t se first exceeds it.

    Asking the lower curve to *stay* above 0 would lose power, as t se grows with m, and gain no coverage.

    Args:
        gap_: shapes [..., K].
        level: two-sided level, shape [...] or a number.

    Returns:
        Point, lower and upper limit, shape [...]; infinite where not reached within the track; the first m
        (usually 1) where that already suffices.
    """
    half = t_quantile(np.asarray(level)[..., None], gap_.df) * gap_.se
    point = first_crossing(gap_.m, np.maximum.accumulate(gap_.value, axis=-1))
    low = first_crossing(gap_.m, gap_.value + half)
    high = first_crossing(gap_.m, gap_.value - half, strict=True)
    # A dip of the curves between whole numbers must not turn the interval inside out.
    return point, np.minimum(low, point), np.maximum(high, point)


def win_scores(method_test: Floats, baseline_test: Floats, baseline_weights: Floats, margin: float) -> Floats:
    """For each trial of the method, the chance to be on par with or better than the baseline's best.

    Sum over j of weight_j [1{T_i > T_j - margin} + 1/2 1{T_i = T_j - margin}], by sorting: O(N log N).
    """
    order = np.argsort(baseline_test, kind="stable")
    bar = baseline_test[order] - margin
    reach = np.concatenate(([0.0], np.cumsum(baseline_weights[order])))
    below = reach[np.searchsorted(bar, method_test, side="left")]
    up_to = reach[np.searchsorted(bar, method_test, side="right")]
    scores: Floats = (below + up_to) / 2
    return scores


def win_probability(
    method: tuple[Ranking, Floats], baseline: tuple[Ranking, Floats], n: int, m: int, margin: float
) -> tuple[float, float]:
    """Probability W(n, m) that the method's best of m is on par with or better than the baseline's best of n.

    Unbiased two-sample U-statistic. Selection on validation, comparison on test.

    Args:
        method: ranking and test scores, shape [N_B].
        baseline: ranking and test scores, shape [N_A].
        n: trials of the baseline.
        m: trials of the method.
        margin: how much worse is still on par.

    Returns:
        The estimate and its jackknife standard error over both arms.
    """
    theirs = win_scores(method[1], baseline[1], trial_weights(baseline[0], n), margin)
    value = float(expected_best(method[0], theirs, m))
    error = float(jackknife_se(leave_one_out(method[0], theirs, m)))
    # Seen from the baseline: its trial j loses to the method's best with this probability.
    mine = 1.0 - win_scores(baseline[1], method[1], trial_weights(method[0], m), -margin)
    other = float(jackknife_se(leave_one_out(baseline[0], mine, n)))
    return value, float(np.hypot(error, other))


def win_limits(
    value: float, se: float, trials: tuple[int, int], n: int, m: int, level: float
) -> tuple[float, float]:
    """Logit-t limits of W; at 0 or 1 the exact limit for as many independent searches as the arms hold.

    Args:
        value: W.
        se: its standard error.
        trials: N of the baseline and of the method.
        n: trials of the baseline in one search.
        m: trials of the method in one search.
        level: two-sided level.
    """
    searches = max(1, min(trials[0] // n, trials[1] // m))
    edge = ((1 - level) / 2) ** (1 / searches)
    if value <= 1e-12:
        return 0.0, 1 - edge
    if value >= 1 - 1e-12:
        return edge, 1.0
    df = np.minimum(best_of_n_df(trials[0], n), best_of_n_df(trials[1], m))
    half = float(t_quantile(level, df)) * se / (value * (1 - value))
    return float(special.expit(special.logit(value) - half)), float(
        special.expit(special.logit(value) + half)
    )


def win_grid(
    method: tuple[Ranking, Floats],
    baseline: tuple[Ranking, Floats],
    n: tuple[int, ...],
    m: Integers,
    margin: float,
) -> Floats:
    """W(n, m) over grids, shape [len(n), len(m)]."""
    grid = np.empty((len(n), m.size))
    for row, number in enumerate(n):
        scores = win_scores(method[1], baseline[1], trial_weights(baseline[0], number), margin)
        grid[row] = [float(expected_best(method[0], scores, int(k))) for k in m]
    return np.clip(grid, 0.0, 1.0)
