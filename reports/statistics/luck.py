"""How much of the spread between trials is luck: components of its variance, by the method of moments.

Half the squared difference of two trainings has for its expectation the variance of all in which they differ.
Its means over pairs that differ in one thing more each time are subtracted from each other, so each component
is unbiased whatever its distribution and however many trainings a point lost, before what came out below zero
is set to zero.
"""

from dataclasses import dataclass

import numpy as np

from reports.statistics.arrays import ROUNDING, Floats, Integers


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of a trial's score, none below zero.

    sizes: of points, whatever is searched. split: of the validation split; None where there is one only.
    training: of the same point on the same split. order: the part of it that is left with the same
    initialisation; None where no two trainings share theirs.
    """

    sizes: float
    split: float | None
    training: float
    order: float | None


def components(scores: Floats, points: Integers, starts: Integers, splits: Integers) -> Components | None:
    """The components of the variance of a trial's score; None where pairs are lacking, or all is constant.

    Args:
        scores: [trainings].
        points: [trainings], the point that was trained. A point lies on one split.
        starts: [trainings], its initialisation. That of another point is another one.
        splits: [trainings], its validation split.
    """
    centred = scores - scores.mean() if scores.size else scores
    same_start = _between(centred, starts, np.arange(scores.size))
    same_point = _between(centred, points, starts)
    same_split = _between(centred, splits, points)
    anything = _between(centred, np.zeros_like(splits), splits)
    if same_point is None or same_split is None:
        return None
    training = max(same_point, 0.0)
    sizes = max(same_split - same_point, 0.0)
    split = None if anything is None else max(anything - same_split, 0.0)
    whole = sizes + training + (split or 0.0)
    least = ROUNDING * max(whole, float(np.square(scores).mean()))
    if whole <= least:
        return None

    def rounded(part: float) -> float:
        return part if part > least else 0.0

    return Components(
        sizes=rounded(sizes),
        split=None if split is None else rounded(split),
        training=rounded(training),
        order=None if same_start is None else min(rounded(same_start), rounded(training)),
    )


def _between(centred: Floats, groups: Integers, inner: Integers) -> float | None:
    """Mean of half the squared difference over pairs of one group and two inner classes, which lie in it."""
    total, pairs = 0.0, 0
    for labels, sign in ((groups, 1), (inner, -1)):
        _, which = np.unique(labels, return_inverse=True)
        count = np.bincount(which)
        sums, squares = np.bincount(which, centred), np.bincount(which, np.square(centred))
        total += sign * float((count * squares - np.square(sums)).sum()) / 2
        pairs += sign * int((count * (count - 1)).sum()) // 2
    return total / pairs if pairs else None
