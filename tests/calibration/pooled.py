"""Bar 15: the mean saving over six cells: whether it is there, and covers."""

import numpy as np

from reports.statistics.matching import gap
from reports.statistics.meta_analysis import pool_bounded
from reports.statistics.savings import EVEN, BoundedSaving, bounded_log_saving, log_ratio_of_means
from tests.calibration.failures import Failing, true_match
from tests.calibration.rows import Row
from tests.calibration.worlds import D1, D2, D3, D4, FAR, NEAR, STEEP

LEVEL = 0.95
#: How much dearer a trial of the method is, where costs are counted.
PRICE = 1.2


def _alike(*worlds: Failing) -> tuple[tuple[Failing, Failing], ...]:
    return tuple((world, world) for world in worlds)


_D1 = Failing(D1, 0.0)
#: Baseline and method in six cells.
CELLS = {
    "A/A": _alike(*(Failing(world, 0.0) for world in (D1, D2, D3, D4, D1, D3))),
    "mixed": (
        *((_D1, Failing(method, 0.0)) for method in (NEAR, FAR, STEEP, D1)),
        (Failing(NEAR, 0.0), _D1),
        *_alike(Failing(D3, 0.0)),
    ),
    "savings": ((_D1, Failing(NEAR, 0.0)),) * 6,
    "losses": ((Failing(STEEP, 0.0), _D1),) * 6,
    "10 and 30 % fail": (
        *((Failing(D1, 0.1), Failing(NEAR, 0.1)),) * 3,
        *((Failing(D1, 0.3), Failing(D1, 0.0)),) * 3,
    ),
}


def coverage(name: str, trials: int, n: int, in_trials: bool, studies: int, seed: int) -> list[Row]:
    """The truth is the mean log saving with every m* held between 1 and N / 2, as the estimate is."""
    generator = np.random.default_rng([seed, 15, trials, n, len(name), in_trials])
    last = trials // 2
    m = np.arange(1, last + 1)
    found, truths = [], []
    for baseline, method in CELLS[name]:
        base = baseline.track(studies, trials, np.array([n]), generator)
        difference = gap(method.track(studies, trials, m, generator), base, n)
        ratio = EVEN
        if not in_trials:
            costs = generator.gamma(3.0, 1.0, (2, studies, trials))
            ratio = log_ratio_of_means(costs[0], PRICE * costs[1])
        found.append(bounded_log_saving(difference, ratio, LEVEL))
        truth = np.log(n / np.clip(true_match(method, baseline, n), 1, last))
        truths.append(truth if in_trials else truth - np.log(PRICE))
    cells = BoundedSaving(
        *(
            np.stack([np.broadcast_to(getattr(cell, part), (studies,)) for cell in found], axis=-1)
            for part in BoundedSaving.__slots__
        )
    )
    _, low, high = pool_bounded(cells)
    goal = float(np.mean(truths))
    setting = f"{name}, {'trials' if in_trials else 'seconds'}, n={n} N={trials}"
    covered = float(np.mean((low <= goal + 1e-9) & (goal <= high + 1e-9)))
    there = float(np.mean(np.isfinite(low) & np.isfinite(high)))
    return [
        Row("15", f"coverage of the mean over six cells, {setting}", covered, 0.93, None),
        Row("15", f"that mean is there, {setting}", there, 0.80, None),
        Row("+", f"geometric width of its limits, {setting}", float(np.exp(np.median(high - low)))),
    ]
