"""The chance to find a saving: its method saves what it says, and more trials find more."""

import numpy as np
import pytest

from reports.statistics.pools import POOLS
from reports.statistics.power import Pilot, saving_power


def power(saving: float, trials: int, level: float = 0.95, costs: bool = False) -> float:
    pilot = POOLS[0].pilot(3)
    generator = np.random.default_rng(5)
    if costs:
        pilot = Pilot(pilot.validation, pilot.test, 0.0, generator.gamma(0.2, 1.0, pilot.test.size))
    return saving_power(pilot, trials, 5, saving, level, generator)


def test_power_grows_with_trials_and_savings_and_falls_with_the_level() -> None:
    assert power(2, 40) < power(4, 40) < power(4, 120)
    assert power(4, 60, 0.995) < power(4, 60)


def test_costs_that_vary_much_take_power() -> None:
    assert power(3, 60, costs=True) < power(3, 60)


def test_without_a_saving_the_level_is_kept() -> None:
    assert power(1, 50) <= 0.06


def test_too_few_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="best of 5"):
        power(2, 9)
