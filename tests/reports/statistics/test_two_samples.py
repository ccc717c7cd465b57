"""Tests between arms against enumeration, scipy, and their limiting cases."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy import stats

from reports.statistics import two_samples as comparisons
from reports.statistics.two_samples import (
    a12_limits,
    a12_moments,
    brunner_munzel_p,
    hodges_lehmann,
    paired_p,
    search_p,
)


def generator() -> np.random.Generator:
    return np.random.default_rng(11)


def test_statistic_equals_scipy_with_ties() -> None:
    first, second = generator().integers(0, 8, 25).astype(float), generator().integers(2, 9, 30).astype(float)
    value, error, df = a12_moments(second, first)
    expected = stats.brunnermunzel(first, second)
    assert (value - 0.5) / error == pytest.approx(expected.statistic, rel=1e-12)
    assert 2 * stats.t.sf(abs(value - 0.5) / error, df) == pytest.approx(expected.pvalue, rel=1e-9)


def test_permutations_equal_enumeration() -> None:
    first, second = np.array([1.0, 2.0, 2.0, 5.0, 3.0]), np.array([2.0, 4.0, 6.0, 7.0])
    pooled = np.concatenate((first, second))

    def statistic(b: np.ndarray, a: np.ndarray) -> float:
        value, error, _ = a12_moments(b, a)
        return abs(value - 0.5) / error if error > 0 else (0.0 if value == 0.5 else np.inf)

    observed = statistic(second, first)
    reached = 0
    for chosen in combinations(range(9), 4):
        mask = np.zeros(9, dtype=bool)
        mask[list(chosen)] = True
        reached += statistic(pooled[mask], pooled[~mask]) >= observed - 1e-9
    exact = reached / comb(9, 4)
    assert brunner_munzel_p(second, first, 40_000, generator()) == pytest.approx(exact, abs=0.01)


def test_complete_separation_has_the_exact_p_value() -> None:
    first, second = np.arange(6.0), np.arange(5.0) + 10
    assert brunner_munzel_p(second, first, 999, generator()) == pytest.approx(2 / comb(11, 5))
    assert brunner_munzel_p(first, second, 999, generator()) == pytest.approx(2 / comb(11, 5))
    value, low, high = a12_limits(second, first, 0.95)
    assert (value, high) == (1.0, 1.0)
    assert 0.4 < low < 1


def test_nothing_but_ties_decides_nothing() -> None:
    same = np.ones(10)
    assert brunner_munzel_p(same, same, 99, generator()) == 1.0
    assert paired_p(same, same, 99, generator()) == 1.0
    assert search_p(same, same, 99, generator()) == 1.0
    assert a12_limits(same, same, 0.95)[0] == 0.5
    assert hodges_lehmann(same, same, 0.95) == (0.0, 0.0, 0.0)


def test_failed_trials_rank_worst_without_a_nan() -> None:
    first = np.array([-np.inf, -np.inf, 0.5, 0.6, 0.7])
    second = np.array([-np.inf, 0.8, 0.9, 0.7, 0.6])
    assert 0 < brunner_munzel_p(second, first, 999, generator()) <= 1
    assert np.isfinite(a12_limits(second, first, 0.95)).all()


def test_large_arms_use_students_t(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = generator().normal(size=60), generator().normal(0.3, 2, size=60)
    permuted = brunner_munzel_p(second, first, 20_000, generator())
    monkeypatch.setattr(comparisons, "PERMUTATION_LIMIT", 100)
    assert brunner_munzel_p(second, first, 1, generator()) == pytest.approx(permuted, abs=0.01)
    assert brunner_munzel_p(second, first, 1, generator()) == pytest.approx(
        stats.brunnermunzel(first, second).pvalue, rel=1e-9
    )


def test_shift_is_the_median_of_all_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = generator().normal(size=31), generator().normal(1, 1, size=24)
    differences = np.sort(np.subtract.outer(second, first).ravel())
    shift, low, high = hodges_lehmann(second, first, 0.95)
    assert shift == pytest.approx(np.median(differences), abs=1e-12)
    assert low in differences
    assert high in differences
    monkeypatch.setattr(comparisons, "PAIRS_LIMIT", 10)
    assert hodges_lehmann(second, first, 0.95) == pytest.approx((shift, low, high), abs=1e-12)


def test_paired_test_sees_what_pairs_share() -> None:
    noise = generator().normal(size=30)
    shifted = noise + 0.2
    assert paired_p(shifted, noise, 999, generator()) < 0.01
    assert brunner_munzel_p(shifted, noise, 999, generator()) > 0.05


@pytest.mark.parametrize(("size", "smallest"), [(3, 0.1), (4, 2 / 70), (5, 2 / 252)])
def test_searches_are_enumerated(size: int, smallest: float) -> None:
    p = search_p(np.arange(10.0, 10.0 + size), np.arange(float(size)), 99, generator())
    assert p == pytest.approx(smallest)
