"""Savings against known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.statistics.matching import Gap
from reports.statistics.savings import EVEN, CostRatio, log_ratio_of_means, log_saving, saving_p_value


def sure_gap(crossing: float, n: int = 5, se: float = 1e-9) -> Gap:
    """A difference that is known and crosses 0 at `crossing` trials."""
    m = np.arange(1, 21)
    return Gap(n, m, np.asarray((m - crossing) / 10.0, dtype=np.float64), np.full(20, se), np.full(20, 30.0))


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


def test_constant_costs_have_no_error() -> None:
    ratio = log_ratio_of_means(np.full(5, 2.0), np.full(7, 1.0))
    assert float(ratio.log) == pytest.approx(np.log(2))
    assert float(ratio.se) == 0.0
    assert np.isfinite(ratio.df)
