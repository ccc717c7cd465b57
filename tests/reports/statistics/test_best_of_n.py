"""Best-of-n against enumeration of all subsets."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reports.statistics.best_of_n import (
    best_of_n_df,
    bootstrap_best,
    expected_best,
    hull_limits,
    jackknife_se,
    leave_one_out,
    median_best,
    rank,
    trial_grid,
    trial_weights,
    weights,
)


def enumerated(validation: np.ndarray, values: np.ndarray, n: int) -> float:
    """Mean over all subsets of the value at the best validation score, ties shared evenly."""
    means = []
    for subset in combinations(range(validation.size), n):
        part = list(subset)
        best = validation[part] == validation[part].max()
        means.append(values[part][best].mean())
    return float(np.mean(means))


#: Few distinct values, so that ties are the rule; minus infinity stands for failed trials.
SCORES = st.sampled_from([-np.inf, 0.1, 0.2, 0.3, 0.4, 0.9])


@given(data=st.data(), size=st.integers(2, 8))
@settings(max_examples=60, deadline=None)
def test_expected_best_equals_enumeration(data: st.DataObject, size: int) -> None:
    validation = data.draw(arrays(float, size, elements=SCORES))
    values = data.draw(arrays(float, size, elements=st.floats(-10, 10)))
    ranking = rank(validation)
    for n in range(1, size + 1):
        assert float(expected_best(ranking, values, n)) == pytest.approx(
            enumerated(validation, values, n), abs=1e-12
        )


@given(data=st.data(), size=st.integers(3, 8))
@settings(max_examples=60, deadline=None)
def test_leave_one_out_equals_analysing_without_the_trial(data: st.DataObject, size: int) -> None:
    validation = data.draw(arrays(float, size, elements=SCORES))
    values = data.draw(arrays(float, size, elements=st.floats(-10, 10)))
    for n in range(1, size):
        left_out = leave_one_out(rank(validation), values, n)
        for j in range(size):
            rest = np.delete(np.arange(size), j)
            expected = enumerated(validation[rest], values[rest], n)
            assert left_out[j] == pytest.approx(expected, abs=1e-11)


@given(data=st.data(), size=st.integers(2, 30))
@settings(max_examples=60, deadline=None)
def test_row_order_and_relabelling_of_validation_change_nothing(data: st.DataObject, size: int) -> None:
    validation = data.draw(arrays(float, size, elements=st.integers(0, 9).map(float)))
    values = data.draw(arrays(float, size, elements=st.floats(-10, 10)))
    order = np.array(data.draw(st.permutations(range(size))))
    n = data.draw(st.integers(1, size))
    plain = float(expected_best(rank(validation), values, n))
    assert float(expected_best(rank(validation[order]), values[order], n)) == pytest.approx(plain, abs=1e-12)
    assert float(expected_best(rank(np.exp(validation / 3) - 7), values, n)) == pytest.approx(
        plain, abs=1e-12
    )


def test_trial_weights_are_the_chances_to_be_selected() -> None:
    validation = np.array([0.3, 0.1, 0.3, 0.2, 0.9])
    values = np.arange(5.0)
    for n in range(1, 6):
        chance = trial_weights(rank(validation), n)
        assert chance.sum() == pytest.approx(1.0, abs=1e-12)
        assert chance @ values == pytest.approx(enumerated(validation, values, n), abs=1e-12)


def test_weights_stay_finite_for_many_trials() -> None:
    for n in (1, 2, 1_000, 50_000):
        w = weights(100_000, n)
        assert np.isfinite(w).all()
        assert w.sum() == pytest.approx(1.0, abs=1e-9)


def test_more_trials_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="best of 6"):
        weights(5, 6)


def test_batches_equal_single_analyses() -> None:
    generator = np.random.default_rng(1)
    validation = generator.integers(0, 6, (4, 12)).astype(float)
    values = generator.normal(size=(4, 12))
    together = leave_one_out(rank(validation), values, 3)
    for row in range(4):
        alone = leave_one_out(rank(validation[row]), values[row], 3)
        assert np.allclose(together[row], alone, atol=1e-13)


def test_bootstrap_from_counts_equals_drawing_and_sorting_again() -> None:
    generator = np.random.default_rng(2)
    validation, values = generator.integers(0, 5, 10).astype(float), generator.normal(size=10)
    fast = bootstrap_best(rank(validation), values, np.array([1, 3]), 50, np.random.default_rng(3))
    draws = np.random.default_rng(3).integers(0, 10, (50, 10))
    order = np.argsort(validation, kind="stable")
    for row, n in enumerate((1, 3)):
        for b in range(50):
            drawn = order[draws[b]]
            slow = float(expected_best(rank(validation[drawn]), values[drawn], n))
            assert fast[row, b] == pytest.approx(slow, abs=1e-12)


def test_jackknife_of_the_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(4).normal(size=20)
    left_out = leave_one_out(rank(values), values, 1)
    assert float(jackknife_se(left_out)) == pytest.approx(values.std(ddof=1) / np.sqrt(20), rel=1e-12)


def test_degrees_of_freedom() -> None:
    assert best_of_n_df(50, 10) == 9
    assert best_of_n_df(50, 1) == 49
    assert best_of_n_df(50, 25) == 3
    assert best_of_n_df(20, 20) == 2


def test_hull_takes_the_wider_end() -> None:
    replicates = np.array([[-5.0, -5.0, 0.0, 0.1, 0.1]])
    low, high = hull_limits(np.zeros(1), np.ones(1), np.array([10.0]), replicates, 0.95)
    assert low[0] == pytest.approx(-5.0)
    assert high[0] == pytest.approx(2.228, abs=1e-3)


def test_median_limits_need_enough_trials_for_an_upper_end() -> None:
    scores = np.arange(50.0)
    assert np.isfinite(median_best(scores, 9, 0.95)[2])
    assert median_best(scores, 10, 0.95)[2] == np.inf
    value, low, high = median_best(scores, 1, 0.95)
    assert (low, value, high) == (17.0, 24.0, 32.0)  # ranks 18 and 33: the usual sign-test limits of a median


def test_grid_is_dense_then_thin_and_keeps_its_end() -> None:
    assert list(trial_grid(5)) == [1, 2, 3, 4, 5]
    grid = trial_grid(50_000)
    assert grid[-1] == 50_000
    assert grid.size < 600
    assert (np.diff(grid) > 0).all()
