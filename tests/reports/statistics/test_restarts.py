"""Cost to target: Wald's identity, Wilson's limits, and what happens without a success."""

import numpy as np
import pytest
from scipy import stats

from reports.statistics.restarts import (
    cost_to_target,
    enough_trials,
    log_cost_ratio,
    restart_costs,
    thinned,
    wilson,
)


@pytest.mark.parametrize(("k", "size"), [(0, 10), (1, 20), (7, 20), (20, 20)])
def test_wilson_equals_scipy(k: int, size: int) -> None:
    expected = stats.binomtest(k, size).proportion_ci(0.95, method="wilson")
    low, high = wilson(k, size, 0.95)
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_expected_cost_is_the_sum_over_successes() -> None:
    costs = np.array([1.0, 2.0, 3.0, 4.0])
    cost = cost_to_target(costs, np.array([True, False, False, True]), 0.95)
    assert np.exp(float(cost.log)) == pytest.approx(5.0)
    assert cost.low < cost.log < cost.high


def test_equal_costs_leave_only_the_success_rate() -> None:
    reached = np.arange(50) < 3
    cost = cost_to_target(np.ones(50), reached, 0.95)
    low, high = wilson(3, 50, 0.95)
    assert np.exp([float(cost.low), float(cost.high)]) == pytest.approx([1 / float(high), 1 / float(low)])
    assert np.exp(float(cost.low)) == pytest.approx(6.2, abs=0.05)
    assert np.exp(float(cost.high)) == pytest.approx(48.5, abs=0.5)


def test_without_a_success_there_is_only_a_lower_limit() -> None:
    none = cost_to_target(np.ones(50), np.zeros(50, dtype=bool), 0.95)
    some = cost_to_target(np.ones(50), np.arange(50) < 25, 0.95)
    assert none.log == np.inf
    assert np.isfinite(none.low)
    value, low, high = log_cost_ratio(none, some)
    assert (float(value), float(high)) == (np.inf, np.inf)
    assert low > 0  # the baseline is dearer: it never reached what the method reaches every other time
    value, low, high = log_cost_ratio(some, none)
    assert (float(value), float(low)) == (-np.inf, -np.inf)
    assert np.isfinite(high)
    value, low, high = log_cost_ratio(none, none)
    assert (float(value), float(low), float(high)) == (0.0, -np.inf, np.inf)


def test_ratio_turns_round() -> None:
    generator = np.random.default_rng(8)
    sides = [cost_to_target(generator.gamma(2, 1, 40), generator.random(40) < 0.4, 0.95) for _ in range(2)]
    value, low, high = log_cost_ratio(*sides)
    turned = log_cost_ratio(sides[1], sides[0])
    assert [float(-end) for end in (value, high, low)] == pytest.approx([float(end) for end in turned])


def test_enough_trials() -> None:
    assert enough_trials(1.0, 0.9) == 1
    assert enough_trials(0.5, 0.5) == 1
    assert enough_trials(0.06, 0.9) == 38


def test_restarts_cost_what_wald_says() -> None:
    generator = np.random.default_rng(9)
    costs = generator.gamma(2, 5, 60)
    reached = costs > 12  # success depends on cost, which Wald's identity allows
    drawn = restart_costs(costs, reached, generator, restarts=40_000)
    assert drawn.mean() == pytest.approx(costs.sum() / reached.sum(), rel=0.03)
    assert (np.diff(drawn) >= 0).all()


def test_restarts_of_a_rare_target_do_not_draw_for_ever() -> None:
    reached = np.zeros(50_000, dtype=bool)
    reached[7] = True
    drawn = restart_costs(np.ones(50_000), reached, np.random.default_rng(10))
    assert drawn.mean() == pytest.approx(50_000, rel=0.1)


def test_no_success_cannot_be_restarted() -> None:
    with pytest.raises(ValueError, match="no trial"):
        restart_costs(np.ones(3), np.zeros(3, dtype=bool), np.random.default_rng(0))


def test_thinned_curve_ends_at_one() -> None:
    values, chances = thinned(np.arange(1_000.0))
    assert len(values) == 100
    assert chances[-1] == 1.0
    assert values[0] == 0.0
