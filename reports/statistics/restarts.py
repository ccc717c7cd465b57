"""Cost to a fixed target by independent restarts, and ratios of it between two arms.

A search that draws trials until one reaches the target stops at a stopping time, so by Wald's identity its
expected cost is E[C] / p, whatever the dependence between cost and success within a trial. The estimator is
COCO's average running time (Hansen et al., arXiv 1605.03560), sum of costs over successes. Limits: MOVER with
Wilson limits of the success rate; the percentile bootstrap fails where successes are few.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from reports.statistics.arrays import Floats, Integers, settled

#: Simulated restarts of a cost-to-target curve, and points kept of it.
RESTARTS = 2_000
CURVE_POINTS = 100
#: A restart with more failures than this gets their summed cost from the normal law instead of draw by draw.
FEW_FAILURES = 1_000


def wilson(successes: Floats | int, trials: Floats | int, level: float) -> tuple[Floats, Floats]:
    """Wilson's limits of a success rate; 0 and N successes included."""
    k, size = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    z = special.ndtri((1 + level) / 2)
    rate = k / size
    middle = (rate + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(rate * (1 - rate) / size + z**2 / (4 * size**2))
    low = np.where(k == 0, 0.0, np.maximum(middle - half, 0.0))
    high = np.where(k == size, 1.0, np.minimum(middle + half, 1.0))
    return low, high


@dataclass(frozen=True, slots=True, eq=False)
class LogCost:
    """Log of the expected cost to target with limits. Shapes [...]; infinite where no trial reached it."""

    log: Floats
    low: Floats
    high: Floats


def cost_to_target(costs: Floats, reached: npt.NDArray[np.bool_], level: float) -> LogCost:
    """Expected cost to target, sum of all costs over successes, with MOVER limits.

    Args:
        costs: of each trial, failed ones too, shape [..., N]; mean above 0.
        reached: the trial reached the target, shape [..., N].
        level: two-sided.
    """
    size = costs.shape[-1]
    k = reached.sum(axis=-1)
    mean = costs.mean(axis=-1)
    deviation = settled(costs.std(axis=-1, ddof=1), mean) if size > 1 else np.zeros(mean.shape)
    t = special.stdtrit(max(size - 1, 1), (1 + level) / 2)
    half = t * deviation / (mean * np.sqrt(size))
    p_low, p_high = wilson(k, size, level)
    joint = ((costs - mean[..., None]) * (reached - (k / size)[..., None])).sum(axis=-1)
    spread = np.sqrt(((costs - mean[..., None]) ** 2).sum(axis=-1) * k * (size - k) / size)
    spread = settled(spread, size * mean)
    correlation = np.where(spread > 0, joint / np.where(spread > 0, spread, 1.0), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_rate = np.log(k / size)
        value = np.log(mean) - log_rate
        up, down = np.log(p_high) - log_rate, log_rate - np.log(p_low)
        low = value - _mover(half, up, correlation)
        high = value + _mover(half, down, correlation)
        # No success: only a lower limit exists, from the highest rate still likely.
        low = np.where(k == 0, np.log(mean) - np.log(p_high) - half, low)
    return LogCost(value, low, np.where(k == 0, np.inf, high))


def _mover(half: Floats, distance: Floats, correlation: Floats) -> Floats:
    reach: Floats = np.sqrt(np.maximum(half**2 + distance**2 - 2 * correlation * half * distance, 0.0))
    return reach


def log_cost_ratio(baseline: LogCost, method: LogCost) -> tuple[Floats, Floats, Floats]:
    """Log of (baseline's expected cost over the method's) with limits; MOVER for a difference.

    Where an arm has no success the ratio is open on that side; at the other the limits add up, which is
    conservative.
    """
    with np.errstate(invalid="ignore"):
        value = baseline.log - method.log
        low = value - np.hypot(baseline.log - baseline.low, method.high - method.log)
        high = value + np.hypot(baseline.high - baseline.log, method.log - method.low)
    none_ours, none_theirs = np.isinf(baseline.log), np.isinf(method.log)
    low = np.where(none_theirs, -np.inf, np.where(none_ours, baseline.low - method.high, low))
    high = np.where(none_ours, np.inf, np.where(none_theirs, baseline.high - method.low, high))
    value = np.where(
        none_ours & none_theirs, 0.0, np.where(none_ours, np.inf, np.where(none_theirs, -np.inf, value))
    )
    return value, low, high


def enough_trials(rate: float, probability: float) -> int:
    """Trials that reach the target with this probability: ceil(ln(1 - q) / ln(1 - p)); at least 1."""
    if rate >= 1.0:
        return 1
    return max(1, int(np.ceil(np.log(1 - probability) / np.log1p(-rate))))


def restart_costs(
    costs: Floats, reached: npt.NDArray[np.bool_], generator: np.random.Generator, restarts: int = RESTARTS
) -> Floats:
    """Costs to target of simulated searches that draw from the arm's own trials until one reaches the target.

    Returns:
        Sorted costs, shape [restarts].

    Raises:
        ValueError: no trial reached the target.
    """
    good, bad = costs[reached], costs[~reached]
    if good.size == 0:
        raise ValueError("no trial reached the target")
    spent = generator.choice(good, size=restarts)
    if bad.size == 0:
        return np.sort(spent)
    failures: Integers = generator.geometric(good.size / costs.size, size=restarts) - 1
    few = np.minimum(failures, FEW_FAILURES)
    draws = generator.choice(bad, size=int(few[failures <= FEW_FAILURES].sum()))
    owners = np.repeat(np.arange(restarts), np.where(failures <= FEW_FAILURES, failures, 0))
    wasted = np.bincount(owners, weights=draws, minlength=restarts)
    many = failures > FEW_FAILURES
    normal = failures * bad.mean() + np.sqrt(failures) * bad.std() * generator.standard_normal(restarts)
    return np.sort(spent + np.where(many, np.maximum(normal, 0.0), wasted))


def thinned(ranked: Floats, points: int = CURVE_POINTS) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """An empirical distribution function at a bounded number of points: costs and probabilities."""
    size = ranked.size
    places = np.unique(np.round(np.linspace(0, size - 1, min(points, size))).astype(np.int64))
    values = tuple(float(value) for value in ranked[places])
    return values, tuple(float((place + 1) / size) for place in places)
