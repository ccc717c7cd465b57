"""Savings: the baseline's search cost over the method's at equal expected score.

S = n C_A / (m*(n) C_B), with C the mean cost of one trial, failed ones included. Limits by MOVER (Zou &
Donner 2008) on the logarithm: the inverted interval of m* and the t interval of the mean costs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reports.statistics.arrays import Floats, Integers, settled
from reports.statistics.best_of_n import jackknife_se
from reports.statistics.matching import Gap, matched_trials, t_quantile

#: Halvings of the level when an interval is inverted into a p-value: resolves 1e-9.
_HALVINGS = 30


@dataclass(frozen=True, slots=True, eq=False)
class CostRatio:
    """Log of the mean cost of a baseline trial over that of a method trial. Shapes [...].

    m: None; or shape [K], and the others have it too: the method's trials cost on average so much up to the
    m-th, as in a search that learns.
    """

    log: Floats
    se: Floats
    df: Floats
    m: Integers | None = None

    def at(self, m: Floats) -> "CostRatio":
        """The ratio where the method spends m trials (at the ends of what is known, beyond it)."""
        if self.m is None:
            return self
        log, se, df = (np.interp(m, self.m, part) for part in (self.log, self.se, self.df))
        return CostRatio(log, se, df)


#: Counting trials: every trial costs 1.
EVEN = CostRatio(np.zeros(()), np.zeros(()), np.full((), np.inf))


def log_ratio_of_means(ours: Floats, theirs: Floats) -> CostRatio:
    """Log of the ratio of two independent means, delta method; shapes [..., N_A] and [..., N_B]."""
    errors, freedoms = [], []
    for values in (ours, theirs):
        size = values.shape[-1]
        spread = values.std(axis=-1, ddof=1) if size > 1 else np.zeros(values.shape[:-1])
        errors.append(settled(spread / (values.mean(axis=-1) * np.sqrt(size)), 1.0))
        freedoms.append(max(size - 1, 1))
    se = np.hypot(errors[0], errors[1])
    scatter = errors[0] ** 4 / freedoms[0] + errors[1] ** 4 / freedoms[1]
    df = np.where(scatter > 0, se**4 / np.where(scatter > 0, scatter, 1.0), min(freedoms))
    return CostRatio(settled(np.log(ours.mean(axis=-1) / theirs.mean(axis=-1)), 1.0), se, df)


def log_ratio_of_paired_means(ours: Floats, theirs: Floats) -> CostRatio:
    """Log of the ratio of means of costs that may go together: jackknife over pairs, shapes [N]."""
    left_out = np.log((ours.sum() - ours) / (theirs.sum() - theirs))
    se = jackknife_se(left_out, 1.0)
    return CostRatio(settled(np.log(ours.mean() / theirs.mean()), 1.0), se, np.asarray(ours.size - 1.0))


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
    at_point, at_low, at_high = (ratio.at(end) for end in (point, low, high))
    at_last = ratio.at(np.asarray(gap.m[-1], dtype=np.float64))
    n = np.log(gap.n)

    def half(of: CostRatio) -> Floats:
        found: Floats = t_quantile(level, of.df) * of.se
        return found

    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [n + at.log - np.log(end) for at, end in ((at_point, point), (at_low, low), (at_high, high))]
        has_point = np.isfinite(point)
        down = np.where(has_point & np.isfinite(high), np.hypot(half(at_point), logs[0] - logs[2]), np.inf)
        # Without a point there is nothing to take distances from: the limits add up, which is conservative.
        up = np.where(
            has_point,
            logs[0] + np.hypot(half(at_point), logs[1] - logs[0]),
            logs[1] + half(at_low),
        )
        # Never reached, even by the upper curve: more than the whole track is needed.
        beyond = n + at_last.log - np.log(gap.m[-1]) + half(at_last)
        upper = np.where(low <= gap.m[0], np.inf, np.where(np.isfinite(low), up, beyond))
        return logs[0], logs[0] - down, upper


@dataclass(frozen=True, slots=True, eq=False)
class BoundedSaving:
    """Log of the saving as far as the trials can show it, shapes [...]: m* counts from the first m of the
    track to the last, so that every cell has one, with both limits.

    least, most: the ends of what can be shown. at_least, at_most: a limit lies at such an end.
    """

    log: Floats
    low: Floats
    high: Floats
    least: Floats
    most: Floats
    at_least: npt.NDArray[np.bool_]
    at_most: npt.NDArray[np.bool_]


def bounded_log_saving(gap: Gap, ratio: CostRatio, level: float | Floats) -> BoundedSaving:
    """The saving with m* held within the track; limits by MOVER, by adding where m* is held."""
    first, last = float(gap.m[0]), float(gap.m[-1])
    found = matched_trials(gap, level)
    ends = [np.clip(end, first, last) for end in found]
    at = [ratio.at(end) for end in ends]
    half = t_quantile(level, at[0].df) * at[0].se
    logs = [np.log(gap.n) + each.log - np.log(end) for each, end in zip(at, ends, strict=True)]
    down, up = logs[0] - logs[2], logs[1] - logs[0]
    at_least, at_most = ends[2] >= last, ends[1] <= first
    least, most = (np.log(gap.n) + ratio.at(np.asarray(end)).log - np.log(end) for end in (last, first))
    return BoundedSaving(
        log=logs[0],
        low=logs[0] - np.where(at_least, half + down, np.hypot(half, down)),
        high=logs[0] + np.where(at_most, half + up, np.hypot(half, up)),
        least=np.broadcast_to(least, logs[0].shape),
        most=np.broadcast_to(most, logs[0].shape),
        at_least=at_least,
        at_most=at_most,
    )


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
