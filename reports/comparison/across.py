"""The answer across n: who is ahead at which number of trials, and where that turns."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from reports.arms.arm import Arm
from reports.arms.tracks import search_paths
from reports.comparison.evidence import Evidence
from reports.results.across import Across
from reports.scope import Scope
from reports.statistics.across import covariance, simultaneous_level
from reports.statistics.arrays import Floats, Integers
from reports.statistics.best_of_n import leave_one_out, rank
from reports.statistics.matching import gap

#: Numbers of trials that are looked at, at most.
MOST_PLACES = 12


def across(evidence: Evidence, comparisons: int, scope: Scope) -> Across | None:
    """Compares the arms at n = 1 up to a fifth of their trials, or the n of the claim; None for a refusal.

    Args:
        evidence: of one method in one cell.
        comparisons: how many share alpha; all limits of all of them hold at once.
        scope: names n and the level.
    """
    method, baseline = evidence.method, evidence.baseline
    if baseline is None or evidence.refusal or method.track is None or baseline.track is None:
        return None
    places = _places((method.arm, baseline.arm), np.intersect1d(method.track.m, baseline.track.m), scope.n)
    if places.size < 2:
        return None
    parts = [_left_out(side.arm, places) for side in (method, baseline)]
    if evidence.paired:
        parts = [parts[0] - parts[1]]
    wanted = 1 - scope.alpha / max(comparisons, 1)
    level = simultaneous_level([covariance(part) for part in parts], wanted, scope.seed)
    gaps = [gap(method.track.at(n), baseline.track, int(n), evidence.paired) for n in places]
    values = [each.at(each.n)[0] for each in gaps]
    limits = [each.limits(each.n, (1 + level) / 2) for each in gaps]
    ahead = [1 if low > 0 else -1 if high < 0 else 0 for low, high in limits]
    cell = f"{method.arm.dataset} / {method.arm.architecture}"
    return Across(
        n=tuple(map(int, places)),
        difference=tuple(values),
        low=tuple(low for low, _ in limits),
        high=tuple(high for _, high in limits),
        ahead=tuple(ahead),
        level=level,
        sentence=turning(cell, method.arm.method, baseline.arm.method, places.tolist(), values, ahead),
    )


def _places(arms: Sequence[Arm], shared: Integers, n: int) -> Integers:
    """Numbers of trials, even on a ratio scale, with the claim's n among them."""
    reach = [int(shared[-1]) if arm.is_search else arm.trials // 5 for arm in arms]
    most = min(max(min(reach), n), int(shared[-1]))
    even = np.unique(np.round(np.geomspace(1, most, MOST_PLACES)).astype(np.int64))
    found: Integers = np.intersect1d(np.union1d(even, [min(n, most)]), shared)
    return found


def _left_out(arm: Arm, places: Integers) -> Floats:
    """Expected best of each number of trials without each trial, or without each whole search, [K, units]."""
    if arm.is_search:
        paths = search_paths(arm, arm.test)[:, places - 1]
        found: Floats = ((paths.sum(axis=0) - paths) / (len(paths) - 1)).T
        return found
    ranking = rank(arm.validation)
    return np.stack([leave_one_out(ranking, arm.test, int(n)) for n in places])


def turning(
    cell: str, method: str, baseline: str, n: Sequence[int], value: Sequence[float], ahead: Sequence[int]
) -> str:
    """Where the answer turns, in a sentence; "" where one is ahead, or may be, throughout."""
    sure = [(at, side) for at, side in zip(n, ahead, strict=True) if side]
    for (last, side), (first, other) in pairwise(sure):
        if side != other:
            names = (method, baseline) if side > 0 else (baseline, method)
            return f"On {cell} {names[0]} is ahead up to n = {last}, {names[1]} from n = {first} on."
    kept = [(at, gap_) for at, gap_ in zip(n, value, strict=True) if gap_ != 0.0]
    turns = [(before, after) for before, after in pairwise(kept) if (before[1] > 0) != (after[1] > 0)]
    if len(turns) != 1:
        return ""
    (before, after) = turns[0]
    names = (method, baseline) if before[1] > 0 else (baseline, method)
    return (
        f"On {cell} the estimates turn between n = {before[0]} and n = {after[0]}, from {names[0]} to "
        f"{names[1]}, which these trials do not settle."
    )
