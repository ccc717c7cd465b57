"""Figures of arms that restart, of arms whose blocks come and go, and of what a search spends."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from reports.arms.arm import Arm
from reports.figures.blocks import block_figures, blocks_by_cycle
from reports.figures.budget import budget_drawing
from reports.figures.restarts import phases_after, restart_figures, scores_by_restart
from reports.figures.style import Placed, method_styles
from reports.wording import ScoreWords
from tests.reports.helpers import arm_of

SCORE = ScoreWords("accuracy", True, False)


def history(trial_id: str, rows: list[tuple[Any, ...]], column: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["phase", column])
    return frame.assign(trial_id=trial_id, epoch=range(1, len(rows) + 1))


def restarting(trial_id: str, *scores: float, begun: bool = True) -> pd.DataFrame:
    """One epoch, then two after each restart; `begun`: with the intervals in which restarts begin."""
    rows: list[tuple[Any, ...]] = [("train", scores[0])]
    for score in scores[1:]:
        rows += [("restart", 0.1)] * begun + [("raised", 0.2), ("lowered", score)]
    return history(trial_id, rows, "val_score")


def growing(trial_id: str, *blocks: tuple[int, int]) -> pd.DataFrame:
    """Of each cycle the blocks after adding and after pruning."""
    rows: list[tuple[Any, ...]] = [("train", 0)]
    for added, left in blocks:
        rows += [("add", added), ("grow", added), ("prune", left), ("retrain", left)]
    return history(trial_id, rows, "blocks")


def an_arm(method: str, trials: int) -> Arm:
    ids = pd.DataFrame({"trial_id": [f"{method}{number}" for number in range(trials)]})
    return replace(arm_of(np.linspace(0.5, 0.9, trials), method=method), facts=ids)


def by_restart(histories: pd.DataFrame, *arms: Arm) -> list[Placed]:
    part = {arm.method: arm for arm in arms}
    return list(restart_figures(part, histories, "digits / mlp", method_styles(list(part)), SCORE))


def by_cycle(histories: pd.DataFrame, *arms: Arm) -> list[Placed]:
    part = {arm.method: arm for arm in arms}
    return list(block_figures(part, histories, "digits / resnet", method_styles(list(part))))


def test_a_restart_has_the_score_at_the_end_of_the_training_after_it() -> None:
    for begun in (True, False):
        assert scores_by_restart(restarting("a", 0.3, 0.5, 0.4, begun=begun), {"raised"}).tolist() == [
            0.3,
            0.5,
            0.4,
        ]
    gone = restarting("a", 0.3, 0.5).assign(val_score=[0.3, 0.1, np.nan, np.nan])
    assert np.isnan(scores_by_restart(gone, {"raised"})).tolist() == [False, True]
    assert phases_after(pd.concat([restarting("a", 0.3, 0.5), restarting("b", 0.1)])) == {"raised"}


def test_arms_that_restart_stand_beside_arms_trained_alike() -> None:
    histories = pd.concat(
        [
            restarting("new0", 0.3, 0.5, 0.7),
            restarting("new1", 0.2, 0.4),
            restarting("control0", 0.3, 0.3, begun=False),
            restarting("fixed0", 0.9),
        ]
    )
    [found] = by_restart(histories, an_arm("fixed", 1), an_arm("new", 2), an_arm("control", 1))
    assert found.family == "restarts"
    assert found.drawing.caption.endswith("Trials: new 2, 2, 1; control 1, 1.")
    assert "new: median 25.00 % (n = 2) before, 45.00 % (n = 2), 70.00 % (n = 1)" in found.drawing.alt
    assert "fixed" not in found.drawing.alt


def test_without_restarts_there_is_no_figure_of_them() -> None:
    alike = restarting("control0", 0.3, 0.3, begun=False)
    assert by_restart(alike, an_arm("control", 1)) == []
    assert by_restart(alike.drop(columns="val_score"), an_arm("control", 1)) == []
    assert by_restart(restarting("new0", 0.3, 0.5), arm_of(np.array([0.3]))) == []


def test_a_cycle_has_the_blocks_at_its_end() -> None:
    assert blocks_by_cycle(growing("a", (1, 1), (2, 1), (2, 0))).tolist() == [0, 1, 1, 0]
    rounds = history("a", [("train", 0), ("remove", -1), ("retrain", -1), ("remove", -3)], "blocks")
    assert blocks_by_cycle(rounds).tolist() == [0, -1, -3]
    assert blocks_by_cycle(history("a", [("train", 0), ("train", -1)], "blocks")).tolist() == [-1]


def test_blocks_are_drawn_of_arms_in_which_some_come_or_go_in_cycles() -> None:
    grown = [growing("grow0", (1, 1), (2, 2)), growing("grow1", (1, -1))]
    still = [growing("still0", (0, 0), (0, 0))]
    once = [history("once0", [("train", 0), ("remove", -1)], "blocks")]
    histories = pd.concat([*grown, *still, *once])
    [found] = by_cycle(histories, an_arm("grow", 2), an_arm("still", 1), an_arm("once", 1))
    assert found.drawing.caption.endswith("Trials: grow 2.")
    assert "grow: 2 trials, up to 2 cycles; at the end -1 to +2 blocks, median +0.5." in found.drawing.alt
    assert by_cycle(pd.concat(still), an_arm("still", 1)) == []
    assert by_cycle(histories.drop(columns="blocks"), an_arm("grow", 2)) == []


def a_result(method: str, *best: float | None) -> dict[str, Any]:
    estimates = [{"value": value, "interval": None, "censored": "", "note": ""} for value in best]
    curve = {"n": list(range(1, len(best) + 1)), "estimates": estimates, "reliable_to": 1}
    return {"method": method, "best_of_n": curve, "is_baseline": False}


def test_n_trials_cost_n_times_the_mean_and_those_of_a_search_what_its_first_n_cost() -> None:
    four, one_search = np.array([1e6, 3e6, 1e6, 3e6]), np.zeros(4, dtype=np.int64)
    drawn = {
        "iid": arm_of(np.arange(4.0), method="iid", train_flops=four),
        "search": arm_of(
            np.arange(4.0),
            method="search",
            sampling="adaptive",
            search=one_search,
            position=np.arange(4.0),
            train_flops=np.array([1e6, 1e6, 1e6, 9e6]),
        ),
    }
    arms = [a_result("iid", 0.5, 0.6), a_result("search", 0.5, 0.7)]
    found = budget_drawing("key", arms, drawn, method_styles(list(drawn)), SCORE, 0.95)
    assert found is not None
    ends = [float(np.asarray(line.get_xdata())[-1]) for line in found.figure.axes[0].lines[::2]]
    assert ends == [4e6, 2e6]
    assert "iid: 60.00 % is expected of 2 of its 4 trials" in found.alt


def test_where_flops_or_curves_are_missing_there_is_no_budget() -> None:
    arm = arm_of(np.arange(4.0), method="iid", train_flops=np.ones(4))
    styles = method_styles(["iid"])
    assert budget_drawing("key", [a_result("iid", 0.5)], {"iid": arm}, styles, SCORE, 0.95) is None
    assert budget_drawing("key", [a_result("iid", None, 0.5)], {"iid": arm}, styles, SCORE, 0.95) is None
    without = {"iid": replace(arm, costs={})}
    assert budget_drawing("key", [a_result("iid", 0.5, 0.6)], without, styles, SCORE, 0.95) is None
