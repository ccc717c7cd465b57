"""Pooling against known answers."""

import numpy as np
import pytest

from reports.statistics.arrays import Floats
from reports.statistics.meta_analysis import median_limits, paule_mandel, pool_bounded, pool_new
from reports.statistics.savings import BoundedSaving


def test_pooling_by_hand() -> None:
    logs, halves = np.log([1.5, 2.0, 3.0]), np.array([0.1, 0.2, 0.2])
    middle, low, high = (float(end) for end in pool_bounded(_cells(logs, halves, halves, held=False)))
    assert middle == pytest.approx(logs.mean())
    assert high - middle == pytest.approx(0.3 / 3) == pytest.approx(middle - low)
    _, half = pool_new(logs, 0.95)
    assert float(half) == pytest.approx(4.302653 * logs.std(ddof=1) / np.sqrt(3), rel=1e-6)


def test_limits_that_are_held_are_not_averaged_out() -> None:
    logs, halves = np.zeros(6), np.full(6, 0.3)
    free = pool_bounded(_cells(logs, halves, halves, held=False))
    held = pool_bounded(_cells(logs, halves, halves, held=True))
    assert float(free[2]) == pytest.approx(0.3 / np.sqrt(6))
    assert float(held[2]) == pytest.approx(0.3)
    uneven = pool_bounded(_cells(logs, halves, 2 * halves, held=False))
    assert float(uneven[2]) == pytest.approx(0.6 / np.sqrt(6) + 0.2 * 0.3)


def _cells(logs: Floats, down: Floats, up: Floats, *, held: bool) -> BoundedSaving:
    at = np.full(logs.shape, held)
    return BoundedSaving(logs, logs - down, logs + up, logs - 9, logs + 9, at, at)


def test_paule_mandel_without_and_with_spread() -> None:
    same = np.array([0.5, 0.5, 0.5])
    middle, half, spread = paule_mandel(same, np.full(3, 0.2), 0.95)
    assert middle == pytest.approx(0.5)
    assert spread == 0.0
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
