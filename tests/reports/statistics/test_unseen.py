"""Failures not yet seen: against enumeration, and what they do to limits."""

from math import comb

import numpy as np
import pytest
from scipy import special

from reports.statistics.best_of_n import expected_best, rank
from reports.statistics.matching import gap, independent_track, matched_trials
from reports.statistics.unseen import MASSES, QUANTILES, Failed, unseen


@pytest.mark.parametrize("failures", [0, 3])
def test_it_is_the_binomial_mixture_of_the_best_of_the_successes(failures: int) -> None:

    generator = np.random.default_rng(failures)
    good = generator.random(12)
    scores = np.concatenate((np.full(failures, -np.inf), good))
    test = np.concatenate((np.full(failures, 0.1), good))
    m = np.array([1, 2, 5, 7])
    found = unseen(rank(scores), test, m, Failed(np.asarray(failures), 0.1))
    rates = special.betaincinv(failures + 0.5, 12.5, QUANTILES)
    best = [0.1, *(float(expected_best(rank(good), good, min(k, 11))) for k in range(1, 8))]
    for row, number in enumerate(m):
        wanted = sum(
            comb(number, k) * (1 - rates) ** k * rates ** (number - k) * best[k] for k in range(number + 1)
        )
        assert found.value[row] == pytest.approx(wanted, abs=1e-12)
    assert MASSES.sum() == pytest.approx(1.0)


def test_a_batch_of_arms_with_unlike_failures_is_each_arm_alone() -> None:
    generator = np.random.default_rng(4)
    counts = np.array([0, 2, 0, 5])
    scores = generator.random((4, 20))
    for row, count in enumerate(counts):
        scores[row, :count] = -np.inf
    test = np.where(np.isfinite(scores), scores, 0.0)
    m = np.arange(1, 11)
    together = unseen(rank(scores), test, m, Failed(counts, 0.0))
    for row, count in enumerate(counts):
        alone = unseen(rank(scores[row]), test[row], m, Failed(np.asarray(count), 0.0))
        assert together.value[row] == pytest.approx(alone.value)
        assert together.se[row] == pytest.approx(alone.se)


def test_large_arms_are_thinned_without_a_jump() -> None:
    scores = np.random.default_rng(5).beta(2, 5, 1_000)
    m = np.array([199, 200, 201, 250])
    value = unseen(rank(scores), scores, m, Failed(np.asarray(0), 0.0)).value
    steps = np.diff(value[:3], axis=0)
    assert np.abs(np.diff(steps, axis=0)).max() < 0.1 * np.abs(steps).max() + 1e-4


def test_twenty_sound_trials_do_not_exclude_that_one_in_ten_fails() -> None:
    generator = np.random.default_rng(6)
    base, better = generator.uniform(0.80, 0.85, 20), generator.uniform(0.86, 0.87, 20)
    m = np.arange(1, 11)

    def upper(failed: Failed | None) -> float:
        track = independent_track(rank(better), better, m, failed=failed)
        other = independent_track(rank(base), base, m, failed=failed)
        return float(matched_trials(gap(track, other, 2), 0.95)[2])

    assert upper(None) == 1.0
    assert upper(Failed(np.asarray(0), 0.0)) > 1.0
