"""Replayed arms in results and reports: in plan order, and what is said of the comparison."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.design import ReplayDesign, StudyDesign
from reports.analysis import judge
from reports.arms.from_table import read_arms
from reports.results.replay_result import PlanOrder, ReplayResult
from reports.results.results import to_json_able
from reports.settings import Settings
from reports.table.checks import check_table
from reports.write import write_report
from tests.reports.tables import arm, designed

EPOCHS = 4


def _halved(scores: list[float], index: list[int], **columns: Any) -> pd.DataFrame:
    """An arm whose trials reach their score in four equal steps; its validation is its test less .1."""
    test = np.array(scores)
    ids = [f"t{number}" for number in range(len(scores))]
    return arm("l2", test - 0.1, test=test, index=index, trial_id=ids, **columns)


def _histories(trials: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {
            **{name: trial[name] for name in ("trial_id", "dataset", "architecture", "method")},
            "epoch": epoch,
            "train_loss": 1.0,
            "units_total": 1,
            "parameters": 1,
            "val_score": trial["val_accuracy"] * epoch / EPOCHS,
            "best_test_score": trial["test_accuracy"] * epoch / EPOCHS,
        }
        for trial in trials.to_dict("records")
        for epoch in range(1, EPOCHS + 1)
    ]
    return pd.DataFrame(rows)


def _pruner(name: str, **options: Any) -> dict[str, Any]:
    return {"name": f"{name}Pruner", "options": options}


_MEDIAN = _pruner("Median", n_startup_trials=1, n_warmup_steps=0, interval_steps=1, n_min_trials=1)


def _design(trials: pd.DataFrame, pruner: dict[str, Any], **changes: Any) -> StudyDesign:
    replay = ReplayDesign("digits", "mlp", "pruned", "l2", pruner)
    return dataclasses.replace(designed(trials, **changes), replays=(replay,))


def _replayed(
    trials: pd.DataFrame, pruner: dict[str, Any], lower_is_better: bool = False, **changes: Any
) -> ReplayResult:
    settings = Settings(baseline="l2", lower_is_better=lower_is_better, permutations=199, resamples=100)
    design = _design(trials, pruner, n=1, **changes)
    checked = check_table(trials)
    (found,) = judge(
        read_arms(checked.trials, settings), checked, design, settings, _histories(trials)
    ).replays
    return found


def test_plan_order_is_by_index_in_each_replicate_without_repeats() -> None:
    scores, index = [0.5, 0.9, 0.6, 0.7, 0.8, 0.4, 0.3, 0.2, 0.99], [3, 0, 1, 2, 0, 1, 2, 3, 3]
    trials = _halved(scores, index, replicate=[0, 0, 0, 0, 1, 1, 1, 1, 0], repeat=[0, 0, 0, 0, 0, 0, 0, 0, 1])
    found = _replayed(trials, _MEDIAN)
    # The first in the plan is the best, so all others are stopped after their first epoch.
    assert isinstance(found.plan_order, PlanOrder)
    assert dataclasses.replace(found.plan_order, sentence="") == PlanOrder(
        0.9, 11.0, stopped=7, finished=1, failed=0, unpruned_test=0.9, unpruned_cost=32.0, sentence=""
    )
    assert found.plan_order.sentence == (
        "In plan order the 8 trials of l2 under the pruner end with an incumbent of test accuracy 90.00 % "
        "and cost 11 epochs (7 stopped, 1 finished); without it 90.00 % and 32 epochs."
    )
    # The second replicate first: its best is stopped by nothing, nor is any better one of the other.
    trials["replicate"] = 1 - trials["replicate"]
    found = _replayed(trials, _MEDIAN)
    assert found.plan_order is not None
    assert (found.plan_order.stopped, found.plan_order.finished) == (6, 2)


def test_without_an_index_there_is_no_plan_order_and_no_replay() -> None:
    trials = _halved([0.5, 0.9, 0.6, 0.7, 0.8, 0.4], list(range(6))).drop(columns="index")
    found = _replayed(trials, _MEDIAN)
    assert found.refusal == "the table holds no index of the trials of l2, so their plan order is unknown"
    assert found.plan_order is None


_SCORES = [0.5, 0.9, 0.6, 0.7, 0.8, 0.4, 0.3, 0.2, 0.95, 0.85]
_AT_THE_END = _pruner("Threshold", lower=2.0, upper=None, n_warmup_steps=EPOCHS, interval_steps=1)


@pytest.mark.parametrize("lower_is_better", [False, True])
@pytest.mark.parametrize(
    ("pruner", "said"),
    [
        (_pruner("Nop"), "nothing was stopped by then: the two searches are one."),
        (_AT_THE_END, "the pruner changes nothing: the incumbent has the same test"),
    ],
)
def test_searches_that_are_one_are_on_par_and_say_why(
    pruner: dict[str, Any], said: str, lower_is_better: bool
) -> None:
    found = _replayed(_halved(_SCORES, list(range(10))), pruner, lower_is_better)
    assert found.verdict == "on par"
    assert f"for what one full trial of l2 costs, {said}" in found.sentence
    assert "differs" not in found.sentence
    assert not re.search(r"-0\.0\b", json.dumps(to_json_able(found))), "a zero has no sign"
    assert found.difference is not None
    assert found.difference.value == 0


@pytest.mark.parametrize(
    ("sampling", "said"),
    [("iid", "Limits are rough where fewer than 10 trials are begun"), ("design", "there are no limits")],
)
def test_rough_and_missing_limits_are_told_wherever_the_replay_is(
    tmp_path: Path, sampling: str, said: str
) -> None:
    trials = _halved(_SCORES, list(range(10)), sampling=sampling)
    settings = Settings(baseline="l2", permutations=199, resamples=100)
    design = _design(trials, _MEDIAN, n=1)
    page = write_report(trials, tmp_path, design=design, settings=settings, histories=_histories(trials))
    (replay,) = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["analysis"]["replays"]
    caution = next(each for each in replay["cautions"] if said in each)
    assert (replay["difference"]["interval"] is None) == (sampling == "design")
    assert f"  - caution: {caution}" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert f'<span class="severity caution">caution</span><span>{caution}</span>' in page.read_text(
        encoding="utf-8"
    )
