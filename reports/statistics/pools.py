"""Named distributions of trials, for plans without a pilot and for worlds in which the truth is known.

True accuracies are base + shift + span * Beta(a, b), a share of them diverged; they are measured on so many
examples.
"""

from dataclasses import dataclass

import numpy as np

from reports.statistics.arrays import Floats
from reports.statistics.power import Pilot

VALIDATION_EXAMPLES, TEST_EXAMPLES = 5_000, 10_000
DIVERGED_SCORE = 0.10
#: Trials that stand for a pool.
PILOT_TRIALS = 2_000


@dataclass(frozen=True, slots=True)
class Pool:
    """A distribution of trials."""

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

    def pilot(self, seed: int) -> Pilot:
        """Trials that stand for the pool."""
        validation, test = self.draw(1, PILOT_TRIALS, np.random.default_rng(seed))
        return Pilot(validation[0], test[0], 0.0)


#: Accuracies as searches have them; power at 4x goes from under .15 to over .85 (50 trials, n = 5).
POOLS = (
    Pool("most trials good, as on MNIST", 0.90, 0.085, 5.0, 1.5),
    Pool("the same, a tenth diverged", 0.90, 0.085, 5.0, 1.5, diverged=0.10),
    Pool("wide, a quarter diverged, as on CIFAR-10", 0.30, 0.42, 3.0, 1.5, diverged=0.25),
    Pool("good trials rare", 0.60, 0.35, 1.2, 6.0),
    Pool("nearly all trials alike", 0.975, 0.01, 5.0, 1.5),
    Pool("most trials good, two in five diverged", 0.90, 0.085, 5.0, 1.5, diverged=0.40),
)
