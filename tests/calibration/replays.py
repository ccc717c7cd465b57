"""Coverage of the limits of a replayed search, on learning curves whose truth is known from many studies.

The estimate is unbiased where no order runs out of trials, so its mean over all studies is the truth.
"""

from typing import Any

import numpy as np

from reports.statistics.recorded import Curves
from reports.statistics.replay import Pool, spending
from tests.calibration.rows import Row

TRIALS, EPOCHS, ORDERS = 50, 20, 200
BUDGETS = (30.0, 60.0, 120.0)
LEVEL = 0.95
NOP: dict[str, Any] = {"name": "NopPruner", "options": {}}
PRUNERS: dict[str, dict[str, Any]] = {
    "halving": {
        "name": "SuccessiveHalvingPruner",
        "options": {
            "min_resource": 1,
            "reduction_factor": 4,
            "min_early_stopping_rate": 0,
            "bootstrap_count": 0,
        },
    },
    "median": {
        "name": "MedianPruner",
        "options": {"n_startup_trials": 5, "n_warmup_steps": 0, "interval_steps": 1, "n_min_trials": 1},
    },
}


def draw(generator: np.random.Generator, slow: bool) -> Pool:
    """A pool of independent trials; of `slow` ones 8 % are excellent in the end and poor at first."""
    quality = 0.90 + 0.085 * generator.beta(5.0, 1.5, TRIALS)
    pace = np.exp(generator.normal(0.8, 0.5, TRIALS))
    if slow:
        rare = generator.random(TRIALS) < 0.08
        quality, pace = np.where(rare, 0.99, quality), np.where(rare, 6.0, pace)
    epochs = np.arange(1, EPOCHS + 1)
    true = quality[:, None] - 0.5 * np.exp(-epochs / pace[:, None])
    scores = generator.binomial(5_000, true) / 5_000
    tests = generator.binomial(10_000, true) / 10_000
    at = np.array([[int(row[:e].argmax()) for e in epochs] for row in scores])
    lengths, failed = np.full(TRIALS, EPOCHS), np.zeros(TRIALS, dtype=np.bool_)
    best, best_test = (np.take_along_axis(values, at, axis=1) for values in (scores, tests))
    costs = np.tile(epochs.astype(np.float64), (TRIALS, 1))
    return Pool(Curves(scores, lengths, failed), best, best_test, costs, costs[:, -1], 0.1)


def coverage(pruner: str, slow: bool, studies: int, seed: int) -> list[Row]:
    """Coverage of the incumbent's expected score after each budget, and of its difference to no pruner.

    Bars stand where ten trials or more are begun on average; below, limits are known to be rough.
    """
    generator = np.random.default_rng([seed, 40, slow])
    budgets = np.array(BUDGETS)
    found = []
    for study in range(studies):
        pool = draw(generator, slow)
        (line, _), gap = spending(pool, (PRUNERS[pruner], NOP), budgets, study, ORDERS)
        assert gap is not None
        found.append([[part.value, *part.limits(LEVEL), part.begun, part.exhausted] for part in (line, gap)])
    value, low, high, begun, exhausted = np.moveaxis(np.array(found), 2, 0)
    truth = value.mean(axis=0)
    rate = ((low <= truth) & (truth <= high)).mean(axis=0)
    rows = []
    world = "rare slow trials" if slow else "trials like MNIST's"
    for place, what in enumerate(("incumbent", "difference to no pruner")):
        for number, budget in enumerate(BUDGETS):
            trials = float(begun[:, place, number].mean())
            name = f"{what} under {pruner}, {world}, B={budget:g}, {trials:.1f} trials begun"
            asked = trials >= 10 and float(exhausted[:, place, number].mean()) <= 0.01
            bar = 0.92 if asked and what == "incumbent" else None
            rows.append(Row("r" if bar else "+", f"coverage, {name}", float(rate[place, number]), bar, None))
    return rows
