"""Each warning is raised by a table that deserves it, and not by one that does not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.design import ArmDesign, StudyDesign
from harness.design_warnings import design_warnings, fewest_trials
from tests.reports.tables import arm, designed, judged, table

GENERATOR = np.random.default_rng(20)
SPREAD = GENERATOR.permutation(np.linspace(0.5, 0.9, 60))
PARAMETERS: dict[str, Any] = {"param_units": GENERATOR.permutation(np.arange(60) + 8.0)}


def codes(frame: pd.DataFrame, design: StudyDesign | None = None, **settings: object) -> set[str]:
    return {warn.code for warn in judged(frame, design, **settings).warnings}


def test_a_sound_table_raises_nothing() -> None:
    frame = table(arm("base", SPREAD, index=range(60)), arm("new", SPREAD[::-1] + 0.05, index=range(60)))
    assert codes(frame) == set()


@pytest.mark.parametrize(
    ("code", "arms", "settings"),
    [
        ("unequal", [arm("base", SPREAD), arm("new", SPREAD[:40])], {}),
        ("few", [arm("base", SPREAD), arm("new", SPREAD)], {"n": 12}),
        ("noise", [arm("base", SPREAD, n_test=100), arm("new", SPREAD + 0.01, n_test=100)], {}),
        ("optimism", [arm("base", SPREAD, test=SPREAD - 0.1), arm("new", SPREAD, test=SPREAD - 0.1)], {}),
        ("drift", [arm("base", np.sort(SPREAD), index=range(60)), arm("new", SPREAD, index=range(60))], {}),
        (
            "hardware",
            [
                arm("base", SPREAD, train_seconds=1.0, device="cpu"),
                arm("new", SPREAD, train_seconds=1.0, device="cuda"),
            ],
            {},
        ),
        ("split", [arm("base", SPREAD, split_seed=3), arm("new", SPREAD, split_seed=3)], {}),
        ("epochs", [arm("base", SPREAD, epochs_planned=5), arm("new", SPREAD, epochs_planned=10)], {}),
        ("failed", [arm("base", SPREAD), arm("new", np.full(60, np.nan))], {}),
        ("drop", [arm("base", SPREAD, test=1 - SPREAD), arm("new", SPREAD)], {}),
        (
            "copies",
            [arm("base", np.tile(SPREAD[:30], 2), param_units=np.tile(np.arange(30), 2)), arm("new", SPREAD)],
            {},
        ),
        ("copies", [arm("base", np.tile(SPREAD[:30], 2)), arm("new", SPREAD + 0.01)], {}),
        ("twins", [arm("base", SPREAD), arm("new", SPREAD)], {}),
        (
            "spaces",
            [arm("base", SPREAD, **PARAMETERS), arm("new", SPREAD, param_units=np.arange(60) + 900)],
            {},
        ),
        ("baseline", [arm("base", SPREAD), arm("new", SPREAD)], {"baseline": None}),
    ],
)
def test_warnings_are_found(code: str, arms: list[pd.DataFrame], settings: dict[str, Any]) -> None:
    assert code in codes(table(*arms), **settings)


def test_a_table_that_does_not_say_how_it_was_sampled() -> None:
    frame = table(arm("base", SPREAD), arm("new", SPREAD + 0.01)).drop(columns="sampling")
    first = judged(frame).warnings[0]
    assert first.code == "reading"
    assert "sampled" in first.sentence


def test_designs_are_compared() -> None:
    frame = table(arm("base", SPREAD), arm("new", SPREAD))
    design = designed(frame, warnings=("The plan had a word to say.",))
    narrow, wide = (
        replace(
            part,
            space={"units": {"type": "int", "low": 8, "high": high, "log": True}},
            reach={"1": (8, high)},
        )
        for part, high in zip(design.arms, (500, 4_096), strict=True)
    )
    longer = replace(wide, epochs=50)
    found = codes(frame, replace(design, arms=(narrow, longer)))
    assert {"spaces", "reach", "epochs", "plan"} <= found
    assert isinstance(narrow, ArmDesign)


def test_what_the_plan_has_warned_of_is_told_once() -> None:
    frame = table(arm("base", SPREAD), arm("new", SPREAD[:40]))
    design = designed(frame, n=10)
    narrow, wide = (
        replace(
            part,
            space={"units": {"type": "int", "low": 8, "high": high, "log": True}},
            reach={"1": (8, high)},
        )
        for part, high in zip(design.arms, (500, 4_096), strict=True)
    )
    design = replace(design, arms=(narrow, wide))
    warned = design_warnings(design.arms, 10)
    assert [warning.kind for warning in warned] == ["reach", "spaces", "unequal", "few"]
    design = replace(design, warnings=(*(warning.sentence for warning in warned), "One more word."))
    found = [warn for warn in judged(frame, design).warnings if warn.code not in ("noise", "drop")]
    assert sorted(warn.code for warn in found) == ["few", "plan", "reach", "spaces", "unequal"]
    assert next(warn.sentence for warn in found if warn.code == "plan") == "One more word."


def test_what_the_plan_alone_has_seen_stays() -> None:
    """Ten per cent more trials are no caution of the review, so the plan's word for it stands."""
    frame = table(arm("base", SPREAD), arm("new", SPREAD[:57]))
    design = designed(frame, n=5)
    (unequal,) = design_warnings(design.arms, 5)
    found = judged(frame, replace(design, warnings=(unequal.sentence,))).warnings
    assert [(warn.code, warn.sentence) for warn in found] == [("plan", unequal.sentence)]


def test_plan_and_page_ask_for_as_many_trials() -> None:
    for trials, n in ((26, 5), (27, 5), (53, 10), (54, 10)):
        frame = table(arm("base", SPREAD[:trials]), arm("new", SPREAD[:trials]))
        design = designed(frame, n=n)
        in_plan = {warning.kind for warning in design_warnings(design.arms, n)}
        assert ("few" in in_plan) == ("few" in codes(frame, n=n)) == (trials < fewest_trials(n))


def test_the_gravest_stand_first() -> None:
    frame = table(
        arm("base", np.sort(SPREAD), index=range(60), split_seed=1), arm("new", SPREAD, split_seed=1)
    )
    ranks = {"serious": 0, "caution": 1, "note": 2}
    order = [ranks[warn.severity] for warn in judged(frame).warnings]
    assert order == sorted(order)
