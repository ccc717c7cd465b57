"""Expected hypervolume and attainment against enumeration of all subsets."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reports.statistics import fronts
from reports.statistics.fronts import (
    attainment,
    expected_hypervolume,
    field,
    hypervolume,
    miss_table,
    non_dominated,
    pessimistic,
    plane,
)

PLACES = st.sampled_from([0.0, 0.25, 0.5, 0.6, 1.0])


@given(data=st.data(), size=st.integers(3, 7))
@settings(max_examples=60, deadline=None)
def test_expected_hypervolume_equals_enumeration(data: st.DataObject, size: int) -> None:
    x, y = data.draw(arrays(float, size, elements=PLACES)), data.draw(arrays(float, size, elements=PLACES))

    def enumerated(keep: np.ndarray, n: int) -> float:
        subsets = combinations(keep, n)
        return float(np.mean([hypervolume(x[list(s)], y[list(s)]) for s in subsets]))

    for n in range(1, size):
        value, se = expected_hypervolume(field(x, y), size, n)
        assert value == pytest.approx(enumerated(np.arange(size), n), abs=1e-12)
        left_out = [enumerated(np.delete(np.arange(size), j), n) for j in range(size)]
        expected = np.sqrt((size - 1) / size * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
        assert se == pytest.approx(expected, abs=1e-10)


def test_attainment_is_the_share_of_subsets() -> None:
    generator = np.random.default_rng(12)
    x, y = generator.random(8), generator.random(8)
    grid = field(x, y)
    chance = 1 - miss_table(8, 3)[grid.counts]
    subsets = [list(s) for s in combinations(range(8), 3)]
    for i in range(grid.x.size - 1):
        for j in range(grid.y.size - 1):
            share = np.mean([((x[s] >= grid.x[i + 1]) & (y[s] >= grid.y[j + 1])).any() for s in subsets])
            assert chance[i, j] == pytest.approx(share, abs=1e-12)
    right, height = attainment(grid, 8, 3, 0.5)
    assert (np.diff(height) <= 0).all()  # smaller networks attain no more
    assert right.size == height.size


def test_hypervolume_by_hand() -> None:
    assert hypervolume(np.array([0.5, 1.0]), np.array([1.0, 0.5])) == pytest.approx(0.75)
    assert hypervolume(np.array([]), np.array([])) == 0.0


def test_plane_maps_the_corners() -> None:
    x, y = plane(np.array([10.0, 1000.0]), np.array([0.9, 0.1]), (1000.0, 0.1), (10.0, 0.9))
    assert list(x) == pytest.approx([1.0, 0.0])
    assert list(y) == pytest.approx([1.0, 0.0])
    same, _ = plane(np.array([10.0]), np.array([0.5]), (10.0, 0.0), (10.0, 1.0))
    assert list(same) == [1.0]


def test_fronts_by_hand() -> None:
    sizes = np.array([10.0, 20.0, 30.0, 20.0])
    scores = np.array([0.5, 0.4, 0.9, 0.7])
    assert list(non_dominated(sizes, scores)) == [0, 3, 2]
    # At test the middle one turns out to beat the largest: the pessimist does not count on it.
    assert sorted(pessimistic(np.array([10.0, 20.0, 30.0]), np.array([0.5, 0.8, 0.7]))) == [0, 2]


def test_many_trials_are_rounded_towards_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(13)
    x, y = generator.random(300), generator.random(300)
    exact, _ = expected_hypervolume(field(x, y), 300, 10)
    monkeypatch.setattr(fronts, "GRID_LIMIT", 100)
    rounded, _ = expected_hypervolume(field(x, y), 300, 10)
    assert rounded <= exact
    assert rounded == pytest.approx(exact, abs=0.02)
