"""Figures of arms that delete single weights: drawn from the columns of such arms, and from no others'."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.arms.arm import Arm
from reports.figures.captioned_deletion import deletion_figures
from reports.figures.deletion import deletion_path, layers_of
from reports.figures.style import Placed, method_styles
from reports.settings import Settings
from reports.wording import ScoreWords
from tests.reports.helpers import arm_of

SCORE = ScoreWords("accuracy", True, False)


def weights(left: int) -> str:
    return json.dumps(
        {"conv.weight": [100, left, 0.5, [1, left - 1]], "output.weight": [50, 50, 0.1, [50, 0]]}
    )


def an_arm(texts: list[Any], values: list[float], method: str = "threshold") -> Arm:
    scores = np.linspace(0.5, 0.9, len(texts))
    facts = pd.DataFrame(
        {
            "trial_id": [f"{method}{number}" for number in range(len(texts))],
            "layer_weights": texts,
            "param_threshold": values,
            "test_score": scores,
        }
    )
    return replace(arm_of(scores, method=method), facts=facts)


def a_history(trial_id: str) -> pd.DataFrame:
    """Two epochs whole, then two deletions, each measured before and after some training."""
    rows = [(1, 150, 0.9), (2, 150, 0.5), (3, 90, 0.8), (4, 90, 0.6), (5, 60, 2.0), (6, 60, None)]
    return pd.DataFrame(rows, columns=["epoch", "nonzeros", "val_loss"]).assign(
        trial_id=trial_id, parameters=150
    )


def drawn(arms: dict[str, Arm], histories: pd.DataFrame | None = None) -> list[Placed]:
    styles = method_styles(list(arms))
    settings = Settings(baseline="threshold", test_column="test_score")
    return list(deletion_figures(arms, histories, "digits / mlp", styles, SCORE, settings))


def test_a_path_has_the_loss_after_training_at_each_number_of_deletions() -> None:
    path = deletion_path(a_history("a"))
    assert path["deleted"].tolist() == [0, 60, 90]
    assert path["val_loss"].tolist() == [0.5, 0.6, 2.0]


def test_an_arm_that_deletes_has_all_three_figures() -> None:
    arm = an_arm([weights(90), weights(40), weights(10)], [0.1, 0.2, 0.3])
    histories = pd.concat([a_history("threshold0"), a_history("threshold1")])
    found = drawn({"threshold": arm}, histories)
    assert [each.drawing.title for each in found] == [
        "Error against deletions",
        "Test accuracy and deleted share against threshold",
        "Deletion by layer, threshold",
    ]
    assert {each.family for each in found} == {"deletion"}
    assert "2 trials, up to 90 deleted" in found[0].drawing.alt
    assert "6.7 % to 60.0 % of the weights went" in found[1].drawing.alt
    assert "most went of conv.weight, 90.0 %, least of output.weight, 0.0 %" in found[2].drawing.alt


def test_units_that_go_alone_make_no_path() -> None:
    shrinking = a_history("threshold0").assign(parameters=lambda rows: rows["nonzeros"])
    arm = replace(an_arm([None], [0.1]), facts=pd.DataFrame({"trial_id": ["threshold0"]}))
    assert drawn({"threshold": arm}, shrinking) == []
    # A trial that collapsed has no selected network, and a path nevertheless.
    [found] = drawn({"threshold": arm}, a_history("threshold0"))
    assert found.drawing.title == "Error against deletions"


def test_two_values_make_no_curve_and_failed_trials_none_of_the_points() -> None:
    arm = an_arm([weights(90), weights(40), None], [0.1, 0.2, 0.3])
    assert [each.drawing.title for each in drawn({"threshold": arm})] == ["Deletion by layer, threshold"]


@pytest.mark.parametrize("text", [None, "", "much", "[1, 2]", '{"a": 3}', '{"a": [1, 2]}', 7.5])
def test_a_column_of_anything_else_makes_no_figure(text: Any) -> None:
    assert layers_of(text) == {}
    assert drawn({"threshold": an_arm([text] * 3, [0.1, 0.2, 0.3])}) == []
    assert drawn({"new": arm_of(np.array([0.1, 0.2]))}) == []
