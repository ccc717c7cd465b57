"""What fills the gaps of the settings."""

import numpy as np
import pandas as pd
import pytest

from reports.scope import default_n, fill, margin_of, score_noise
from reports.settings import Settings
from tests.reports.helpers import arm_of
from tests.reports.tables import arm, designed, table

SPREAD = np.linspace(0.5, 0.9, 40)


def test_settings_come_before_the_claim_and_the_claim_before_defaults() -> None:
    frame = table(arm("base", SPREAD), arm("new", SPREAD))
    design = designed(frame, n=3, cost="train_seconds", margin=0.01)
    arms = [arm_of(SPREAD, method=name) for name in ("base", "new")]
    bare = fill(Settings(), None, arms)
    assert (bare.baseline, bare.n, bare.cost, bare.margin) == (None, 4, "trials", None)
    claimed = fill(Settings(), design, arms)
    assert (claimed.baseline, claimed.n, claimed.cost, claimed.margin) == ("base", 3, "train_seconds", 0.01)
    assert claimed.methods == ("new",)
    chosen = fill(Settings(baseline="new", n=2, cost="trials", margin=0.0), design, arms)
    assert (chosen.baseline, chosen.n, chosen.cost, chosen.margin) == ("new", 2, "trials", 0.0)
    assert "fixed in the study" in claimed.margin_rule
    assert "set for this report" in chosen.margin_rule


@pytest.mark.parametrize(("trials", "n"), [(4, 2), (20, 2), (50, 5), (200, 10), (5_000, 10)])
def test_default_n_is_a_tenth_of_the_smallest_arm(trials: int, n: int) -> None:
    assert default_n([arm_of(np.zeros(trials)), arm_of(np.zeros(6_000))]) == n


def test_default_margin_is_the_noise_of_a_test_score() -> None:
    some = arm_of(SPREAD)
    known = arm_of(SPREAD)
    known.facts["n_test"] = pd.Series(np.full(40, 10_000.0))
    scope = fill(Settings(baseline="base"), None, [some, known])
    assert margin_of(scope, known, 0.98) == pytest.approx(0.0014)
    assert score_noise(scope, known, 0.70) == pytest.approx(0.0046, abs=5e-5)
    assert margin_of(scope, some, 0.98) == 0.0
