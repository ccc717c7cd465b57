"""Fronts on every axis that tells sizes apart; what a latency or a memory is no cost of."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.analysis import judge
from reports.arms.from_table import read_arms
from reports.cost_units import COST_UNITS
from reports.figures.captioned_analysis import cell_figures
from reports.figures.style import method_styles
from reports.page.document import build_document, score_words
from reports.page.render import PageFigure, render
from reports.results.results import Results
from reports.settings import Settings
from reports.size_axes import SIZE_AXES
from reports.table.checks import check_table
from reports.wording import size
from tests.reports.made import made_table
from tests.reports.tables import arm, judged, table

#: Four networks whose sizes and latencies rank them differently.
PARAMETERS = [100, 200, 400, 800]
LATENCIES_MS = [4.0, 2.0, 1.0, 8.0]
SCORES = [0.5, 0.6, 0.7, 0.9]


def _front_axes(results: Results) -> set[str]:
    return {axis for side in results.cells[0].arms for axis in side.fronts}


def test_a_front_by_hand_on_another_axis() -> None:
    sized: dict[str, Any] = {"parameters": PARAMETERS, "latency_ms_1": LATENCIES_MS}
    results = judged(table(arm("base", SCORES, **sized), arm("new", SCORES, **sized)), failed_score=0.5)
    [base, _] = results.cells[0].arms
    assert set(base.fronts) == {"parameters", "latency_ms_1"}
    assert base.front == base.fronts["parameters"]
    assert [point.size for point in base.fronts["parameters"].chosen] == PARAMETERS
    front = base.fronts["latency_ms_1"]
    assert [(point.size, point.test_score) for point in front.chosen] == [(1.0, 0.7), (8.0, 0.9)]
    # From the corner (8 ms, .5): half of the height over the whole width; the slowest adds no width.
    assert front.hypervolume_optimistic == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([3.0 * size for size in PARAMETERS], False),
        ([301, 602, 1199, 2460], False),
        ([512.0, 520.0, 512.0, 515.0], False),
        (LATENCIES_MS, True),
        ([0.0] * 4, False),
    ],
)
def test_an_axis_is_told_where_it_says_more_than_those_before_it(values: list[float], told: bool) -> None:
    sized: dict[str, Any] = {"parameters": PARAMETERS, "macs": values}
    results = judged(table(arm("base", SCORES, **sized), arm("new", SCORES, **sized)))
    assert ("macs" in _front_axes(results)) == told


def test_parameters_have_a_front_even_where_all_are_equal() -> None:
    results = judged(table(arm("base", SCORES, parameters=7), arm("new", SCORES, parameters=7)))
    assert _front_axes(results) == {"parameters"}


def test_an_axis_stands_without_parameters() -> None:
    results = judged(table(arm("base", SCORES, latency_ms_256=LATENCIES_MS), arm("new", SCORES)))
    base, new = results.cells[0].arms
    assert (set(base.fronts), base.front, new.fronts) == ({"latency_ms_256"}, None, {})


def test_an_arm_that_lacks_a_latency_has_no_front_of_it_and_says_why() -> None:
    lacking = [4.0, 2.0, None, 8.0]
    results = judged(
        table(
            arm("base", SCORES, parameters=PARAMETERS, latency_ms_1=LATENCIES_MS),
            arm("new", SCORES, parameters=PARAMETERS, latency_ms_1=lacking),
        )
    )
    base, new = results.cells[0].arms
    assert (set(base.fronts), set(new.fronts)) == ({"parameters", "latency_ms_1"}, {"parameters"})
    assert "latency_ms_1: 1 of 4 trials with scores have none, so no front" in new.notes


def test_the_order_of_rows_changes_no_front() -> None:
    trials = table(
        arm("base", [0.5] * 4, parameters=100, macs=[4, 3, 2, 9]), arm("new", [0.5] * 4, parameters=100)
    )
    assert judged(trials) == judged(trials.iloc[::-1])


def test_no_axis_is_a_unit_of_cost() -> None:
    assert not {*SIZE_AXES} & {*COST_UNITS}


def test_sizes_are_said_in_their_unit() -> None:
    assert size(1234, "parameters") == "1,234 parameters"
    assert size(0.042, "latency_ms_1") == "0.0420 ms"
    assert size(3 * 2**20, "peak_memory_bytes") == "3.00 MiB"


def _with_origins(trials: pd.DataFrame, more: float) -> pd.DataFrame:
    return trials.assign(total_train_flops=trials["train_flops"] + more * (trials["method"] == "new"))


def test_costs_with_origins_are_a_unit_where_a_trial_has_one() -> None:
    trials = table(arm("base", SCORES * 3, train_flops=10.0), arm("new", SCORES * 3, train_flops=10.0))
    assert "total_train_flops" not in judged(_with_origins(trials, 0)).cost_units
    results = judged(_with_origins(trials, 10))
    saving = {s.unit: s.ratio.value or 0.0 for s in results.cells[0].contrasts[0].savings}
    assert saving["total_train_flops"] == pytest.approx(saving["train_flops"] / 2)
    assert saving["train_flops"] > 0


def test_costs_with_origins_are_kept_where_they_were_asked_for() -> None:
    trials = _with_origins(table(arm("base", SCORES, train_flops=10.0)), 0)
    assert "total_train_flops" not in check_table(trials).trials
    assert "total_train_flops" in check_table(trials, settings=Settings(cost="total_train_flops")).trials


def test_the_page_shows_parameters_first_and_other_axes_folded_away() -> None:
    trials = made_table(trials=8, methods=("fixed", "l2"), failures=0)
    latencies = np.random.default_rng(3).uniform(0.1, 9, len(trials))
    trials = trials.assign(latency_ms_1=latencies, peak_memory_bytes=latencies[::-1] * 2**20)
    asked = Settings(baseline="fixed", permutations=99, resamples=50)
    checked = check_table(trials)
    arms = read_arms(checked.trials, asked)
    document = build_document(arms, checked, None, asked, judge(arms, checked, None, asked))
    styles, score = method_styles(["fixed", "l2"]), score_words(asked)
    [cell] = document["analysis"]["cells"]
    by_method = {side.method: side for side in arms}
    placed = [
        each
        for each in cell_figures(by_method, cell, document["analysis"], styles, score, asked)
        if each.family in ("sizes", "axes")
    ]
    labels = [each.drawing.figure.axes[0].get_xlabel() for each in placed]
    assert labels == ["parameters", "latency at batch 1 (ms)", "peak memory (MiB)"]
    figures = [
        PageFigure(each.drawing.name, each.drawing.title, "", "", "", each.cell, each.family)
        for each in placed
    ]
    page = render("report.html.j2", document, figures)
    names = ", ".join(("parameters", "latency at batch 1", "peak memory"))
    folded = page.index(f"<summary>Score and size together, digits / mlp: {names}")
    places = [page.index(f'<figure id="{figure.name}">') for figure in figures]
    assert places[0] < folded < places[1] < places[2] < page.index("</details>", folded)
