"""A stopped trial is an outcome and no failure, in every table, figure, caution, word and verdict."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.arms.arm import DependentTrialsError
from reports.arms.from_table import read_arms
from reports.arms.tracks import arm_track
from reports.description.accounting import account
from reports.figures.distributions import Panel, draw_distributions
from reports.figures.style import method_styles
from reports.review.outcomes import all_warnings
from reports.settings import Settings
from reports.table.checks import check_table
from reports.table.joining import join_tables
from reports.write import short_table, write_report
from tests.reports.tables import arm, judged, only, table

QUICK = Settings(baseline="base", n=2, permutations=99, resamples=50)
NONE = float("nan")
SPREAD = np.linspace(0.5, 0.9, 20)


def base(**columns: Any) -> pd.DataFrame:
    return arm("base", SPREAD, train_seconds=1.0, parameters=100 + np.arange(20), **columns)


def pruned() -> pd.DataFrame:
    """Two trials finished, two were stopped (the best by validation without a test score), two failed."""
    return arm("new", [0.6, 0.7, 0.8, 0.95, NONE, NONE], test=[0.6, 0.7, 0.79, NONE, NONE, NONE]).assign(
        status=["ok", "ok", "stopped", "stopped", "diverged", "crashed"],
        train_seconds=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        parameters=[100.0, 200.0, 300.0, 400.0, NONE, NONE],
        message=["", "", "pruned", "pruned", "loss is not finite", "no memory"],
    )


def searches(count: int, shift: float = 0.0, method: str = "new") -> pd.DataFrame:
    """Whole searches of four trials: one finishes, the rest are stopped, the second without a test score."""
    parts = []
    for number in range(count):
        scores = np.array([0.5, 0.9, 0.7, NONE]) + shift + 0.01 * number
        part = arm(method, scores, test=scores - np.array([0.1, NONE, 0.1, 0.0]), sampling="pruned")
        parts.append(
            part.assign(status=["ok", "stopped", "stopped", "crashed"], index=range(4), replicate=number)
        )
    return table(*parts)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    write_report(table(base(), pruned()), out, settings=QUICK)
    return out


@pytest.fixture(scope="module")
def document(written: Path) -> dict[str, Any]:
    found = json.loads((written / "results.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_summary_has_the_scores_that_stopped_trials_had() -> None:
    new = short_table(table(base(), pruned()), settings=QUICK)[1]
    assert (new.trials, new.finished, new.stopped, new.failed) == (6, 2, 2, 2)
    assert (new.test_min, new.test_median, new.test_max) == (0.6, 0.7, 0.79)
    assert new.cost_totals == {"train_seconds": 21.0}
    assert new.parameters_median == 200.0


def test_a_stopped_trial_can_be_the_best_where_its_test_score_is_known_and_not_otherwise() -> None:
    new = short_table(table(base(), pruned()), settings=QUICK)[1]
    assert (new.best_val, new.best_test, new.best_parameters) == (0.8, 0.79, 300.0)


def test_both_accounts_and_the_list_of_failures_agree(document: dict[str, Any]) -> None:
    counted = document["accounting"]["arms"][1]
    analysed = document["analysis"]["cells"][0]["arms"][1]
    assert (counted["total"], counted["failed"], counted["outcomes"]["stopped"]) == (6, 2, 2)
    accounts = analysed["accounting"]
    assert (accounts["done"], accounts["stopped"], accounts["failed"]) == (4, 2, 2)
    assert accounts["failed_by_status"] == {"crashed": 1, "diverged": 1}
    assert {failure["status"] for failure in document["failures"]} == {"crashed", "diverged"}
    assert analysed["summary"]["median_without_failed"] == 0.7
    # 0, 0, .6, .7, .79: failed trials count as 0; what was stopped without a test score counts as nothing.
    assert analysed["summary"]["median"] == 0.6


def test_the_tables_beside_the_page_agree(written: Path) -> None:
    rows = pd.read_csv(written / "tables" / "arms.csv").set_index("method")
    assert list(rows.loc["new", ["finished", "stopped", "failed"]]) == [2, 2, 2]
    assert list(rows.loc["base", ["finished", "stopped", "failed"]]) == [20, 0, 0]
    accounts = pd.read_csv(written / "tables" / "accounting.csv").set_index("method")
    assert list(accounts.loc["new", ["ok", "stopped", "outcomes"]]) == [2, 2, 6]


def test_the_page_has_a_column_and_a_word_for_them(written: Path) -> None:
    page = re.sub(
        r"<svg.*?</svg>", "", (written / "report.html").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert "<th>Stopped</th>" in page
    assert "Stopped trials are no failures" in page
    failed = re.search(r"<dt>Failed trial</dt><dd>(.*?)</dd>", page)
    assert failed is not None
    assert "stopped" not in failed.group(1)
    assert "<dt>Stopped trial</dt>" in page
    assert "| new | 2 | 2 | 2 |" in (written / "report.md").read_text(encoding="utf-8")


def test_a_report_without_stopped_trials_has_no_column_for_them(tmp_path: Path) -> None:
    page = write_report(table(base(), arm("new", SPREAD)), tmp_path, settings=QUICK)
    assert "<th>Stopped</th>" not in page.read_text(encoding="utf-8")


def test_figures_draw_them_at_their_scores_and_not_among_the_failed(document: dict[str, Any]) -> None:
    figure = next(f for f in document["figures"] if f["name"].startswith("scores"))
    assert "new: median 70.00 %, from 60.00 % to 79.00 %, 2 finished, 2 stopped, 2 failed." in figure["alt"]
    arms = {a.method: a for a in read_arms(check_table(table(base(), pruned())).trials, QUICK)}
    drawn = draw_distributions(
        arms, ["base", "new"], method_styles(["base", "new"]), Panel("test_accuracy", "test")
    )
    points = [c for c in drawn.axes[0].collections if type(c).__name__ == "PathCollection"]
    assert [len(c.get_offsets()) for c in points] == [20, 3]  # type: ignore[arg-type]


def test_cautions_count_failures_alone() -> None:
    def codes(new: pd.DataFrame) -> dict[str, str]:
        checked = check_table(table(base(), new))
        arms = read_arms(checked.trials, QUICK)
        results = judged(table(base(), new), n=2)
        return {w.code: w.sentence for w in all_warnings(arms, account(arms, None, 0, "base"), results)}

    assert "(2 of 6)" in codes(pruned())["many failures"]
    stopped = arm("new", SPREAD).assign(status=["ok"] * 5 + ["stopped"] * 15)
    assert not {"many failures", "failed"} & codes(stopped).keys()
    without_test = arm("new", SPREAD, test=np.full(20, NONE)).assign(status="stopped")
    assert not {"many failures", "failed"} & codes(without_test).keys()


def test_an_arm_with_stopped_trials_is_read_as_pruned_and_says_so() -> None:
    checked = check_table(table(base(), pruned()))
    assert set(checked.trials["sampling"][checked.trials["method"] == "new"]) == {"pruned"}
    assert set(checked.trials["sampling"][checked.trials["method"] == "base"]) == {"iid"}
    (note,) = checked.notes
    assert note.startswith("Trials of digits/mlp/new were stopped early.")
    assert any(
        w.code == "reading" and w.sentence == note for w in judged(table(base(), pruned()), n=2).warnings
    )
    for sampling in ("adaptive", "design"):
        kept = check_table(table(base(), pruned().assign(sampling=sampling)))
        assert set(kept.trials["sampling"]) == {"iid", sampling}
        assert kept.notes == ()


@pytest.mark.parametrize("which", ["method", "baseline"])
def test_formulas_for_independent_trials_refuse_them_in_one_sentence(which: str) -> None:
    stopped = arm("new" if which == "method" else "base", SPREAD).assign(status=["ok", "stopped"] * 10)
    other = arm("base" if which == "method" else "new", SPREAD)
    contrast = only(judged(table(stopped, other), n=2))
    assert contrast.verdict.kind == "refused"
    assert "were stopped early" in contrast.verdict.sentence
    assert "5 replicated searches are needed, 1 found" in contrast.verdict.sentence
    assert contrast.win is None
    assert contrast.test is None
    (read,) = read_arms(check_table(stopped).trials, QUICK)
    with pytest.raises(DependentTrialsError, match="trials are pruned"):
        read.require_independent()


def test_whole_searches_are_followed_through_stopped_trials() -> None:
    (read,) = read_arms(check_table(searches(1)).trials, QUICK)
    # .4 at first; the second was stopped without a test score and cannot be chosen; the third can, at .6.
    assert list(arm_track(read).value) == pytest.approx([0.4, 0.4, 0.6, 0.6])


def test_replicated_pruned_searches_are_compared_as_wholes() -> None:
    contrast = only(judged(table(searches(6, method="base"), searches(6, shift=0.05)), n=2))
    assert contrast.verdict.kind != "refused"
    assert contrast.difference is not None
    assert contrast.difference.value == pytest.approx(0.05)
    assert contrast.test is not None
    assert "whole searches" in contrast.test.test


def test_a_baseline_stopped_before_any_test_score_cannot_be_matched() -> None:
    nothing = searches(6, method="base").assign(test_accuracy=NONE, status="stopped")
    contrast = only(judged(table(nothing, searches(6)), n=2))
    assert "no trial of the baseline base has a test score" in contrast.verdict.sentence


def test_two_tables_cannot_share_a_pruned_arm() -> None:
    half = arm("new", SPREAD).assign(status=["ok", "stopped"] * 10)
    with pytest.raises(ValueError, match="its sampling is pruned"):
        join_tables([("a.csv", half), ("b.csv", half)])
