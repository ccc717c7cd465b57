"""Known worlds to draw trials from, and what is true in them.

True accuracies: D1 left-skewed like MNIST; D2 the same with a tenth diverged; D3 wide like CIFAR with a
quarter diverged; D4 right-skewed, good settings rare. Validation scores count 5,000 examples, test scores
10,000.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reports.statistics.arrays import Floats
from reports.statistics.best_of_n import expected_best, rank

VALIDATION_EXAMPLES, TEST_EXAMPLES = 5_000, 10_000
DIVERGED_SCORE = 0.10
#: Trials of the one large sample from which truths are computed, exactly as from any sample.
TRUTH_TRIALS = 1_000_000


@dataclass(frozen=True, slots=True)
class World:
    """A distribution of trials: base + shift + span * Beta(a, b), a share of them diverged."""

    name: str
    base: float
    span: float
    a: float
    b: float
    diverged: float = 0.0
    shift: float = 0.0

    def draw(self, studies: int, trials: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
        """Validation and test scores, shape [studies, trials]."""
        shape = studies, trials
        quality = self.base + self.shift + self.span * generator.beta(self.a, self.b, shape)
        quality = np.where(generator.random(shape) < self.diverged, DIVERGED_SCORE, np.clip(quality, 0, 1))
        validation = generator.binomial(VALIDATION_EXAMPLES, quality) / VALIDATION_EXAMPLES
        test = generator.binomial(TEST_EXAMPLES, quality) / TEST_EXAMPLES
        return validation, test


D1 = World("D1", 0.90, 0.085, 5.0, 1.5)
D2 = World("D2", 0.90, 0.085, 5.0, 1.5, diverged=0.10)
D3 = World("D3", 0.30, 0.42, 3.0, 1.5, diverged=0.25)
D4 = World("D4", 0.60, 0.35, 1.2, 6.0)
WORLDS = (D1, D2, D3, D4)
#: Rivals of D1. Matched trials m*(n): NEAR 1.0, 1.5 and 2.5 for n = 3, 5 and 10; FAR 3.0 and 5.9 for n = 5
#: and 10; STEEP 1.4 and 2.5 for n = 5 and 10, but with a smaller difference at n: harder to tell apart.
NEAR = World("near", 0.90, 0.085, 11.58, 1.3)
FAR = World("far", 0.90, 0.085, 7.4, 1.5)
STEEP = World("steep", 0.90, 0.085, 14.2, 1.5)


@lru_cache(maxsize=64)
def _sample(world: World) -> tuple[Floats, Floats]:
    validation, test = world.draw(1, TRUTH_TRIALS, np.random.default_rng(99))
    return validation[0], test[0]


@lru_cache(maxsize=512)
def true_best(world: World, n: int) -> float:
    """E[test score of the best-by-validation of n]: from a sample so large that its error is below 1e-5."""
    validation, test = _sample(world)
    return float(expected_best(rank(validation), test, n))


def true_match(method: World, baseline: World, n: int, most: int = 200) -> float:
    """m*(n), linear between whole numbers; infinity if not reached within `most` trials."""
    goal = true_best(baseline, n)
    before = -np.inf
    for m in range(1, most + 1):
        value = true_best(method, m)
        if value >= goal:
            return 1.0 if m == 1 else m - 1 + (goal - before) / (value - before)
        before = value
    return float(np.inf)
