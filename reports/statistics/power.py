"""The chance that a study finds a saving that is there, simulated from trials of a baseline.

A method that saves S times draws the best by validation of S trials of the baseline where that draws one: its
score ranks like U^(1/S), so its best of m is the baseline's best of S m, and m*(n) = n / S exactly.
"""

from dataclasses import dataclass

import numpy as np

from reports.statistics.arrays import Floats
from reports.statistics.best_of_n import rank
from reports.statistics.matching import gap, independent_track
from reports.statistics.savings import EVEN, log_ratio_of_means, log_saving
from reports.statistics.unseen import Failed

#: Studies simulated at least and at most: the chance is told to .05 then, as it is shown.
FEWEST, STUDIES = 20, 100
#: Trials in all of an arm's studies, and those times n: what the time goes by.
MOST_TRIALS, MOST_RANKS = 50_000, 2_500_000


@dataclass(frozen=True, slots=True, eq=False)
class Pilot:
    """Independent trials of a baseline. All shapes [N].

    validation: minus infinity where a trial failed. test: what a failed trial counts as, there. costs: None
    where trials are counted.
    """

    validation: Floats
    test: Floats
    failed_score: float
    costs: Floats | None = None


def saving_power(
    pilot: Pilot, trials: int, n: int, saving: float, level: float, generator: np.random.Generator
) -> float:
    """The chance that the interval of the saving lies above 1.

    Args:
        pilot: what baseline and method are drawn from.
        trials: of each arm.
        n: trials of a search of the baseline.
        saving: how many times less the method truly spends, at least 1.
        level: of the interval, two-sided.
        generator: random numbers.

    Raises:
        ValueError: the arms have too few trials for n.
    """
    if not 1 <= n <= trials // 2:
        raise ValueError(f"best of {n} is not judged from {trials} trials")
    studies = int(np.clip(min(MOST_TRIALS // trials, MOST_RANKS // (trials * n)), FEWEST, STUDIES))
    shape = studies, trials
    order = np.argsort(pilot.validation, kind="stable")
    size = order.size
    ours = order[generator.integers(0, size, shape)]
    places = np.ceil(size * generator.random(shape) ** (1 / saving)).astype(np.int64) - 1
    theirs = order[np.clip(places, 0, size - 1)]
    # What decides is where the method is ahead, and costs move that little.
    most = n if pilot.costs is None else min(2 * n, trials // 2)
    m = np.arange(1, most + 1)
    tracks = []
    for drawn, wanted in ((theirs, m), (ours, np.array([n]))):
        validation = pilot.validation[drawn]
        failed = Failed((~np.isfinite(validation)).sum(axis=-1), pilot.failed_score)
        tracks.append(independent_track(rank(validation), pilot.test[drawn], wanted, failed=failed))
    ratio = EVEN
    if pilot.costs is not None:
        costs = pilot.costs[generator.integers(0, size, (2, *shape))]
        ratio = log_ratio_of_means(costs[0], costs[1])
    return float(np.mean(log_saving(gap(tracks[0], tracks[1], n), ratio, level)[1] > 0))
