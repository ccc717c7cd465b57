"""Puts arrays of limits into estimates that say where they are censored."""

from dataclasses import replace
from typing import Literal

import numpy as np

from reports.arms.arm import Arm
from reports.results.contrast import BoundedRatio, Matched, RatioToTarget
from reports.results.estimate import Estimate, Interval, finite
from reports.scope import Scope
from reports.statistics.matching import Gap, matched_trials, t_quantile
from reports.statistics.restarts import cost_to_target, log_cost_ratio
from reports.statistics.savings import CostRatio, bounded_log_saving, log_saving

_TURNED: dict[str, Literal["", "at_most", "at_least"]] = {
    "": "",
    "at_most": "at_least",
    "at_least": "at_most",
}
_SCORES: tuple[Literal["validation", "test"], ...] = ("validation", "test")


def saving_estimate(gap_: Gap, ratio: CostRatio, level: float) -> Estimate:
    """The saving with limits; censored ends carry the largest (smallest) value that the data reach."""
    point, low, high = (float(end) for end in log_saving(gap_, ratio, level))
    first, last = (ratio.at(np.asarray(m, dtype=np.float64)) for m in (gap_.m[0], gap_.m[-1]))
    half = float(t_quantile(level, first.df) * first.se)
    cap = float(np.log(gap_.n) + first.log - np.log(gap_.m[0]))
    floor = float(np.log(gap_.n) + last.log - np.log(gap_.m[-1]))
    is_open = np.isinf(high)
    interval = Interval(
        finite(float(np.exp(low))) if np.isfinite(low) else None,
        float(np.exp(cap + half if is_open else high)),
        level,
        low_censored=not np.isfinite(low),
        high_censored=bool(is_open),
        method="inversion and MOVER",
    )
    if not np.isfinite(point):
        return Estimate(float(np.exp(floor)), interval, "at_most", "the baseline was not matched")
    if point >= cap - 1e-12:
        return Estimate(float(np.exp(point)), interval, "at_least", "the fewest trials already suffice")
    return Estimate(float(np.exp(point)), interval)


def bounded_ratio(gap_: Gap, ratio: CostRatio, level: float) -> BoundedRatio:
    """The saving with m* held within the method's curve."""
    found = bounded_log_saving(gap_, ratio, level)
    return BoundedRatio(
        value=float(np.exp(found.log)),
        low=float(np.exp(found.low)),
        high=float(np.exp(found.high)),
        least=float(np.exp(found.least)),
        most=float(np.exp(found.most)),
        held_low=bool(found.at_least),
        held_high=bool(found.at_most),
    )


def matched_estimate(gap_: Gap, level: float) -> Matched:
    """m*(n) with limits."""
    point, low, high = (float(end) for end in matched_trials(gap_, level))
    first, last = float(gap_.m[0]), float(gap_.m[-1])
    interval = Interval(
        low if np.isfinite(low) else last,
        finite(high),
        level,
        low_censored=low <= first,
        high_censored=not np.isfinite(high),
        method="inversion",
    )
    if not np.isfinite(point):
        estimate = Estimate(last, interval, "at_least", "not reached")
    elif point <= first:
        estimate = Estimate(first, interval, "at_most", "the fewest trials already suffice")
    else:
        estimate = Estimate(point, interval)
    return Matched(gap_.n, estimate, int(last))


def difference_estimate(gap_: Gap, level: float) -> Estimate | None:
    """The difference at equal n; positive means that the method is better; None with too few trials for n."""
    if not gap_.reaches(gap_.n):
        return None
    method = "jackknife t" if gap_.method is None else "jackknife t, failures by Jeffreys"
    low, high = gap_.limits(gap_.n, (1 + level) / 2)
    return Estimate(gap_.at(gap_.n)[0], Interval(low, high, level, method=method))


def inverse(estimate: Estimate) -> Estimate:
    """One over an estimate: a cost from a saving. Ends change places."""
    interval = estimate.interval
    if interval is None or estimate.value is None:
        return estimate
    turned = Interval(
        None if interval.high is None else 1 / interval.high,
        None if interval.low is None else 1 / interval.low,
        interval.level,
        low_censored=interval.high_censored,
        high_censored=interval.low_censored,
        method=interval.method,
    )
    return replace(estimate, value=1 / estimate.value, interval=turned, censored=_TURNED[estimate.censored])


def target_ratios(
    base: Arm, arm: Arm, targets: list[tuple[float, str]], units: list[str], scope: Scope
) -> list[RatioToTarget]:
    """Expected cost to each target, baseline over method, by independent restarts of independent arms."""
    found = []
    for target, source in targets:
        for kind in _SCORES:
            for unit in units:
                logs = []
                for side in (base, arm):
                    scores = side.test if kind == "test" else side.validation
                    logs.append(
                        cost_to_target(side.costs[unit], (scores >= target) & side.scored, scope.level)
                    )
                value, low, high = (float(end) for end in log_cost_ratio(logs[0], logs[1]))
                estimate = _ratio_estimate(value, low, high, scope.level)
                found.append(RatioToTarget(scope.sign * target, source, kind, unit, estimate))
    return found


def _ratio_estimate(value: float, low: float, high: float, level: float) -> Estimate:
    interval = Interval(
        finite(float(np.exp(low))) if np.isfinite(low) else None,
        finite(float(np.exp(high))) if np.isfinite(high) else None,
        level,
        low_censored=not np.isfinite(low),
        high_censored=not np.isfinite(high),
        method="MOVER with Wilson limits",
    )
    if np.isinf(low) and np.isinf(high):
        return Estimate(None, interval, note="neither arm reached the target")
    if np.isinf(high):
        return Estimate(float(np.exp(low)), interval, "at_least", "the baseline did not reach the target")
    if np.isinf(low):
        return Estimate(float(np.exp(high)), interval, "at_most", "the method did not reach the target")
    return Estimate(float(np.exp(value)), interval)
