"""Bar 10: estimators against enumeration, and identities of identical arms."""

from itertools import combinations

import numpy as np

from reports.statistics.best_of_n import expected_best, rank
from reports.statistics.fronts import expected_hypervolume, field, hypervolume
from reports.statistics.matching import gap, independent_track, matched_trials
from reports.statistics.winning import win_probability
from tests.calibration.rows import Row


def largest_error(tables: int, seed: int) -> list[Row]:
    """Largest deviation from enumeration over small tables with ties, and from the identities."""
    generator = np.random.default_rng([seed, 10])
    error = identity = 0.0
    for _ in range(tables):
        size = int(generator.integers(3, 8))
        validation = generator.integers(0, 5, size).astype(float)
        test, x = generator.random(size), generator.random(size)
        ranking = rank(validation)
        for n in range(1, size):
            subsets = [list(subset) for subset in combinations(range(size), n)]
            best = [test[s][validation[s] == validation[s].max()].mean() for s in subsets]
            error = max(error, abs(float(expected_best(ranking, test, n)) - float(np.mean(best))))
            volumes = [hypervolume(x[s], test[s]) for s in subsets]
            expected, _ = expected_hypervolume(field(x, test), size, n)
            error = max(error, abs(expected - float(np.mean(volumes))))
            even, _ = win_probability((ranking, test), (ranking, test), n, n, 0.0)
            identity = max(identity, abs(even - 0.5))
        track = independent_track(ranking, validation, np.arange(1, size))
        for n in range(1, size):
            point = float(matched_trials(gap(track, track, n), 0.95)[0])
            identity = max(identity, max(point - n, 0.0))
    return [
        Row("10", f"largest deviation from enumeration, {tables} tables", error, None, 1e-12),
        Row("10", "identical arms: |W(n,n) - 1/2| and m* beyond n", identity, None, 1e-9),
    ]
