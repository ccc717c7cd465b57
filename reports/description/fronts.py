"""One arm on the plane of score and size."""

import numpy as np

from reports.arms.arm import Arm
from reports.description.curves import JACKKNIFE
from reports.results.arm_result import Contour, Front, FrontPoint
from reports.results.estimate import Estimate, Interval
from reports.scope import FEWEST_TRIALS, Scope
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


def arm_front(arm: Arm, scope: Scope, corner: Corner) -> Front | None:
    """Expected hypervolume, honest front and typical fronts; None for an arm without sizes."""
    if arm.size is None:
        return None
    largest, worst, smallest, top = corner
    reference, best = (largest, worst), (smallest, top)
    validation = np.where(arm.scored, arm.validation, worst)
    x, y = plane(arm.size, arm.test, reference, best)
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
    chosen = alive[non_dominated(arm.size[alive], arm.validation[alive])]
    kept = chosen[pessimistic(arm.size[chosen], arm.test[chosen])]
    seen = plane(arm.size, validation, reference, best)
    contours = []
    if not arm.is_search:
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


def _contour(probability: float, right: Floats, height: Floats, corner: Corner, scope: Scope) -> Contour:
    """A step curve from smallest to largest size, corners only."""
    largest, worst, smallest, top = corner
    attained = height > 0
    right, height = right[attained][::-1], height[attained][::-1]
    rises = np.concatenate(([True], height[1:] > height[:-1])) if height.size else np.zeros(0, dtype=bool)
    sizes = np.exp(np.log(largest) - right[rises] * (np.log(largest) - np.log(smallest)))
    scores = scope.sign * (worst + height[rises] * (top - worst))
    return Contour(probability, tuple(map(float, sizes)), tuple(map(float, scores)))
