"""Matched trials against known answers."""

import numpy as np
import pytest

from reports.statistics.best_of_n import rank
from reports.statistics.matching import Gap, first_crossing, gap, independent_track, matched_trials
from reports.statistics.winning import win_probability


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
