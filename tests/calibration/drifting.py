"""Bar 13: searches that learn, with trials that get dearer or cheaper as the search goes on."""

import numpy as np

from reports.arms.arm import Arm
from reports.arms.costs import cost_ratio
from reports.arms.tracks import arm_track
from reports.statistics.arrays import Floats
from reports.statistics.matching import gap
from reports.statistics.savings import log_saving
from tests.calibration.rows import Row
from tests.reports.helpers import arm_of

LEVEL = 0.95
SEARCHES, LENGTH, N = 10, 30, 15
#: How a trial's cost changes from the first to the last of a search: down and up four times.
DRIFTS = (0.25, 1.0, 4.0)


def _scores(searches: int, rate: float, generator: np.random.Generator) -> Floats:
    """Searches that learn: draws near the best so far get likelier. Shape [searches, LENGTH]."""
    level = 0.95 - 0.15 * np.exp(-rate * np.arange(LENGTH))
    start = generator.normal(0.0, 0.01, (searches, 1))
    scores: Floats = level + start - generator.gamma(1.0, 0.02, (searches, LENGTH))
    return scores


def _arm(searches: int, rate: float, drift: float, generator: np.random.Generator) -> Arm:
    scores = _scores(searches, rate, generator)
    mean = drift ** (np.arange(LENGTH) / (LENGTH - 1))
    seconds = mean * generator.gamma(5.0, 0.2, scores.shape) * generator.gamma(20.0, 0.05, (searches, 1))
    return arm_of(
        scores.ravel(),
        sampling="adaptive",
        search=np.repeat(np.arange(searches), LENGTH),
        position=np.tile(np.arange(float(LENGTH)), searches),
        seconds=seconds.ravel(),
    )


def _saving(base: Arm, method: Arm) -> tuple[float, float, float]:
    difference = gap(arm_track(method), arm_track(base), N)
    point, low, high = log_saving(difference, cost_ratio(base, method, "seconds", N), LEVEL)
    return float(point), float(low), float(high)


def coverage(rate: float, drift: float, studies: int, seed: int) -> list[Row]:
    """The saving in cost of searches whose costs drift, against a baseline whose costs do not.

    The truth: the expected score and the expected cost up to m of 20,000 searches.
    """
    sure = np.random.default_rng([seed, 130])
    truth = _saving(_arm(20_000, 0.1, 1.0, sure), _arm(20_000, rate, drift, sure))[0]
    generator = np.random.default_rng([seed, 13, int(100 * rate), int(100 * drift)])
    covered, points = 0, []
    for _ in range(studies):
        arms = _arm(SEARCHES, 0.1, 1.0, generator), _arm(SEARCHES, rate, drift, generator)
        point, low, high = _saving(*arms)
        covered += low <= truth <= high
        points.append(point)
    name = f"costs drift {drift:g}x, rate {rate:g}, saving {np.exp(truth):.2f}"
    off = abs(float(np.exp(np.median(points) - truth)) - 1)
    return [
        Row("13", f"coverage of the saving in cost, {name}", covered / studies, 0.93, None),
        Row("13", f"median of the saving beside the truth, {name}", off, None, 0.05),
    ]
