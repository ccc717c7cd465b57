"""Who is ahead at which n: limits that hold at all n at once, and where the answer turns."""

import numpy as np
import pytest
from scipy import special

from reports.comparison.across import turning
from reports.statistics.across import covariance, simultaneous_level
from reports.statistics.best_of_n import leave_one_out, rank
from tests.reports.tables import arm, judged, only, table


def test_the_level_lies_between_one_place_and_bonferroni() -> None:
    same, apart = np.ones((4, 4)), np.eye(4)
    assert simultaneous_level([same], 0.95, 1) == pytest.approx(0.95, abs=0.004)
    sidak = 0.95 ** (1 / 4)
    assert simultaneous_level([apart], 0.95, 1) == pytest.approx(sidak, abs=0.003)
    assert simultaneous_level([np.zeros((4, 4))], 0.95, 1) == 0.95


def test_the_covariance_is_the_jackknifes() -> None:
    generator = np.random.default_rng(2)
    values = generator.random(30)
    means = np.stack([leave_one_out(rank(values), values, 1)] * 2)
    assert covariance(means) == pytest.approx(values.var(ddof=1) / 30)


def test_limits_hold_at_all_n_at_once() -> None:
    """Equal arms: in 200 tables, the limits miss 0 at some n no more often than they may."""
    generator = np.random.default_rng(3)
    places = (1, 2, 3, 5, 8)
    errors, largest = [], []
    for _ in range(200):
        scores = [0.9 + 0.08 * generator.beta(5, 1.5, 40) for _ in range(2)]
        left = [np.stack([leave_one_out(rank(s), s, n) for n in places]) for s in scores]
        parts = [covariance(part) for part in left]
        level = simultaneous_level(parts, 0.95, 1)
        value = left[0].mean(axis=1) - left[1].mean(axis=1)
        deviation = np.abs(value) / np.sqrt(np.diag(parts[0] + parts[1]))
        errors.append(deviation.max() > special.ndtri((1 + level) / 2))
        largest.append(deviation.max() > special.ndtri(0.975))
    assert np.mean(errors) <= 0.11  # normal limits here; those of the report have Student's t
    assert np.mean(errors) < np.mean(largest)


def test_a_crossing_is_found_and_told() -> None:
    """A dependable method, a baseline with rare excellent trials: one wins at n = 1, the other at 10."""
    generator = np.random.default_rng(4)
    base = np.where(generator.random(300) < 0.2, 0.9, 0.5) + 0.01 * generator.random(300)
    new = 0.7 + 0.01 * generator.random(300)
    results = judged(table(arm("base", base), arm("new", new)), n=10)
    across = only(results).across
    assert across is not None
    assert (across.ahead[0], across.ahead[-1]) == (1, -1)
    assert across.level > 0.95
    assert across.sentence.startswith("On digits / mlp new is ahead up to n = ")
    assert results.answer.turns == (across.sentence,)


def test_turning_in_words() -> None:
    n = (1, 2, 4)
    assert turning("c", "m", "b", n, (1.0, 1.0, 2.0), (0, 1, 1)) == ""
    assert turning("c", "m", "b", n, (1.0, 0.1, -2.0), (1, 0, -1)) == (
        "On c m is ahead up to n = 1, b from n = 4 on."
    )
    assert "turn between n = 2 and n = 4, from m to b" in turning("c", "m", "b", n, (1, 0.1, -1), (0, 0, 0))


def test_a_refusal_has_no_strip() -> None:
    frame = table(arm("base", np.linspace(0.5, 0.9, 60)), arm("new", [0.5, 0.6, 0.7]))
    assert only(judged(frame, n=5)).across is None
