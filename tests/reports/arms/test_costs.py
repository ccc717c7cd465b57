"""Costs of arms by their independent units."""

import numpy as np
import pytest

from reports.arms.costs import cost_ratio
from reports.statistics.savings import EVEN
from tests.reports.helpers import arm_of


def test_trials_cost_one_each_and_pairs_go_together() -> None:
    ours, theirs = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 4.0, 6.0, 8.0])
    first, second = arm_of(ours, seconds=ours), arm_of(ours, seconds=theirs)
    assert cost_ratio(first, second, "trials") is EVEN
    assert float(cost_ratio(first, second, "seconds").log) == pytest.approx(np.log(0.5))
    assert float(cost_ratio(first, second, "seconds").se) > 0.3
    assert float(cost_ratio(first, second, "seconds", paired=True).se) == pytest.approx(0.0, abs=1e-12)
