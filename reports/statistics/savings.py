"""Savings: the baseline's search cost over the method's at equal expected score, per cell and over cells.

S = n C_A / (m*(n) C_B), with C the mean cost of one trial, failed ones included. Limits by MOVER (Zou &
Donner 2008) on the logarithm: the inverted interval of m* and the t interval of the mean costs.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.arms.from_table import Arm, Floats
from reports.statistics.best_of_n import jackknife_se
from reports.statistics.matching import Gap, matched_trials, t_quantile

#: Halvings of the level when an interval is inverted into a p-value: resolves 1e-9.
_HALVINGS = 30


@dataclass(frozen=True, slots=True, eq=False)
class CostRatio:
    """Log of the mean cost of a baseline trial over that of a method trial. Shapes [...]."""

    log: Floats
    se: Floats
    df: Floats


#: Counting trials: every trial costs 1.
EVEN = CostRatio(np.zeros(()), np.zeros(()), np.full((), np.inf))


def cost_ratio(baseline: Arm, method: Arm, unit: str, paired: bool = False) -> CostRatio:
    """Ratio of mean costs of two arms; the unit of replication is the trial, or the search if adaptive."""
    if unit == "trials":
        return EVEN
    ours, theirs = unit_costs(baseline, unit), unit_costs(method, unit)
    if paired:
        # Costs of a pair may go together: jackknife the log ratio over pairs.
        size = ours.size
        left_out = np.log((ours.sum() - ours) / (theirs.sum() - theirs))
        return CostRatio(np.log(ours.mean() / theirs.mean()), jackknife_se(left_out), np.asarray(size - 1.0))
    return log_ratio_of_means(ours, theirs)


def unit_costs(arm: Arm, unit: str) -> Floats:
    """Cost per trial of each independent unit of an arm: each trial, or the mean over each whole search."""
    costs = arm.costs[unit]
    if arm.search is None:
        return costs
    return np.array([costs[arm.search == number].mean() for number in np.unique(arm.search)])


def log_ratio_of_means(ours: Floats, theirs: Floats) -> CostRatio:
    """Log of the ratio of two independent means, delta method; shapes [..., N_A] and [..., N_B]."""
    errors, freedoms = [], []
    for values in (ours, theirs):
        size = values.shape[-1]
        spread = values.std(axis=-1, ddof=1) if size > 1 else np.zeros(values.shape[:-1])
        errors.append(np.asarray(spread / (values.mean(axis=-1) * np.sqrt(size))))
        freedoms.append(max(size - 1, 1))
    se = np.hypot(errors[0], errors[1])
    scatter = errors[0] ** 4 / freedoms[0] + errors[1] ** 4 / freedoms[1]
    df = np.where(scatter > 0, se**4 / np.where(scatter > 0, scatter, 1.0), min(freedoms))
    return CostRatio(np.asarray(np.log(ours.mean(axis=-1) / theirs.mean(axis=-1))), se, df)


def log_saving(gap: Gap, ratio: CostRatio, level: float | Floats) -> tuple[Floats, Floats, Floats]:
    """Log of the saving with MOVER limits.

    Args:
        gap: difference to the baseline's best of n, shapes [..., K].
        ratio: of mean costs, shapes [...].
        level: two-sided.

    Returns:
        Point, lower and upper limit, shape [...]. Minus infinity: the baseline was not matched within the
        track. Plus infinity as the upper limit: the first m of the track already suffices (the saving is at
        least what that m gives).
    """
    point, low, high = matched_trials(gap, level)
    base = np.log(gap.n) + ratio.log
    half = t_quantile(level, ratio.df) * ratio.se
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(point), np.log(low), np.log(high)
        has_point = np.isfinite(point)
        down = np.where(has_point & np.isfinite(high), np.hypot(half, logs[2] - logs[0]), np.inf)
        # Without a point there is nothing to take distances from: the limits add up, which is conservative.
        up = np.where(has_point, base - logs[0] + np.hypot(half, logs[0] - logs[1]), base - logs[1] + half)
        # Never reached, even by the upper curve: more than the whole track is needed.
        beyond = base - np.log(gap.m[-1]) + half
        upper = np.where(low <= gap.m[0], np.inf, np.where(np.isfinite(low), up, beyond))
        return base - logs[0], base - logs[0] - down, upper


def saving_p_value(gap: Gap, ratio: CostRatio) -> tuple[Floats, Floats]:
    """Two-sided p-value of "no saving, no loss" by inverting the interval of the saving.

    Returns:
        The p-value, shape [...], and where the interval leaves 1: +1 a saving, -1 a loss, 0 nowhere.
    """
    shape = gap.value.shape[:-1]
    inside, outside = np.ones(shape), np.zeros(shape)  # levels: 1 contains everything, 0 is the point
    direction = np.zeros(shape)
    for _ in range(_HALVINGS):
        level = (inside + outside) / 2
        _, low, high = log_saving(gap, ratio, level)
        excludes = (low > 0) | (high < 0)
        direction = np.where(excludes, np.where(low > 0, 1.0, -1.0), direction)
        outside = np.where(excludes, level, outside)
        inside = np.where(excludes, inside, level)
    return 1 - outside, direction


def holm(p_values: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Holm's step-down procedure over the last axis.

    Args:
        p_values: shape [..., F].
        alpha: familywise level.

    Returns:
        Adjusted p-values, and for each hypothesis the level (1 - alpha share) of the limits that agree with
        the procedure: alpha / (F - rank + 1) as long as everything before was rejected; from the first one
        kept on, its share. Shapes [..., F].
    """
    size = p_values.shape[-1]
    order = np.argsort(p_values, axis=-1, kind="stable")
    ranked = np.take_along_axis(p_values, order, axis=-1)
    factors = np.arange(size, 0, -1)
    stepped = np.minimum(np.maximum.accumulate(ranked * factors, axis=-1), 1.0)
    kept = ranked * factors > alpha
    first_kept = np.where(kept.any(axis=-1), np.argmax(kept, axis=-1), size - 1)
    place = np.minimum(np.arange(size), first_kept[..., None])
    shares = alpha / factors[place]
    adjusted, levels = np.empty_like(stepped), np.empty_like(stepped)
    np.put_along_axis(adjusted, order, stepped, axis=-1)
    np.put_along_axis(levels, order, 1 - shares, axis=-1)
    return adjusted, levels


def pool_these(logs: Floats, errors: Floats, level: float) -> tuple[Floats, Floats]:
    """Mean log saving over the cells at hand and its half width; SE = sqrt(sum se^2) / k. Shapes [..., k]."""
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt((errors**2).sum(axis=-1)) / logs.shape[-1]
    return logs.mean(axis=-1), half


def pool_new(logs: Floats, level: float) -> tuple[Floats, Floats]:
    """Mean log saving over data sets with the half width for data sets yet to come: t on the means, k - 1 df.

    Shapes [..., k], k >= 2. With few cells the usual normal limits after DerSimonian and Laird err in up to a
    third of the cases (IntHout et al. 2014).
    """
    size = logs.shape[-1]
    half = t_quantile(level, np.asarray(size - 1.0)) * logs.std(axis=-1, ddof=1) / np.sqrt(size)
    return logs.mean(axis=-1), half


def paule_mandel(logs: Floats, errors: Floats, level: float) -> tuple[float, float, float]:
    """Random-effects mean with Paule-Mandel variance and modified Knapp-Hartung limits (Roever et al. 2015).

    Args:
        logs: shape [k], k >= 2.
        errors: standard errors, shape [k], above 0.
        level: two-sided.

    Returns:
        Mean, half width, between-cell standard deviation.
    """
    size = logs.size

    def spread(variance: float) -> tuple[float, float, Floats]:
        w = 1 / (errors**2 + variance)
        mean = float((w * logs).sum() / w.sum())
        return float((w * (logs - mean) ** 2).sum()), mean, w

    low, high = 0.0, 1.0
    if spread(0.0)[0] > size - 1:
        while spread(high)[0] > size - 1:
            high *= 2
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if spread(middle)[0] > size - 1 else (low, middle)
    else:
        high = 0.0
    q, mean, w = spread(high)
    scale = max(1.0, q / (size - 1))
    half = float(t_quantile(level, np.asarray(size - 1.0))) * np.sqrt(scale / w.sum())
    return mean, float(half), float(np.sqrt(high))


def median_limits(values: Floats, level: float) -> tuple[float, float, float]:
    """Median with sign-test limits; infinite values may enter, limits are infinite where none exists.

    Returns:
        Median, lower and upper limit.
    """
    ranked = np.sort(values)
    size = ranked.size
    middle = (size - 1) / 2
    lower_middle, upper_middle = ranked[int(np.floor(middle))], ranked[int(np.ceil(middle))]
    same = lower_middle == upper_middle
    median = float(lower_middle) if same else float((lower_middle + upper_middle) / 2)
    reach = int(stats.binom.ppf((1 - level) / 2, size, 0.5))
    if stats.binom.cdf(reach, size, 0.5) > (1 - level) / 2:
        reach -= 1
    if reach < 0:
        return median, -np.inf, np.inf
    return median, float(ranked[reach]), float(ranked[size - 1 - reach])
