"""Win probability against enumeration."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reports.statistics.best_of_n import rank
from reports.statistics.winning import win_grid, win_limits, win_probability

SCORES = st.sampled_from([0.1, 0.2, 0.3, 0.5])


def selected(validation: np.ndarray, test: np.ndarray, n: int) -> list[tuple[float, float]]:
    """Test score and chance of the selected trial over all subsets of size n."""
    outcomes = []
    subsets = list(combinations(range(validation.size), n))
    for subset in subsets:
        part = list(subset)
        best = np.flatnonzero(validation[part] == validation[part].max())
        outcomes += [(float(test[part][i]), 1 / len(subsets) / best.size) for i in best]
    return outcomes


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_win_probability_equals_enumeration(data: st.DataObject) -> None:
    va, ta = data.draw(arrays(float, 5, elements=SCORES)), data.draw(arrays(float, 5, elements=SCORES))
    vb, tb = data.draw(arrays(float, 6, elements=SCORES)), data.draw(arrays(float, 6, elements=SCORES))
    n, m = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    for margin in (0.0, 0.05):
        expected = sum(
            p * q * ((b > a - margin) + (b == a - margin) / 2)
            for b, p in selected(vb, tb, m)
            for a, q in selected(va, ta, n)
        )
        value, _ = win_probability((rank(vb), tb), (rank(va), ta), n, m, margin)
        assert value == pytest.approx(expected, abs=1e-12)
        grid = win_grid((rank(vb), tb), (rank(va), ta), (n,), np.array([m]), margin)
        assert grid[0, 0] == pytest.approx(expected, abs=1e-12)


def test_win_standard_error_is_the_two_arm_jackknife() -> None:
    generator = np.random.default_rng(5)
    va, vb = generator.normal(size=9), generator.normal(size=8)
    ta, tb = va + generator.normal(size=9), vb + generator.normal(size=8)
    _, se = win_probability((rank(vb), tb), (rank(va), ta), 2, 3, 0.1)
    total = 0.0
    for v, t, mine in ((va, ta, "a"), (vb, tb, "b")):
        values = []
        for j in range(v.size):
            keep = np.delete(np.arange(v.size), j)
            a = (rank(va[keep]), ta[keep]) if mine == "a" else (rank(va), ta)
            b = (rank(vb[keep]), tb[keep]) if mine == "b" else (rank(vb), tb)
            values.append(win_probability(b, a, 2, 3, 0.1)[0])
        assert len(values) == t.size
        total += (v.size - 1) / v.size * float(np.sum((np.array(values) - np.mean(values)) ** 2))
    assert se == pytest.approx(np.sqrt(total), rel=1e-9)


def test_win_limits_hold_at_the_ends() -> None:
    low, high = win_limits(1.0, 0.0, (50, 50), 5, 5, 0.95)
    assert 0 < low < 1
    assert high == 1.0
    assert win_limits(0.0, 0.0, (50, 50), 5, 5, 0.95)[0] == 0.0
