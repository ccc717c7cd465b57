"""Best-of-m of an arm by the formula its sampling allows."""

import numpy as np
import pytest

from reports.arms.arm import DependentTrialsError
from reports.arms.tracks import arm_track
from tests.reports.helpers import arm_of


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
