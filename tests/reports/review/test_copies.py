"""Copies are found where they are, and chance meetings of coarse scores are none."""

import numpy as np

from reports.review.copies import copies
from tests.reports.helpers import arm_of

GENERATOR = np.random.default_rng(4)


def coarse(trials: int) -> np.ndarray:
    return GENERATOR.binomial(100, 0.9, trials) / 100


def test_scores_of_few_examples_meet_by_chance() -> None:
    arms = [arm_of(coarse(60), method="a"), arm_of(coarse(60), method="b"), arm_of(np.ones(60), method="c")]
    assert list(copies(arms)) == []


def test_doubled_rows_are_told_by_costs_too() -> None:
    scores, seconds = coarse(25), GENERATOR.random(25)
    doubled = arm_of(np.tile(scores, 2), seconds=np.tile(seconds, 2))
    (warn,) = copies([doubled])
    assert (warn.code, warn.severity) == ("copies", "serious")
    assert warn.sentence.startswith("25 trials of ")
    assert not list(copies([arm_of(scores, seconds=seconds)]))


def test_one_arm_under_two_names() -> None:
    scores = GENERATOR.random(20)
    (warn,) = copies([arm_of(scores, method="a"), arm_of(scores[::-1], method="b")])
    assert warn.code == "twins"
    assert "a and b hold the same 20 scores" in warn.sentence
