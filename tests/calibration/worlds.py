"""Known worlds to draw trials from, and what is true in them.

True accuracies: D1 left-skewed like MNIST; D2 the same with a tenth diverged; D3 wide like CIFAR with a
quarter diverged; D4 right-skewed, good settings rare. Those and two more are the pools that
a plan without a pilot names. Validation scores count 5,000 examples, test scores 10,000.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from reports.statistics.arrays import Floats
from reports.statistics.best_of_n import expected_best, rank
from reports.statistics.pools import POOLS, Pool

#: Trials of the one large sample from which truths are computed, exactly as from any sample.
TRUTH_TRIALS = 1_000_000


World = Pool
D1, D2, D3, D4, ALIKE, DIVERGING = (
    replace(pool, name=name)
    for pool, name in zip(POOLS, ("D1", "D2", "D3", "D4", "alike", "diverging"), strict=True)
)
WORLDS = (D1, D2, D3, D4)
#: The four pools of the power row, unlike each other as searches are.
POWER_POOLS = (D1, D3, ALIKE, DIVERGING)
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
