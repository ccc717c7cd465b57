"""Adjusted p-values and levels against known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.statistics.multiplicity import benjamini_hochberg, holm


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


def test_benjamini_hochberg_by_hand() -> None:
    assert list(benjamini_hochberg(np.array([0.01, 0.02, 0.5]))) == pytest.approx([0.03, 0.03, 0.5])
    assert benjamini_hochberg(np.array([])).size == 0
