"""Best-of-m of an arm, by the formula that its sampling allows."""

import numpy as np

from reports.arms.arm import Arm
from reports.statistics.arrays import Floats, Integers
from reports.statistics.best_of_n import rank, trial_grid
from reports.statistics.matching import Track, incumbents, independent_track, replicated_track
from reports.statistics.unseen import Failed


def search_paths(arm: Arm, values: Floats) -> Floats:
    """`values` of the best trial so far in each replicated search, in the order of drawing.

    Returns:
        Shape [R, M] with M the length of the shortest search. Ties keep the earlier trial.
    """
    return np.stack([values[row][incumbents(arm.validation[row])] for row in in_order(arm)])


def in_order(arm: Arm) -> list[Integers]:
    """The trials of each replicated search in the order of drawing, as many as the shortest search has.

    Raises:
        ValueError: the arm has no searches or no order of drawing.
    """
    if arm.search is None or arm.position is None:
        raise ValueError("replicated searches need the columns replicate and index")
    rows = [np.flatnonzero(arm.search == number) for number in np.unique(arm.search)]
    length = min(row.size for row in rows)
    return [row[np.argsort(arm.position[row], kind="stable")][:length] for row in rows]


def search_track(arm: Arm) -> Track:
    """Best so far of an adaptive or pruned arm, over its whole searches."""
    return replicated_track(search_paths(arm, arm.test))


def arm_track(arm: Arm, wanted: tuple[int, ...] = (), keep: bool = False) -> Track:
    """The track of an arm by the formula that its sampling allows; it holds the wanted numbers of trials.

    Raises:
        DependentTrialsError: the arm is a design (grid, quasi-random): described, not inferred from.
        ValueError: too few trials for any curve, or an adaptive arm without order.
    """
    if arm.is_search:
        return search_track(arm)
    arm.require_independent()
    return independent_track(
        rank(arm.validation), arm.test, trial_grid(arm.trials // 2, *wanted), keep, failed_of(arm)
    )


def failed_of(arm: Arm) -> Failed:
    """The trials that cannot be chosen, and what they count as."""
    return Failed(np.asarray((~arm.scored).sum()), arm.failed_score)
