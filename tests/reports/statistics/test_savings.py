"""Savings, Holm's procedure and pooling against known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.arms.costs import cost_ratio
from reports.statistics.matching import Gap
from reports.statistics.meta_analysis import median_limits, paule_mandel, pool_new, pool_these
from reports.statistics.multiplicity import holm
from reports.statistics.savings import EVEN, CostRatio, log_ratio_of_means, log_saving, saving_p_value
from tests.reports.helpers import arm_of


def sure_gap(crossing: float, n: int = 5, se: float = 1e-9) -> Gap:
    """A difference that is known and crosses 0 at `crossing` trials."""
    m = np.arange(1, 21)
    return Gap(n, m, (m - crossing) / 10.0, np.full(20, se), np.full(20, 30.0))


def test_saving_is_trials_times_cost() -> None:
    ratio = CostRatio(np.asarray(np.log(0.5)), np.asarray(0.0), np.asarray(20.0))
    point, low, high = log_saving(sure_gap(2.5), ratio, 0.95)
    assert np.exp(float(point)) == pytest.approx(5 / 2.5 * 0.5)
    assert np.exp(float(low)) == pytest.approx(1.0, rel=1e-6)
    assert np.exp(float(high)) == pytest.approx(1.0, rel=1e-6)


def test_a_method_never_matched_has_a_censored_saving() -> None:
    point, low, high = log_saving(sure_gap(30.0), EVEN, 0.95)
    assert point == -np.inf
    assert low == -np.inf
    assert np.exp(float(high)) == pytest.approx(5 / 20)  # more than the 20 trials looked at


def test_a_method_matched_at_once_has_an_open_saving() -> None:
    _, low, high = log_saving(sure_gap(0.5), EVEN, 0.95)
    assert np.exp(float(low)) == pytest.approx(5.0)
    assert high == np.inf


@given(st.floats(1.2, 15.0), st.floats(0.001, 0.3), st.floats(-0.5, 0.5), st.floats(0.0, 0.2))
@settings(max_examples=40, deadline=None)
def test_p_value_and_interval_agree(crossing: float, se: float, cost: float, cost_se: float) -> None:
    difference = sure_gap(crossing, se=se)
    ratio = CostRatio(np.asarray(cost), np.asarray(cost_se), np.asarray(40.0))
    p = float(saving_p_value(difference, ratio)[0])
    for level in (0.8, 0.95, 0.99):
        _, low, high = log_saving(difference, ratio, level)
        if abs(p - (1 - level)) > 1e-6:
            assert (low > 0 or high < 0) == (p < 1 - level)


def test_p_value_knows_the_direction() -> None:
    assert float(saving_p_value(sure_gap(2.0, se=0.01), EVEN)[1]) == 1.0
    assert float(saving_p_value(sure_gap(10.0, se=0.01), EVEN)[1]) == -1.0
    nothing = Gap(5, np.arange(1, 21), np.zeros(20), np.zeros(20), np.full(20, 30.0))
    p, direction = saving_p_value(nothing, EVEN)
    assert (float(p), float(direction)) == (1.0, 0.0)


def test_trials_cost_one_each_and_pairs_go_together() -> None:
    ours, theirs = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 4.0, 6.0, 8.0])
    first, second = arm_of(ours, seconds=ours), arm_of(ours, seconds=theirs)
    assert cost_ratio(first, second, "trials") is EVEN
    assert float(cost_ratio(first, second, "seconds").log) == pytest.approx(np.log(0.5))
    assert float(cost_ratio(first, second, "seconds").se) > 0.3
    assert float(cost_ratio(first, second, "seconds", paired=True).se) == pytest.approx(0.0, abs=1e-12)


def test_constant_costs_have_no_error() -> None:
    ratio = log_ratio_of_means(np.full(5, 2.0), np.full(7, 1.0))
    assert float(ratio.log) == pytest.approx(np.log(2))
    assert float(ratio.se) == 0.0
    assert np.isfinite(ratio.df)


def test_holm_by_hand() -> None:
    adjusted, levels = holm(np.array([0.01, 0.04, 0.03, 0.005]), 0.05)
    assert list(adjusted) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    # .005 and .01 are rejected at .05/4 and .05/3; .03 is kept at .05/2, and so is all that follows.
    assert list(1 - levels) == pytest.approx([0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(deadline=None)
def test_holm_levels_agree_with_its_decisions(p_values: list[float]) -> None:
    p = np.array(p_values)
    adjusted, levels = holm(p, 0.05)
    assert (adjusted >= p - 1e-15).all()
    sure = np.abs(adjusted - 0.05) > 1e-9
    assert ((p <= 1 - levels) == (adjusted <= 0.05))[sure].all()


def test_pooling_by_hand() -> None:
    logs, errors = np.log([1.5, 2.0, 3.0]), np.array([0.1, 0.2, 0.2])
    middle, half = pool_these(logs, errors, 0.95)
    assert float(middle) == pytest.approx(logs.mean())
    assert float(half) == pytest.approx(1.959964 * 0.3 / 3, rel=1e-5)
    _, half = pool_new(logs, 0.95)
    assert float(half) == pytest.approx(4.302653 * logs.std(ddof=1) / np.sqrt(3), rel=1e-6)


def test_paule_mandel_without_and_with_spread() -> None:
    same = np.array([0.5, 0.5, 0.5])
    middle, half, spread = paule_mandel(same, np.full(3, 0.2), 0.95)
    assert (middle, spread) == (pytest.approx(0.5), 0.0)
    assert half == pytest.approx(
        4.302653 * 0.2 / np.sqrt(3), rel=1e-6
    )  # never narrower than the fixed effect
    apart = np.array([-1.0, 0.0, 1.0])
    _, _, spread = paule_mandel(apart, np.full(3, 0.1), 0.95)
    assert spread == pytest.approx(np.sqrt(1.0 - 0.01), rel=1e-6)


def test_median_limits_are_order_statistics() -> None:
    assert median_limits(np.array([1.0, 2.0, np.inf]), 0.95) == (2.0, -np.inf, np.inf)
    assert median_limits(np.arange(6.0), 0.95) == (2.5, 0.0, 5.0)
    assert median_limits(np.array([np.inf, np.inf]), 0.95)[0] == np.inf
