"""What one arm's trials say by themselves: curves, costs, targets, front."""

import numpy as np

from harness.trial_table import ArmDesign
from reports.arms import Arm, Floats, Integers
from reports.costs import cost_to_target, enough_trials, restart_costs, thinned, wilson
from reports.estimators import (
    BOOTSTRAP_LIMIT,
    Ranking,
    best_of_n_df,
    bootstrap_best,
    expected_best,
    hull_limits,
    jackknife_se,
    leave_one_out,
    median_best,
    rank,
    trial_grid,
)
from reports.fronts import (
    attainment,
    expected_hypervolume,
    field,
    hypervolume,
    non_dominated,
    pessimistic,
    plane,
)
from reports.matching import Track, search_track, t_quantile
from reports.results import (
    Accounting,
    ArmResult,
    Contour,
    CostMean,
    Curve,
    Estimate,
    Front,
    FrontPoint,
    Interval,
    Summary,
    TargetCost,
)
from reports.savings import unit_costs
from reports.scope import FEWEST_TRIALS, Scope

#: Probabilities whose quantiles of trials to target are given.
ENOUGH = (0.5, 0.9)
CONTOURS = (0.25, 0.5, 0.75)
POINTWISE = "jackknife t joined with percentile bootstrap"
JACKKNIFE = "jackknife t"
#: Above this many trials a drawn curve is thinned to about this many points.
CURVE_POINTS = 60


def finite(value: float) -> float | None:
    """None for what has no finite value."""
    return float(value) if np.isfinite(value) else None


def score_estimate(scope: Scope, value: float, low: float, high: float, method: str) -> Estimate:
    """A score with limits, back in the sign of the table; limits of accuracies stay between 0 and 1."""
    ends = sorted((scope.sign * low, scope.sign * high))
    if scope.bounded:
        ends = [min(max(end, 0.0), 1.0) for end in ends]
    interval = Interval(finite(ends[0]), finite(ends[1]), scope.level, method=method)
    return Estimate(scope.sign * value, interval)


def describe_arm(
    arm: Arm,
    scope: Scope,
    design: ArmDesign | None,
    targets: list[tuple[float, str]],
    corner: tuple[float, float, float, float] | None,
) -> ArmResult:
    """All that is said about one arm.

    Args:
        arm: its trials.
        scope: settings.
        design: what it was asked to do, where known.
        targets: turned scores to reach, with where they come from.
        corner: largest size, failed score, smallest size and best turned score of the cell, for the front.
    """
    ranking = rank(arm.validation) if arm.trials else None
    notes = [f"{unit}: {why}" for unit, why in sorted(arm.withheld.items())]
    notes += [
        f"{count} trials without {unit} count at the mean of the others"
        for unit, count in arm.filled.items()
        if count
    ]
    if arm.sampling == "design":
        notes.append("grid or quasi-random points: described, without intervals")
    if arm.sampling == "adaptive":
        notes.append("adaptive search: curves are means over whole searches")
    usable = ranking is not None and arm.trials >= FEWEST_TRIALS
    return ArmResult(
        dataset=arm.dataset,
        architecture=arm.architecture,
        method=arm.method,
        is_baseline=arm.method == scope.baseline,
        sampling=arm.sampling,
        sampler=arm.sampler,
        trials=arm.trials,
        searches=arm.searches,
        accounting=_accounting(arm, design),
        summary=_summary(arm, ranking, scope),
        best_of_n=_best_curve(arm, ranking, scope) if usable and ranking else None,
        median_of_n=_median_curve(arm, scope) if usable and arm.sampling == "iid" else None,
        optimism_of_n=_optimism_curve(arm, ranking, scope) if usable and ranking else None,
        size_of_n=_size_curve(arm, ranking, scope) if usable and ranking else None,
        costs=tuple(_cost_mean(arm, unit, scope) for unit in arm.costs),
        targets=tuple(
            cost
            for target, source in targets
            for score in ("validation", "test")
            for unit in arm.costs
            if (cost := _target_cost(arm, target, source, score == "test", unit, scope)) is not None
        ),
        front=_front(arm, scope, corner) if corner and arm.size is not None and arm.trials else None,
        failed_score=scope.sign * arm.failed_score,
        notes=tuple(notes),
    )


def _accounting(arm: Arm, design: ArmDesign | None) -> Accounting:
    failed = int(arm.failed.sum())
    done = arm.trials - failed
    planned = design.trials * design.replicates if design else None
    missing = 0 if planned is None else planned - arm.trials
    return Accounting(planned, done, failed, arm.lost, max(missing, 0), arm.failed_by_status, missing >= 0)


def _summary(arm: Arm, ranking: Ranking | None, scope: Scope) -> Summary:
    if ranking is None:
        return Summary(None, None, None, None, None, None, None)
    scores = np.sort(scope.sign * arm.test)
    quarter = scores.size // 4
    finished = arm.test[~arm.failed]
    return Summary(
        median=float(np.median(scores)),
        interquartile_mean=float(scores[quarter : scores.size - quarter].mean()),
        quantile_10=float(np.quantile(scores, 0.1)),
        quantile_90=float(np.quantile(scores, 0.9)),
        best_by_validation=scope.sign * float(expected_best(ranking, arm.test, arm.trials)),
        median_without_failed=scope.sign * float(np.median(finished)) if finished.size else None,
        median_parameters=None if arm.size is None else float(np.median(arm.size)),
    )


def _shown(arm: Arm, scope: Scope) -> Integers:
    """Numbers of trials that curves are shown at: up to half of the arm, with the reported ones."""
    largest = max(arm.trials // 2, 1)
    grid = trial_grid(largest)
    if grid.size <= CURVE_POINTS:
        return grid
    places = np.round(np.geomspace(1, grid.size, CURVE_POINTS)).astype(np.int64) - 1
    return np.union1d(grid[places], [n for n in scope.n_set if n <= largest])


def _best_curve(arm: Arm, ranking: Ranking, scope: Scope) -> Curve | None:
    reliable = max(arm.trials // 5, 1)
    if arm.sampling == "adaptive":
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


def _median_curve(arm: Arm, scope: Scope) -> Curve:
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
        if arm.sampling == "iid":
            error = float(jackknife_se(leave_one_out(ranking, values, int(n))))
            half = float(t_quantile(scope.level, best_of_n_df(arm.trials, int(n)))) * error
            interval = Interval(value - half, value + half, scope.level, method=JACKKNIFE)
        estimates.append(Estimate(value, interval))
    return Curve(quantity, _ints(grid), tuple(estimates), max(arm.trials // 5, 1))


def _optimism_curve(arm: Arm, ranking: Ranking, scope: Scope) -> Curve | None:
    if arm.sampling == "adaptive":
        return None
    excess = np.where(arm.failed, 0.0, np.where(arm.failed, 0.0, arm.validation) - arm.test)
    return _jackknife_curve(arm, ranking, excess, "validation minus test score", scope)


def _size_curve(arm: Arm, ranking: Ranking, scope: Scope) -> Curve | None:
    if arm.size is None or arm.sampling == "adaptive":
        return None
    return _jackknife_curve(arm, ranking, arm.size, "parameters", scope)


def _cost_mean(arm: Arm, unit: str, scope: Scope) -> CostMean:
    costs = arm.costs[unit]
    total = float(costs.sum()) if costs.size else 0.0
    if costs.size == 0:
        return CostMean(unit, Estimate(None, note="no trials"), total)
    parts = unit_costs(arm, unit)
    mean = float(parts.mean())
    interval = None
    if parts.size >= 2 and arm.sampling != "design" and unit != "trials":
        half = (
            float(t_quantile(scope.level, np.asarray(parts.size - 1.0)))
            * parts.std(ddof=1)
            / np.sqrt(parts.size)
        )
        interval = Interval(max(mean - half, 0.0), mean + half, scope.level, method="t")
    return CostMean(unit, Estimate(mean, interval), total, arm.filled.get(unit, 0))


def _target_cost(
    arm: Arm, target: float, source: str, on_test: bool, unit: str, scope: Scope
) -> TargetCost | None:
    if arm.trials == 0 or arm.sampling == "adaptive":
        return None  # trials of a search that learns are no independent restarts
    reached = (arm.test if on_test else arm.validation) >= target
    reached = reached & ~arm.failed
    costs = arm.costs[unit]
    k, size = int(reached.sum()), arm.trials
    inferred = arm.sampling == "iid" and size >= FEWEST_TRIALS
    log = cost_to_target(costs, reached, scope.level)
    rate_low, rate_high = wilson(k, size, scope.level)
    rate = Interval(float(rate_low), float(rate_high), scope.level, method="Wilson") if inferred else None
    limits = Interval(
        finite(float(np.exp(log.low))),
        finite(float(np.exp(log.high))),
        scope.level,
        high_censored=k == 0,
        method="MOVER with Wilson limits",
    )
    if k:
        expected = Estimate(float(np.exp(log.log)), limits if inferred else None)
    else:
        expected = Estimate(
            float(np.exp(log.low)),
            limits if inferred else None,
            "at_least",
            f"none of {size} trials reached the target",
        )
    curve: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    if k and not on_test:
        generator = arm.generator(scope.seed, f"restarts {unit} {target!r}")
        curve = thinned(restart_costs(costs, reached, generator))
    return TargetCost(
        target=scope.sign * target,
        target_source=source,
        score="test" if on_test else "validation",
        unit=unit,
        successes=k,
        trials=size,
        success_rate=Estimate(k / size, rate),
        expected_cost=expected,
        pool_trials=(size + 1) / (k + 1),
        quantile_trials={str(q): enough_trials(k / size, q) for q in ENOUGH} if k else {},
        curve_cost=curve[0],
        curve_probability=curve[1],
    )


def _front(arm: Arm, scope: Scope, corner: tuple[float, float, float, float]) -> Front | None:
    if arm.size is None:
        return None
    largest, worst, smallest, top = corner
    reference, best = (largest, worst), (smallest, top)
    validation = np.where(arm.failed, worst, arm.validation)
    x, y = plane(arm.size, arm.test, reference, best)
    x = np.where(arm.failed, 0.0, x)
    n = min(scope.n, max(arm.trials // 2, 1))
    grid = field(x, y)
    if arm.sampling == "adaptive":
        expected = Estimate(None, note="trials are not independent")
    else:
        value, error = expected_hypervolume(grid, arm.trials, n)
        interval = None
        if arm.sampling == "iid" and arm.trials >= FEWEST_TRIALS:
            half = float(t_quantile(scope.level, best_of_n_df(arm.trials, n))) * error
            ends = max(value - half, 0.0), min(value + half, 1.0)
            interval = Interval(*ends, scope.level, method=JACKKNIFE)
        expected = Estimate(value, interval)
    alive = np.flatnonzero(~arm.failed)
    chosen = alive[non_dominated(arm.size[alive], arm.validation[alive])]
    kept = chosen[pessimistic(arm.size[chosen], arm.test[chosen])]
    seen = plane(arm.size, validation, reference, best)
    contours = []
    if arm.sampling != "adaptive":
        for probability in CONTOURS:
            right, height = attainment(grid, arm.trials, n, probability)
            contours.append(_contour(probability, right, height, corner, scope))
    return Front(
        n=n,
        size_column="parameters",
        expected_hypervolume=expected,
        hypervolume_validation=hypervolume(seen[0][chosen], seen[1][chosen]),
        hypervolume_optimistic=hypervolume(x[chosen], y[chosen]),
        hypervolume_pessimistic=hypervolume(x[kept], y[kept]),
        chosen=tuple(
            FrontPoint(
                float(arm.size[i]), scope.sign * float(arm.test[i]), scope.sign * float(arm.validation[i])
            )
            for i in chosen
        ),
        contours=tuple(contours),
    )


def _contour(
    probability: float, right: Floats, height: Floats, corner: tuple[float, float, float, float], scope: Scope
) -> Contour:
    """A step curve from smallest to largest size, corners only."""
    largest, worst, smallest, top = corner
    attained = height > 0
    right, height = right[attained][::-1], height[attained][::-1]
    rises = np.concatenate(([True], height[1:] > height[:-1])) if height.size else np.zeros(0, dtype=bool)
    sizes = np.exp(np.log(largest) - right[rises] * (np.log(largest) - np.log(smallest)))
    scores = scope.sign * (worst + height[rises] * (top - worst))
    return Contour(probability, tuple(map(float, sizes)), tuple(map(float, scores)))
