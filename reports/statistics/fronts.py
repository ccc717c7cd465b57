"""Score against size: expected hypervolume of n random trials, typical fronts, and the honest front.

With k(z) trials weakly dominating a point z of the plane, n random trials attain z with probability
1 - C(N - k, n) / C(N, n); its integral is the expected hypervolume, exactly. The honest front is chosen on
validation and shown at test scores; its optimistic and pessimistic readings follow Feurer et al. 2023
(arXiv 2212.04183).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reports.statistics.arrays import Floats, Integers
from reports.statistics.best_of_n import jackknife_se, weights

#: Above this many distinct sizes or scores, coordinates are rounded (towards worse) to as many steps.
GRID_LIMIT = 400


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """Trials on the plane of goodness x (small size) and y (score), both 0 (worst) to 1 (best).

    x, y: ascending distinct coordinates, 0 first; cell (i, j) is the rectangle below (x[i+1], y[j+1]).
    counts: trials that weakly dominate each cell's upper corner, shape [len(x) - 1, len(y) - 1].
    column, row: cell in which each trial is the upper corner, or -1 where it dominates nothing.
    """

    x: Floats
    y: Floats
    counts: Integers
    column: Integers
    row: Integers

    @property
    def areas(self) -> Floats:
        """Area of each cell."""
        return np.outer(np.diff(self.x), np.diff(self.y))


def plane(
    sizes: Floats, scores: Floats, reference: tuple[float, float], best: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Maps sizes (log10) and scores to goodness in [0, 1]; worse than the reference becomes 0.

    Args:
        sizes: above 0, shape [N].
        scores: larger is better, shape [N].
        reference: largest size and worst score that count.
        best: smallest size and best score.
    """
    span = np.log10(reference[0]) - np.log10(best[0])
    x = (np.log10(reference[0]) - np.log10(sizes)) / span if span > 0 else np.ones(sizes.shape)
    height = best[1] - reference[1]
    y = (scores - reference[1]) / height if height > 0 else np.ones(scores.shape)
    return np.clip(x, 0.0, 1.0), np.clip(y, 0.0, 1.0)


def field(x: Floats, y: Floats) -> Field:
    """Counts dominating trials on the grid that the trials span, by running sums: O(N + G^2)."""
    edges_x, edges_y = _edges(x), _edges(y)
    column = np.searchsorted(edges_x, x, side="right") - 2
    row = np.searchsorted(edges_y, y, side="right") - 2
    counts = np.zeros((edges_x.size - 1, edges_y.size - 1), dtype=np.int64)
    inside = (column >= 0) & (row >= 0)
    np.add.at(counts, (column[inside], row[inside]), 1)
    counts = counts[::-1, ::-1].cumsum(axis=0).cumsum(axis=1)[::-1, ::-1]
    column, row = np.where(inside, column, -1), np.where(inside, row, -1)
    return Field(edges_x, edges_y, counts, column, row)


def _edges(values: Floats) -> Floats:
    edges = np.unique(np.concatenate(([0.0], values)))
    if edges.size <= GRID_LIMIT:
        return edges
    return np.unique(
        np.concatenate(([0.0], np.quantile(values, np.linspace(0, 1, GRID_LIMIT), method="lower")))
    )


def miss_table(trials: int, n: int) -> Floats:
    """C(N - k, n) / C(N, n) for k = 0..N: chance that n of N trials contain none of k. Shape [N + 1]."""
    return np.concatenate(([0.0], np.cumsum(weights(trials, n))))[::-1].clip(0.0, 1.0)


def expected_hypervolume(field_: Field, trials: int, n: int) -> tuple[float, float]:
    """Expected hypervolume of n random trials (share of the rectangle) and its jackknife standard error.

    Args:
        field_: of the arm.
        trials: N.
        n: 1 <= n <= N - 1.
    """
    areas = field_.areas
    value = float((areas * (1 - miss_table(trials, n)[field_.counts])).sum())
    if trials < 2 or n > trials - 1:
        return value, 0.0
    # Leaving trial j out lowers k by one where j dominates, nowhere else: one running sum serves all j.
    fewer = miss_table(trials - 1, n)
    kept = 1 - fewer[np.minimum(field_.counts, trials - 1)]
    lowered = 1 - fewer[np.maximum(field_.counts - 1, 0)]
    change = np.zeros((areas.shape[0] + 1, areas.shape[1] + 1))
    change[1:, 1:] = (areas * (lowered - kept)).cumsum(axis=0).cumsum(axis=1)
    left_out = (areas * kept).sum() + change[field_.column + 1, field_.row + 1]
    return value, float(jackknife_se(left_out))


def attainment(field_: Field, trials: int, n: int, probability: float) -> tuple[Floats, Floats]:
    """Best score goodness that n random trials attain with this probability, at each size goodness.

    Returns:
        x (upper edges of the columns) and y, shape [G] each; y is 0 where nothing is attained.
    """
    chance = 1 - miss_table(trials, n)[field_.counts]
    attained = (chance >= probability).sum(axis=1)
    return field_.x[1:], field_.y[attained]


def non_dominated(sizes: Floats, scores: Floats) -> npt.NDArray[np.intp]:
    """Indices of trials that no other one beats in size and score (equal ones: the first), smallest first."""
    order = np.lexsort((-scores, sizes))
    best = np.maximum.accumulate(np.concatenate(([-np.inf], scores[order][:-1])))
    return order[scores[order] > best]


def hypervolume(x: Floats, y: Floats) -> float:
    """Area of the union of rectangles from the origin to each (x, y), by a sweep."""
    order = np.argsort(-x, kind="stable")
    heights = np.maximum.accumulate(np.concatenate(([0.0], y[order])))
    return float((x[order] * np.diff(heights)).sum())


def pessimistic(sizes: Floats, scores: Floats) -> npt.NDArray[np.intp]:
    """Indices of trials that dominate no other one: what is left if every good surprise is taken away."""
    order = np.lexsort((scores, -sizes))  # largest first
    lowest = np.minimum.accumulate(np.concatenate(([np.inf], scores[order][:-1])))
    # A larger trial with a lower or equal score would be dominated by this one.
    return order[scores[order] < lowest]
