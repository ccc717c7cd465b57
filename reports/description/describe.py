"""What one arm's trials say by themselves: curves, costs, targets, front."""

from collections.abc import Mapping

import numpy as np

from harness.design import ArmDesign
from harness.trial_table import FAILURES
from reports.arms.arm import Arm
from reports.arms.costs import unit_costs
from reports.cost_units import TRIALS
from reports.description.curves import best_curve, median_curve, optimism_curve, size_curve
from reports.description.fronts import Corner, arm_front
from reports.description.luck import describe_luck
from reports.results.arm_result import Accounting, ArmResult, CostMean, Summary, TargetCost
from reports.results.estimate import Estimate, Interval, finite
from reports.scope import FEWEST_TRIALS, Scope
from reports.size_axes import PARAMETERS
from reports.statistics.best_of_n import Ranking, expected_best, rank
from reports.statistics.matching import t_quantile
from reports.statistics.restarts import cost_to_target, enough_trials, restart_costs, thinned, wilson

#: Probabilities whose quantiles of trials to target are given.
ENOUGH = (0.5, 0.9)


def describe_arm(
    arm: Arm,
    scope: Scope,
    design: ArmDesign | None,
    targets: list[tuple[float, str]],
    corners: Mapping[str, Corner],
    again: Arm | None = None,
) -> ArmResult:
    """All that is said about one arm.

    Args:
        arm: its trials.
        scope: settings.
        design: what it was asked to do, where known.
        targets: turned scores to reach, with where they come from.
        corners: axis of the cell's fronts -> largest size, failed score, smallest size and best turned score.
        again: its points that were trained again.
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
    if arm.is_search:
        notes.append(f"{arm.sampling} search: curves are means over whole searches")
    fronts = {
        axis: arm_front(arm, axis, scope, corner)
        for axis, corner in corners.items()
        if axis in arm.sizes and arm.trials
    }
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
        best_of_n=best_curve(arm, ranking, scope) if usable and ranking else None,
        median_of_n=median_curve(arm, scope) if usable and arm.is_independent else None,
        optimism_of_n=optimism_curve(arm, ranking, scope) if usable and ranking else None,
        size_of_n=size_curve(arm, ranking, scope) if usable and ranking else None,
        costs=tuple(_cost_mean(arm, unit, scope) for unit in arm.costs),
        targets=tuple(
            cost
            for target, source in targets
            for score in ("validation", "test")
            for unit in arm.costs
            if (cost := _target_cost(arm, target, source, score == "test", unit, scope)) is not None
        ),
        front=fronts.get(PARAMETERS),
        fronts=fronts,
        failed_score=scope.sign * arm.failed_score,
        notes=tuple(notes),
        luck=describe_luck(arm, again),
    )


def _accounting(arm: Arm, design: ArmDesign | None) -> Accounting:
    failed = int(arm.failed.sum())
    by_status = {status: arm.outcomes[status] for status in sorted(FAILURES) if arm.outcomes[status]}
    planned = design.draws if design else None
    missing = 0 if planned is None else planned - arm.trials
    return Accounting(
        planned=planned,
        done=arm.trials - failed,
        stopped=arm.outcomes["stopped"],
        failed=failed,
        lost=arm.lost,
        not_run=max(missing, 0),
        failed_by_status=by_status,
        balanced=missing >= 0,
    )


def _summary(arm: Arm, ranking: Ranking | None, scope: Scope) -> Summary:
    if ranking is None:
        return Summary(None, None, None, None, None, None, None)
    # A trial stopped without a test score has nothing to describe, not even the score of a failed one.
    scores = np.sort(scope.sign * arm.test[arm.scored | arm.failed])
    if not scores.size:
        return Summary(None, None, None, None, None, None, None)
    quarter = scores.size // 4
    finished = arm.test[arm.scored]
    return Summary(
        median=float(np.median(scores)),
        interquartile_mean=float(scores[quarter : scores.size - quarter].mean()),
        quantile_10=float(np.quantile(scores, 0.1)),
        quantile_90=float(np.quantile(scores, 0.9)),
        best_by_validation=scope.sign * float(expected_best(ranking, arm.test, arm.trials)),
        median_without_failed=scope.sign * float(np.median(finished)) if finished.size else None,
        median_parameters=None if arm.size is None else float(np.median(arm.size)),
    )


def _cost_mean(arm: Arm, unit: str, scope: Scope) -> CostMean:
    costs = arm.costs[unit]
    total = float(costs.sum()) if costs.size else 0.0
    if costs.size == 0:
        return CostMean(unit, Estimate(None, note="no trials"), total)
    parts = unit_costs(arm, unit)
    mean = float(parts.mean())
    interval = None
    if parts.size >= 2 and arm.sampling != "design" and unit != TRIALS:
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
    if arm.trials == 0 or arm.is_search:
        return None  # trials of a search that learns are no independent restarts
    reached = (arm.test if on_test else arm.validation) >= target
    reached = reached & arm.scored
    costs = arm.costs[unit]
    k, size = int(reached.sum()), arm.trials
    inferred = arm.is_independent and size >= FEWEST_TRIALS
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
