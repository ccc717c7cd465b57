"""Bars 16 and 17: what a plan announces beside what studies find, and the power of plain limits."""

import numpy as np

from reports.statistics.arrays import Floats
from reports.statistics.best_of_n import rank
from reports.statistics.matching import gap, independent_track
from reports.statistics.power import Pilot, saving_power
from reports.statistics.savings import EVEN, log_saving
from reports.statistics.unseen import Failed
from tests.calibration.rows import Row
from tests.calibration.worlds import POWER_POOLS, World

LEVEL = 0.95
SAVINGS = (2, 4, 10)
#: Trials of an arm and n, with the mean power over four real pools that was seen before failures not yet seen
#: were counted. Those pools are not at hand; ours were chosen to spread as they did (.06 to .82 at 4x).
BEFORE = {
    (50, 5): (0.16, 0.40, 0.57),
    (100, 5): (0.29, 0.58, 0.70),
    (50, 10): (0.07, 0.15, 0.27),
    (100, 10): (0.14, 0.32, 0.47),
}
PILOT_TRIALS, PILOTS = 50, 12


def _best_of(
    world: World, saving: int, studies: int, trials: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """A method that saves so many times: each of its trials is the best by validation of that many."""
    validation, test = world.draw(studies, trials * saving, generator)
    shape = studies, trials, saving
    best = validation.reshape(shape).argmax(axis=-1)[..., None]
    ours, theirs = (np.take_along_axis(part.reshape(shape), best, -1)[..., 0] for part in (validation, test))
    return ours, theirs


def found(world: World, saving: int, trials: int, n: int, studies: int, seed: int) -> float:
    """Share of studies in which the whole interval lies above 1."""
    generator = np.random.default_rng([seed, 16, trials, n, saving])
    none = Failed(np.zeros(studies, dtype=np.int64), 0.0)
    ours = world.draw(studies, trials, generator)
    theirs = _best_of(world, saving, studies, trials, generator)
    track = independent_track(rank(theirs[0]), theirs[1], np.arange(1, n + 1), failed=none)
    base = independent_track(rank(ours[0]), ours[1], np.array([n]), failed=none)
    return float(np.mean(log_saving(gap(track, base, n), EVEN, LEVEL)[1] > 0))


def announced(world: World, saving: int, trials: int, n: int, studies: int, seed: int) -> list[Row]:
    """The mean of what pilots announce, beside what is found."""
    generator = np.random.default_rng([seed, 160, trials, n, saving])
    told = []
    for _ in range(PILOTS):
        validation, test = world.draw(1, PILOT_TRIALS, generator)
        pilot = Pilot(validation[0], test[0], 0.0)
        told.append(saving_power(pilot, trials, n, saving, LEVEL, generator))
    off = abs(float(np.mean(told)) - found(world, saving, trials, n, studies, seed))
    name = f"{world.name}, {saving}x, n={n} N={trials}"
    return [
        Row("16", f"power announced off the power found, {name}", off, None, 0.10),
        Row("+", f"standard deviation of what pilots announce, {name}", float(np.std(told))),
    ]


def plain(trials: int, n: int, studies: int, seed: int) -> list[Row]:
    """Power of plain limits in one cell, by pool and on average."""
    rows = []
    for saving, before in zip(SAVINGS, BEFORE[trials, n], strict=True):
        shares = [found(world, saving, trials, n, studies, seed) for world in POWER_POOLS]
        name = f"a true {saving}x found, n={n} N={trials}"
        rows.append(Row("17", f"{name}, mean of four pools", float(np.mean(shares)), before, None))
        rows += [
            Row("+", f"{name}, {world.name}", share) for world, share in zip(POWER_POOLS, shares, strict=True)
        ]
    return rows
