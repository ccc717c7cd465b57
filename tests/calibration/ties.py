"""Bar 11: whole reports of arms that are alike and full of ties: constants, ceilings, floors."""

from dataclasses import dataclass

import numpy as np

from reports.statistics.arrays import Floats
from reports.statistics.best_of_n import rank
from reports.statistics.matching import gap, independent_track
from reports.statistics.savings import EVEN
from tests.calibration.claims import claims
from tests.calibration.rows import Row

CELLS = 6


@dataclass(frozen=True, slots=True)
class Tied:
    """A share of the trials at one value, the others' quality uniform; scores count so many examples."""

    name: str
    share: float
    at: float
    low: float
    high: float
    examples: int

    def draw(self, studies: int, trials: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
        """Validation and test scores, shape [studies, trials]."""
        shape = studies, trials
        quality = generator.uniform(self.low, self.high, shape)
        quality = np.where(generator.random(shape) < self.share, self.at, quality)
        validation, test = (generator.binomial(self.examples, quality) / self.examples for _ in range(2))
        exact = quality == self.at  # a constant of any size, not only whole shares of the examples
        return np.where(exact, self.at, validation), np.where(exact, self.at, test)


CEILINGS = tuple(
    Tied(f"ceiling {share:.0%}", share, 1.0, 0.90, 0.999, 10_000) for share in (0.30, 0.50, 0.70, 0.85, 0.95)
)
FLOORS = tuple(Tied(f"floor {share:.0%}", share, 0.1, 0.15, 0.80, 10_000) for share in (0.50, 0.85, 0.95))
SMALL_TEST = (
    Tied("100 examples, hard", 0.0, 0.0, 0.60, 0.90, 100),
    Tied("100 examples, easy", 0.0, 0.0, 0.90, 0.99, 100),
)
CONSTANTS = tuple(Tied(f"constant {value:g}", 1.0, value, 0.0, 1.0, 100) for value in (1.0, 0.97, 1 / 3))
TIED = (*CONSTANTS, *CEILINGS, *FLOORS, *SMALL_TEST)


def whole_reports(world: Tied, trials: int, n: int, studies: int, seed: int) -> Row:
    """Six cells in which both arms are alike: any claim at all."""
    generator = np.random.default_rng([seed, 11, trials, n])
    m = np.arange(1, trials // 2 + 1)
    gaps = []
    for _ in range(CELLS):
        ours, theirs = (world.draw(studies, trials, generator) for _ in range(2))
        track = independent_track(rank(theirs[0]), theirs[1], m)
        gaps.append(gap(track, independent_track(rank(ours[0]), ours[1], np.array([n])), n))
    rate = float(np.mean((claims(gaps, [EVEN] * CELLS) != 0).any(axis=1)))
    return Row("11", f"any claim over six A/A cells, {world.name}, n={n} N={trials}", rate, None, 0.06)
