"""Curves of one arm over a growing number of trials: expected and median best, optimism, size."""

import numpy as np

from reports.arms.arm import Arm
from reports.arms.tracks import failed_of, search_track
from reports.results.arm_result import Curve
from reports.results.estimate import Estimate, Interval, finite
from reports.scope import Scope
from reports.statistics.arrays import Floats, Integers
from reports.statistics.best_of_n import (
    BOOTSTRAP_LIMIT,
    Ranking,
    best_of_n_df,
    bootstrap_best,
    expected_best,
    hull_limits,
    jackknife_se,
    leave_one_out,
    median_best,
    trial_grid,
)
from reports.statistics.matching import Mixed, Track, t_quantile
from reports.statistics.unseen import unseen

POINTWISE = "jackknife t joined with percentile bootstrap"
JACKKNIFE = "jackknife t"
#: Above this many trials a drawn curve is thinned to about this many points.
CURVE_POINTS = 60


def score_estimate(scope: Scope, value: float, low: float, high: float, method: str) -> Estimate:
    """A score with limits, back in the sign of the table; limits of accuracies stay between 0 and 1."""
    ends = sorted((scope.sign * low, scope.sign * high))
    if scope.bounded:
        ends = [min(max(end, 0.0), 1.0) for end in ends]
    interval = Interval(finite(ends[0]), finite(ends[1]), scope.level, method=method)
    return Estimate(scope.sign * value, interval)


def _shown(arm: Arm, scope: Scope) -> Integers:
    """Numbers of trials that curves are shown at: up to half of the arm, with the reported ones."""
    largest = max(arm.trials // 2, 1)
    grid = trial_grid(largest)
    if grid.size <= CURVE_POINTS:
        return grid
    places = np.round(np.geomspace(1, grid.size, CURVE_POINTS)).astype(np.int64) - 1
    return np.union1d(grid[places], [n for n in scope.n_set if n <= largest])


def best_curve(arm: Arm, ranking: Ranking, scope: Scope) -> Curve | None:
    """E[best of n] with the limits that the sampling allows; None for a search without order."""
    reliable = max(arm.trials // 5, 1)
    if arm.is_search:
        if arm.position is None:
            return None
        track = search_track(arm)
        return Curve("test score", _ints(track.m), _search_estimates(track, arm, scope), int(track.m[-1]))
    grid = _shown(arm, scope)
    values = np.array([float(expected_best(ranking, arm.test, int(n))) for n in grid])
    if arm.sampling == "design":
        points = tuple(Estimate(scope.sign * float(v), note="a design: described only") for v in values)
        return Curve("test score", _ints(grid), points, reliable, "none")
    errors = np.array([float(jackknife_se(leave_one_out(ranking, arm.test, int(n)))) for n in grid])
    replicates = None
    if arm.trials <= BOOTSTRAP_LIMIT:
        generator = arm.generator(scope.seed, "bootstrap")
        replicates = bootstrap_best(ranking, arm.test, grid, scope.resamples, generator)
    low, high = hull_limits(values, errors, best_of_n_df(arm.trials, grid), replicates, scope.level)
    by_rate = unseen(ranking, arm.test, grid, failed_of(arm))
    mixed = Mixed(by_rate.value, by_rate.se, best_of_n_df(arm.trials, grid))
    one_sided = (1 + scope.level) / 2
    low, high = np.minimum(low, mixed.limit(one_sided, 1.0)), np.maximum(high, mixed.limit(one_sided, -1.0))
    method = POINTWISE if replicates is not None else JACKKNIFE
    estimates = tuple(
        score_estimate(scope, float(v), float(lo), float(hi), method)
        for v, lo, hi in zip(values, low, high, strict=True)
    )
    return Curve("test score", _ints(grid), estimates, reliable)


def _search_estimates(track: Track, arm: Arm, scope: Scope) -> tuple[Estimate, ...]:
    if arm.searches < 2:
        note = "one search: no spread between searches is known"
        return tuple(Estimate(scope.sign * float(value), note=note) for value in track.value)
    half = t_quantile(scope.level, track.df) * track.se
    return tuple(
        score_estimate(scope, float(v), float(v - h), float(v + h), "t over whole searches")
        for v, h in zip(track.value, half, strict=True)
    )


def _ints(values: Integers) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def median_curve(arm: Arm, scope: Scope) -> Curve:
    """Median best validation score of n trials with exact limits."""
    grid = _shown(arm, scope)
    estimates = []
    for n in grid:
        value, low, high = median_best(arm.validation, int(n), scope.level)
        if not np.isfinite(value):
            estimates.append(Estimate(None, note="the median of the best is a failed trial"))
            continue
        ends = (low, high) if scope.sign > 0 else (-high, -low)
        interval = Interval(finite(ends[0]), finite(ends[1]), scope.level, method="order statistics, exact")
        estimates.append(Estimate(scope.sign * value, interval))
    return Curve("validation score (median)", _ints(grid), tuple(estimates), max(arm.trials // 5, 1))


def _jackknife_curve(arm: Arm, ranking: Ranking, values: Floats, quantity: str, scope: Scope) -> Curve:
    """Any concomitant of the selected trial; without limits where trials are not independent."""
    grid = _shown(arm, scope)
    estimates = []
    for n in grid:
        value = float(expected_best(ranking, values, int(n)))
        interval = None
        if arm.is_independent:
            error = float(jackknife_se(leave_one_out(ranking, values, int(n))))
            half = float(t_quantile(scope.level, best_of_n_df(arm.trials, int(n)))) * error
            interval = Interval(value - half, value + half, scope.level, method=JACKKNIFE)
        estimates.append(Estimate(value, interval))
    return Curve(quantity, _ints(grid), tuple(estimates), max(arm.trials // 5, 1))


def optimism_curve(arm: Arm, ranking: Ranking, scope: Scope) -> Curve | None:
    """How much better the selected trial looks on validation than on test; trials without scores not."""
    if arm.is_search:
        return None
    excess = np.where(arm.scored, np.where(arm.scored, arm.validation, 0.0) - arm.test, 0.0)
    return _jackknife_curve(arm, ranking, excess, "validation minus test score", scope)


def size_curve(arm: Arm, ranking: Ranking, scope: Scope) -> Curve | None:
    """Expected parameters of the selected trial."""
    if arm.size is None or arm.is_search:
        return None
    return _jackknife_curve(arm, ranking, arm.size, "parameters", scope)
