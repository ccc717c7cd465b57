"""Matched trials and win probability against enumeration."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reports.arms.arm import DependentTrialsError
from reports.arms.tracks import arm_track
from reports.statistics.best_of_n import rank
from reports.statistics.matching import Gap, first_crossing, gap, independent_track, matched_trials
from reports.statistics.winning import win_grid, win_limits, win_probability
from tests.reports.helpers import arm_of

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


def test_identical_arms_are_even() -> None:
    generator = np.random.default_rng(6)
    validation, test = generator.normal(size=30), generator.normal(size=30)
    ranking = rank(validation)
    for n in (1, 3, 10):
        value, _ = win_probability((ranking, test), (ranking, test), n, n, 0.0)
        assert value == pytest.approx(0.5, abs=1e-12)
    track = independent_track(ranking, validation, np.arange(1, 16))
    difference = gap(track, track, 5)
    assert difference.at(5)[0] == 0.0
    point, low, high = matched_trials(difference, 0.95)
    assert low <= point <= 5 <= high


def test_win_limits_hold_at_the_ends() -> None:
    low, high = win_limits(1.0, 0.0, (50, 50), 5, 5, 0.95)
    assert 0 < low < 1
    assert high == 1.0
    assert win_limits(0.0, 0.0, (50, 50), 5, 5, 0.95)[0] == 0.0


def test_crossings_are_linear_between_whole_numbers() -> None:
    m = np.arange(1, 5)
    curves = np.array([[-1.0, 1.0, 2.0, 3.0], [0.5, 1, 1, 1], [-1, -1, -1, -1], [-1, 0, 0, 1]])
    assert list(first_crossing(m, curves)) == [1.5, 1.0, np.inf, 2.0]
    assert list(first_crossing(m, curves, strict=True))[3] == 3.0


def test_limits_are_censored_where_the_curves_do_not_reach() -> None:
    m = np.arange(1, 6)
    never = Gap(2, m, np.full(5, -1.0), np.full(5, 0.01), np.full(5, 9.0))
    assert np.isinf(matched_trials(never, 0.95)).all()
    at_once = Gap(2, m, np.full(5, 1.0), np.full(5, 0.01), np.full(5, 9.0))
    assert [float(end) for end in matched_trials(at_once, 0.95)] == [1.0, 1.0, 1.0]


def test_paired_gap_uses_the_joint_jackknife() -> None:
    generator = np.random.default_rng(7)
    scores = generator.normal(size=40)
    m = np.arange(1, 11)
    track = independent_track(rank(scores), scores, m, keep=True)
    shifted = independent_track(rank(scores + 1), scores + 1, m, keep=True)
    joint = gap(shifted, track, 5, paired=True)
    assert joint.at(5)[0] == pytest.approx(1.0)
    assert joint.at(5)[1] == pytest.approx(0.0, abs=1e-12)  # a constant shift is known exactly in pairs
    assert gap(shifted, track, 5).at(5)[1] > 0


def test_formulas_for_independent_trials_refuse_a_grid() -> None:
    with pytest.raises(DependentTrialsError, match="not independent"):
        arm_track(arm_of(np.linspace(0, 1, 20), sampling="design"))


def test_adaptive_arms_are_followed_search_by_search() -> None:
    scores = np.array([0.1, 0.5, 0.3, 0.2, 0.2, 0.9])
    searches = np.array([0, 0, 0, 1, 1, 1])
    order = np.array([0, 1, 2, 0, 1, 2])
    track = arm_track(arm_of(scores, sampling="adaptive", search=searches, position=order))
    assert list(track.value) == pytest.approx([0.15, 0.35, 0.7])
    assert list(track.df) == [1.0, 1.0, 1.0]
