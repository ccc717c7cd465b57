"""Objections to trials that stand twice: N is smaller than it looks, and limits are too narrow for it."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from reports.arms.arm import Arm, arms_by_cell
from reports.cost_units import TRIALS
from reports.results.results import Warn
from reports.statistics.arrays import Floats

#: Fewest different scores from which equal ones are no chance.
FEWEST = 8


def copies(arms: Sequence[Arm]) -> Iterator[Warn]:
    """Arms whose trials repeat each other, and arms of a cell that hold the same trials."""
    for arm in arms:
        if arm.is_independent:
            yield from _repeated(arm)
    for members in arms_by_cell(arms).values():
        for first, second in combinations(members, 2):
            yield from _twins(first, second)


def _repeated(arm: Arm) -> Iterator[Warn]:
    rows = _rows(arm)
    counts = np.unique(rows, axis=0, return_counts=True)[1]
    extra = int((counts - 1).sum())
    if not extra:
        return
    if arm.parameters:
        same = "searched value and score"
    elif _costs(arm):
        same = "score and cost"
    elif counts.size < FEWEST or np.gcd.reduce(counts) < 2:
        # Scores that count examples meet by chance; that each stands twice, or four times, is none.
        return
    else:
        same = "score"
    yield Warn(
        "copies",
        "serious",
        f"{extra} trials of {arm.method} repeat another one in every {same}: rows may have been doubled, or "
        "two workers may have drawn with one seed. N is smaller than it looks, and verdicts are too sure.",
        *arm.name,
    )


def _twins(first: Arm, second: Arm) -> Iterator[Warn]:
    """Two names for one arm: trials with the very same scores, as often each."""
    ours, theirs = (np.sort(_scores(arm).view("f8,f8").ravel()) for arm in (first, second))
    if np.unique(ours).size < FEWEST or not np.array_equal(ours, theirs):
        return
    yield Warn(
        "twins",
        "serious",
        f"{first.method} and {second.method} hold the same {ours.size} scores: they may be one arm under two "
        "names, and comparing them says nothing.",
        first.dataset,
        first.architecture,
    )


def _scores(arm: Arm) -> Floats:
    return np.ascontiguousarray(np.column_stack((arm.validation, arm.test))[arm.scored])


def _costs(arm: Arm) -> list[Floats]:
    """Costs that differ from trial to trial."""
    found = (cost for unit, cost in sorted(arm.costs.items()) if unit != TRIALS)
    return [cost for cost in found if np.unique(cost).size > 1]


def _rows(arm: Arm) -> Floats:
    """What tells a finished trial from another, a row each; a point trained twice costs a little other."""
    columns = [*(arm.parameters.values() or _costs(arm)), arm.validation, arm.test]
    rows: Floats = np.nan_to_num(np.column_stack(columns)[arm.scored], nan=-1.0)
    return rows
