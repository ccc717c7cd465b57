"""One arm on the planes of score and size, one for each axis that tells sizes apart."""

from collections.abc import Sequence

import numpy as np

from reports.arms.arm import Arm
from reports.description.curves import JACKKNIFE
from reports.results.arm_result import Contour, Front, FrontPoint
from reports.results.estimate import Estimate, Interval
from reports.scope import FEWEST_TRIALS, Scope
from reports.size_axes import PARAMETERS, SIZE_AXES
from reports.statistics.arrays import Floats
from reports.statistics.best_of_n import best_of_n_df
from reports.statistics.fronts import (
    attainment,
    expected_hypervolume,
    field,
    hypervolume,
    non_dominated,
    pessimistic,
    plane,
)
from reports.statistics.matching import t_quantile

#: Largest size, failed score, smallest size and best turned score of a cell.
Corner = tuple[float, float, float, float]
CONTOURS = (0.25, 0.5, 0.75)
#: What differs by less than this factor is taken for equal: latencies and memory are measured, and no better.
LEAST_SPAN = 1.1


def telling_axes(arms: Sequence[Arm]) -> tuple[str, ...]:
    """The axes on which the arms of a cell are worth a front: parameters, where known, and what says more.

    An axis says no more if all networks are about equal on it, or if it is about a multiple of one before it.
    """
    told: list[str] = []
    for axis in SIZE_AXES:
        sides = [arm for arm in arms if axis in arm.sizes and arm.scored.any()]
        if not sides:
            continue
        sizes = np.concatenate([arm.sizes[axis][arm.scored] for arm in sides])
        ratios = [
            sizes / np.concatenate([arm.sizes[other][arm.scored] for arm in sides])
            for other in told
            if all(other in arm.sizes for arm in sides)
        ]
        if axis == PARAMETERS or all(np.ptp(np.log(each)) >= np.log(LEAST_SPAN) for each in (sizes, *ratios)):
            told.append(axis)
    return tuple(told)


def corner_of(arms: Sequence[Arm], axis: str) -> Corner:
    """Where the plane of a cell begins and ends, over its arms with such sizes; one has a scored trial."""
    sides = [arm for arm in arms if axis in arm.sizes and arm.scored.any()]
    sizes = np.concatenate([arm.sizes[axis][arm.scored] for arm in sides])
    best = max(float(max(arm.test[arm.scored].max(), arm.validation[arm.scored].max())) for arm in sides)
    return float(sizes.max()), arms[0].failed_score, float(sizes.min()), best


def arm_front(arm: Arm, axis: str, scope: Scope, corner: Corner) -> Front:
    """Expected hypervolume, honest front and typical fronts of an arm that has sizes on the axis."""
    size = arm.sizes[axis]
    largest, worst, smallest, top = corner
    reference, best = (largest, worst), (smallest, top)
    validation = np.where(arm.scored, arm.validation, worst)
    x, y = plane(size, arm.test, reference, best)
    x = np.where(arm.scored, x, 0.0)
    n = min(scope.n, max(arm.trials // 2, 1))
    grid = field(x, y)
    if arm.is_search:
        expected = Estimate(None, note="trials are not independent")
    else:
        value, error = expected_hypervolume(grid, arm.trials, n)
        interval = None
        if arm.is_independent and arm.trials >= FEWEST_TRIALS:
            half = float(t_quantile(scope.level, best_of_n_df(arm.trials, n))) * error
            ends = max(value - half, 0.0), min(value + half, 1.0)
            interval = Interval(*ends, scope.level, method=JACKKNIFE)
        expected = Estimate(value, interval)
    alive = np.flatnonzero(arm.scored)
    chosen = alive[non_dominated(size[alive], arm.validation[alive])]
    kept = chosen[pessimistic(size[chosen], arm.test[chosen])]
    seen = plane(size, validation, reference, best)
    contours = []
    if not arm.is_search:
        for probability in CONTOURS:
            right, height = attainment(grid, arm.trials, n, probability)
            contours.append(_contour(probability, right, height, corner, scope))
    return Front(
        n=n,
        size_column=axis,
        expected_hypervolume=expected,
        hypervolume_validation=hypervolume(seen[0][chosen], seen[1][chosen]),
        hypervolume_optimistic=hypervolume(x[chosen], y[chosen]),
        hypervolume_pessimistic=hypervolume(x[kept], y[kept]),
        chosen=tuple(
            FrontPoint(float(size[i]), scope.sign * float(arm.test[i]), scope.sign * float(arm.validation[i]))
            for i in chosen
        ),
        contours=tuple(contours),
    )


def _contour(probability: float, right: Floats, height: Floats, corner: Corner, scope: Scope) -> Contour:
    """A step curve from smallest to largest size, corners only."""
    largest, worst, smallest, top = corner
    attained = height > 0
    right, height = right[attained][::-1], height[attained][::-1]
    rises = np.concatenate(([True], height[1:] > height[:-1])) if height.size else np.zeros(0, dtype=bool)
    sizes = np.exp(np.log(largest) - right[rises] * (np.log(largest) - np.log(smallest)))
    scores = scope.sign * (worst + height[rises] * (top - worst))
    return Contour(probability, tuple(map(float, sizes)), tuple(map(float, scores)))
