"""Costs of arms by their independent units."""

from dataclasses import replace

import numpy as np
import pytest

from reports.arms.costs import cost_ratio
from reports.statistics.savings import EVEN
from tests.reports.helpers import arm_of


def test_trials_cost_one_each_and_pairs_go_together() -> None:
    ours, theirs = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 4.0, 6.0, 8.0])
    first, second = arm_of(ours, seconds=ours), arm_of(ours, seconds=theirs)
    assert cost_ratio(first, second, "trials", 2) is EVEN
    assert float(cost_ratio(first, second, "seconds", 2).log) == pytest.approx(np.log(0.5))
    assert float(cost_ratio(first, second, "seconds", 2).se) > 0.3
    assert float(cost_ratio(first, second, "seconds", 2, paired=True).se) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("drift", [0.25, 4.0])
def test_a_search_costs_what_it_spent_by_then(drift: float) -> None:
    """Trials that get dearer or cheaper from the fifth on do not change what the first four cost."""
    searches, order = np.repeat(np.arange(5), 8), np.tile(np.arange(8.0), 5)
    base = arm_of(np.tile(np.linspace(0.1, 0.8, 8), 5), search=searches, position=order, sampling="adaptive")
    seconds = np.tile(np.repeat([1.0, drift], 4), 5)
    method = replace(base, costs={"seconds": seconds, "trials": np.ones(40)})
    base = replace(base, costs={"seconds": np.ones(40), "trials": np.ones(40)})
    ratio = cost_ratio(base, method, "seconds", 8)
    for m, mean in ((1, 1.0), (4, 1.0), (8, (1 + drift) / 2)):
        assert float(ratio.at(np.asarray(float(m))).log) == pytest.approx(-np.log(mean))
    whole = cost_ratio(method, base, "seconds", 4)  # as the baseline, up to n
    assert float(whole.at(np.asarray(3.0)).log) == pytest.approx(0.0)
