"""Arms that train longer are told before any verdict, and every method keeps its look."""

import warnings

import numpy as np
import pytest

from reports.figures.style import COLOURS, grouped, house_style, method_styles
from tests.reports.tables import arm, judged, table

SPREAD = np.linspace(0.5, 0.9, 40)


def test_arms_that_train_longer_are_told_before_any_verdict() -> None:
    base = arm("base", SPREAD, epochs_run=10, train_flops=1e9)
    longer = arm("new", SPREAD, epochs_run=30, train_flops=3e9)
    results = judged(table(base, longer), n=2)
    said = "On digits / mlp trials are not equally long: base 10 epochs (1 GFLOP), new 30 epochs (3 GFLOP)."
    assert results.answer.unlike == (said,)
    assert results.headline[0] == said
    assert judged(table(base, arm("new", SPREAD, epochs_run=10)), n=2).answer.unlike == ()


def test_one_caution_for_one_fact() -> None:
    arms = [arm(name, SPREAD + shift, n_test=100) for name, shift in (("base", 0), ("a", 0.01), ("b", 0.02))]
    found = [warn for warn in judged(table(*arms), n=2).warnings if warn.code == "noise"]
    assert len(found) == 1
    assert "a or b" in found[0].sentence
    assert "b on digits / mlp: +2.00 points" in found[0].sentence


@pytest.mark.parametrize("known", ["l2", "fixed", "shrinknets"])
def test_a_method_looks_the_same_in_every_report(known: str) -> None:
    reports = (["l2", "fixed", "shrinknets"], ["fixed", "shrinknets", "l2", "x"], [known, "a", "b", "c", "d"])
    assert len({method_styles(names)[known] for names in reports if known in names}) == 1
    many = [known, *"abcdefgh"]
    styles = method_styles(many)
    for group in grouped(many):
        assert len({styles[name].colour for name in group}) == len(group)
    assert {style.colour for style in styles.values()} <= set(COLOURS)


def test_what_matplotlib_says_reaches_no_user(recwarn: pytest.WarningsRecorder) -> None:
    with house_style():
        warnings.warn("Glyph 38263 missing from font(s) DejaVu Sans.", UserWarning, stacklevel=1)
    assert not recwarn.list
