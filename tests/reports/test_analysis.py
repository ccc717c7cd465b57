"""The whole analysis: accounting, invariance, degenerate tables, and what the results may hold."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.trial_table import COLUMNS
from reports.analysis import analyse
from reports.results.results import to_json_able
from reports.settings import Settings, Target
from reports.table.checks import TrialTable
from tests.reports.tables import arm, designed, judged, only, table

SPREAD = np.linspace(0.5, 0.9, 40)


def rich_table(seed: int = 18) -> pd.DataFrame:
    """Two cells, three methods, costs, sizes, parameters, failures and ties."""
    generator = np.random.default_rng(seed)
    arms = []
    for dataset in ("digits", "mnist"):
        for i, method in enumerate(("base", "new", "other")):
            scores = np.round(generator.beta(5 + i, 2, 40), 2)
            scores[generator.random(40) < 0.1] = np.nan
            arms.append(
                arm(
                    method,
                    scores,
                    test=np.clip(scores - 0.01 * generator.random(40), 0, 1),
                    dataset=dataset,
                    parameters=generator.integers(100, 10_000, 40),
                    train_seconds=generator.gamma(3, 5, 40),
                    train_flops=generator.gamma(3, 1e9, 40),
                    param_units_1=generator.integers(8, 256, 40),
                    param_units_2=generator.integers(8, 256, 40),
                    index=range(40),
                    n_test=1_000,
                    device="cpu",
                    split_seed=1,
                )
            )
    return table(*arms)


def plain(results: object) -> object:
    return to_json_able(results)


def test_results_are_finite_plain_data() -> None:
    text = json.dumps(plain(judged(rich_table())), allow_nan=False)
    assert "NaN" not in text
    assert json.loads(text)["version"] == 2


def test_row_order_changes_nothing_at_all() -> None:
    frame = rich_table()
    assert plain(judged(frame)) == plain(judged(frame.sample(frac=1, random_state=1)))


def test_relabelling_validation_scores_changes_nothing_on_test() -> None:
    frame = rich_table()
    bent = frame.assign(val_accuracy=frame["val_accuracy"] ** 3)
    for first, second in zip(judged(frame).cells, judged(bent).cells, strict=True):
        for one, other in zip(first.arms, second.arms, strict=True):
            assert plain(one.best_of_n) == plain(other.best_of_n)
            assert one.summary == other.summary
        for one_c, other_c in zip(first.contrasts, second.contrasts, strict=True):
            assert plain(one_c.savings) == plain(other_c.savings)
            assert one_c.win == other_c.win
            assert one_c.verdict == other_c.verdict


def test_what_else_is_in_the_table_does_not_move_an_arm() -> None:
    frame = rich_table()
    alone = judged(frame[frame["method"] != "other"], n=4)
    assert plain(alone.cells[0].arms[1].best_of_n) == plain(judged(frame, n=4).cells[0].arms[1].best_of_n)


def test_failed_trials_count_as_worst_and_their_cost_counts() -> None:
    scores = np.concatenate((SPREAD, np.full(10, np.nan)))
    results = judged(
        table(arm("base", SPREAD, train_seconds=1.0), arm("new", scores, train_seconds=2.0)), n=2
    )
    new = results.cells[0].arms[1]
    assert new.accounting.done == 40
    assert new.accounting.failed == 10
    assert new.accounting.failed_by_status == {"diverged": 10}
    assert new.best_of_n is not None
    assert new.best_of_n.estimates[0].value == pytest.approx(SPREAD.sum() / 50)  # failed ones count as 0
    assert new.failed_score == 0.0
    assert next(cost for cost in new.costs if cost.unit == "train_seconds").total == pytest.approx(100.0)
    assert new.summary.median_without_failed == pytest.approx(np.median(SPREAD))
    test = only(results).test
    assert test is not None
    assert test.a12.value is not None
    assert test.a12.value < 0.5


def test_missing_costs_are_filled_or_the_unit_is_withheld() -> None:
    few, many = np.full(40, 3.0), np.full(40, 3.0)
    few[:2], many[:20] = np.nan, np.nan
    results = judged(
        table(arm("base", SPREAD, train_seconds=few), arm("new", SPREAD, train_seconds=many)), n=2
    )
    base, new = results.cells[0].arms
    assert next(cost for cost in base.costs if cost.unit == "train_seconds").filled == 2
    assert [cost.unit for cost in new.costs] == ["trials"]
    assert any("20 of 40" in warn.sentence for warn in results.warnings)


def test_planned_trials_are_accounted_for() -> None:
    frame = table(arm("base", SPREAD), arm("new", SPREAD))
    results = judged(frame, designed(frame, trials=50))
    counts = results.cells[0].arms[0].accounting
    assert (counts.planned, counts.done, counts.not_run, counts.balanced) == (50, 40, 10, True)
    assert "missing" in {warn.code for warn in results.warnings}
    over = judged(frame, designed(frame, trials=30))
    assert not over.cells[0].arms[0].accounting.balanced
    assert "accounting" in {warn.code for warn in over.warnings}


def test_lower_is_better_is_the_mirror_image() -> None:
    frame = rich_table()
    frame = frame[frame["status"] == "ok"]
    losses = frame.rename(columns={"val_accuracy": "val_loss", "test_accuracy": "test_loss"})
    losses[["val_loss", "test_loss"]] *= -1
    mirrored = judged(
        losses.assign(val_accuracy=0.5, test_accuracy=0.5),
        score="loss",
        validation_column="val_loss",
        test_column="test_loss",
        lower_is_better=True,
        n=3,
        margin=0.0,
        failed_score=0.0,  # failures not seen yet count as something, too: here as the same
    )
    upright = judged(frame, n=3, margin=0.0, score="score", failed_score=0.0)
    for one, other in zip(mirrored.cells, upright.cells, strict=True):
        for first, second in zip(one.contrasts, other.contrasts, strict=True):
            assert first.verdict.kind == second.verdict.kind
            assert plain(first.savings) == plain(second.savings)
            assert first.difference == second.difference
        best, worst = one.arms[0].best_of_n, other.arms[0].best_of_n
        assert best is not None
        assert worst is not None
        assert best.estimates[2].value == pytest.approx(-(worst.estimates[2].value or 0))
        assert best.estimates[2].interval is not None
        assert worst.estimates[2].interval is not None
        assert best.estimates[2].interval.low == pytest.approx(-(worst.estimates[2].interval.high or 0))


def test_targets_reached_and_not() -> None:
    frame = table(arm("base", SPREAD, train_seconds=2.0), arm("new", SPREAD + 0.05, train_seconds=2.0))
    results = judged(frame, n=2, targets=(Target(0.92), Target(0.99, dataset="mnist")))
    contrast = only(results)
    assert {ratio.target for ratio in contrast.target_ratios} == {0.92}
    base, new = results.cells[0].arms
    missed = next(cost for cost in base.targets if cost.unit == "trials")
    assert (missed.successes, missed.expected_cost.censored) == (0, "at_least")
    assert missed.expected_cost.interval is not None
    assert missed.expected_cost.interval.high is None
    assert missed.pool_trials == 41
    reached = next(cost for cost in new.targets if cost.unit == "train_seconds")
    assert reached.expected_cost.value == pytest.approx(80 / reached.successes)
    assert reached.curve_probability[-1] == 1.0
    ratio = contrast.target_ratios[0].ratio
    assert ratio.censored == "at_least"
    assert ratio.interval is not None
    assert ratio.interval.high is None


def test_without_targets_the_derived_one_says_so() -> None:
    results = judged(table(arm("base", SPREAD), arm("new", SPREAD)), n=2)
    assert "descriptive" in results.cells[0].arms[0].targets[0].target_source


def test_no_baseline_means_no_verdicts_but_a_description() -> None:
    results = judged(rich_table(), baseline=None)
    assert results.baseline is None
    assert all(cell.contrasts == () for cell in results.cells)
    assert len(results.cells[0].exploratory) == 3
    assert "No baseline was named" in results.headline[0]


def test_nothing_has_run_yet() -> None:
    frame = table(arm("base", SPREAD), arm("new", SPREAD))
    design = designed(frame)
    names = [column.name for column in COLUMNS if column.required] + ["trial_id", "status", "sampling"]
    empty = TrialTable(pd.DataFrame({name: pd.Series(dtype=str) for name in names}), 0, (), True)
    results = analyse(empty, design, Settings())
    assert results.cells == ()
    plain(results)


DEGENERATE = {
    "one arm": [arm("base", SPREAD)],
    "one trial each": [arm("base", [0.5]), arm("new", [0.6])],
    "one trial in one arm": [arm("base", SPREAD), arm("new", [0.6])],
    "two trials each": [arm("base", [0.5, 0.6]), arm("new", [0.6, 0.7])],
    "all failed": [arm("base", np.full(20, np.nan)), arm("new", np.full(20, np.nan))],
    "the method failed": [arm("base", SPREAD), arm("new", np.full(20, np.nan))],
    "the baseline failed": [arm("base", np.full(20, np.nan)), arm("new", SPREAD)],
    "ties everywhere": [arm("base", np.full(20, 0.5)), arm("new", np.full(20, 0.5))],
    "identical arms": [arm("base", SPREAD), arm("new", SPREAD)],
    "separated": [arm("base", SPREAD), arm("new", np.linspace(0.95, 0.99, 30))],
    "separated the other way": [arm("base", np.linspace(0.95, 0.99, 30)), arm("new", SPREAD)],
    "constant and separated": [arm("base", np.full(20, 0.5)), arm("new", np.full(20, 0.9))],
    "validation says nothing": [
        arm("base", np.full(40, 0.5), test=SPREAD),
        arm("new", np.full(40, 0.5), test=SPREAD),
    ],
    "no baseline": [arm("one", SPREAD), arm("new", SPREAD)],
    "perfect": [arm("base", np.ones(20)), arm("new", np.ones(20))],
    "zero cost": [arm("base", SPREAD, train_seconds=0.0), arm("new", SPREAD, train_seconds=0.0)],
    "odd names": [arm("base", SPREAD, dataset="=<b>,x"), arm('new"&', SPREAD, dataset="=<b>,x")],
    "one searched value": [
        arm("base", SPREAD, param_units=np.where(np.arange(40) < 20, np.nan, np.arange(40))),
        arm("new", SPREAD),
    ],
    "one search": [arm("base", SPREAD), arm("new", SPREAD, sampling="adaptive")],
    "searches of one trial": [
        arm("base", SPREAD, index=range(40)),
        arm("new", SPREAD[:6], sampling="adaptive", index=np.zeros(6), replicate=range(6)),
    ],
    "designs": [arm("base", SPREAD, sampling="design"), arm("new", SPREAD, sampling="design")],
    "one size": [arm("base", SPREAD, parameters=100), arm("new", SPREAD, parameters=100)],
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.filterwarnings("error")
def test_degenerate_tables_have_a_stated_outcome(name: str) -> None:
    for n in (None, 1, 2):
        results = judged(table(*DEGENERATE[name]), n=n)
        json.dumps(plain(results), allow_nan=False)
        assert results.headline
        for cell in results.cells:
            for contrast in cell.contrasts:
                assert contrast.verdict.sentence.endswith(".")
                if contrast.verdict.kind != "refused":
                    assert contrast.verdict.estimate is not None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("one trial each", "refused"),
        ("all failed", "refused"),
        ("the method failed", "worse"),
        ("the baseline failed", "refused"),
        ("ties everywhere", "inconclusive"),
        ("identical arms", "inconclusive"),
        ("separated", "saves"),
        ("separated the other way", "worse"),
        ("one search", "refused"),
        ("designs", "refused"),
    ],
)
def test_degenerate_verdicts(name: str, kind: str) -> None:
    assert only(judged(table(*DEGENERATE[name]), margin=0.0)).verdict.kind == kind


def test_identical_arms_are_equal_in_every_number() -> None:
    contrast = only(judged(table(arm("base", SPREAD), arm("new", SPREAD)), n=4))
    assert contrast.difference is not None
    assert contrast.difference.value == 0.0
    assert contrast.matched[0].trials.value == pytest.approx(4.0)
    assert contrast.savings[0].ratio.value == pytest.approx(1.0)
    assert contrast.savings[0].p_value == 1.0
    assert contrast.win is not None
    for row, n in zip(contrast.win.probability, contrast.win.n, strict=True):
        assert row[contrast.win.m.index(n)] == pytest.approx(0.5, abs=1e-12)


def test_sub_boxes_show_a_saving_that_hangs_on_the_space() -> None:
    """The baseline is good only with few units; searched there alone it equals the method."""
    generator = np.random.default_rng(19)
    units = generator.integers(8, 4_096, 200)
    scores = np.where(units < 2_000, generator.uniform(0.8, 0.95, 200), generator.uniform(0.1, 0.3, 200))
    new = arm("new", generator.uniform(0.8, 0.95, 200))
    contrast = only(judged(table(arm("base", scores, param_units_1=units), new), n=3))
    assert contrast.verdict.kind == "saves"
    lower, _, upper = contrast.sub_boxes
    assert lower.label.startswith("lower part of units")
    assert lower.baseline_trials == pytest.approx(100, abs=2)
    assert lower.saving.value is not None
    assert upper.saving.value is not None
    assert lower.saving.value < 1.5 < upper.saving.value
    assert contrast.depends_on_space


def test_pooling_over_cells() -> None:
    results = judged(rich_table(), n=3)
    by_key = {(pooled.method, pooled.unit): pooled for pooled in results.pooled}
    assert set(by_key) >= {("new", "trials"), ("other", "train_flops")}
    one = by_key["new", "trials"]
    assert (one.cells, one.datasets) == (2, 2)
    (said,) = (tally.sentence for tally in results.answer.tallies if tally.method == "new")
    assert said.endswith(one.sentence)
    assert said in results.headline
    for profile in results.profiles:
        assert 0 <= profile.score <= 1
        assert all(0 <= share <= 1 for share in profile.share)
        assert not any(math.isnan(share) for share in profile.share)


def test_two_architectures_are_not_two_data_sets() -> None:
    arms = [
        arm(method, np.linspace(low, 0.9, 60), architecture=architecture)
        for architecture, shift in (("mlp", 0.0), ("lenet5", 0.05))
        for method, low in (("base", 0.5), ("new", 0.55 + shift))
    ]
    pooled = judged(table(*arms), n=4).pooled[0]
    assert pooled.cells == 2
    assert pooled.datasets == 1
    assert pooled.these_cells.value is not None
    assert pooled.new_datasets.interval is None
    assert "fewer than two data sets" in pooled.new_datasets.note


def test_censored_cells_count_as_far_as_their_trials_show() -> None:
    arms = [arm("base", SPREAD, dataset=name) for name in ("a", "b", "c")]
    arms += [arm("new", np.linspace(0.6, 0.9, 40), dataset=name) for name in ("a", "b")]
    arms += [arm("new", np.linspace(0.1, 0.2, 40), dataset="c")]
    results = judged(table(*arms), n=4)
    pooled = results.pooled[0]
    assert pooled.unmatched == 1
    assert pooled.these_cells.value is not None
    assert pooled.these_cells.interval is not None
    assert pooled.these_cells.interval.low is not None
    assert "from 0.200×" in pooled.these_cells.note  # n of 4 over half of the 40 trials
    assert pooled.median.value is not None
    assert "each as far as its trials show" in pooled.sentence
    assert results.answer.tallies[0].counts["worse"] == 1


def test_a_large_n_is_computed_exactly() -> None:
    generator = np.random.default_rng(21)
    frame = table(arm("base", generator.random(1_200)), arm("new", generator.random(1_200)))
    contrast = only(judged(frame, n=333))
    assert contrast.verdict.kind != "refused"
    assert contrast.matched[0].n == 333


def test_names_that_are_not_there_are_told() -> None:
    frame = table(arm("base", SPREAD), arm("new", SPREAD))
    results = judged(frame, baseline="bsae", methods=("new", "nwe"))
    assert {warn.method for warn in results.warnings if warn.code == "method"} == {"bsae", "nwe"}
    assert {c.verdict.kind for c in results.cells[0].contrasts} == {"refused"}


def test_an_arm_that_has_not_started_is_told() -> None:
    frame = table(arm("base", SPREAD), arm("new", SPREAD))
    results = judged(frame[frame["method"] == "base"], designed(frame))
    [missing] = [warn.sentence for warn in results.warnings if warn.code == "missing"]
    assert missing.startswith("1 of ")
    assert missing.endswith("/new.")


def test_without_failures_the_difference_is_another() -> None:
    scores = np.concatenate((SPREAD, np.full(20, np.nan)))
    contrast = only(judged(table(arm("base", SPREAD), arm("new", scores)), n=2))
    assert contrast.difference is not None
    assert contrast.difference.value is not None
    assert contrast.difference.value < -0.01
    assert contrast.difference_without_failed is not None
    assert contrast.difference_without_failed.value == pytest.approx(0.0)


def test_controls_are_a_family_of_their_own() -> None:
    """What the primary family says is the same with controls beside it; each is held against its method."""
    rng = np.random.default_rng(5)
    base, method, control = (rng.normal(mean, 0.05, 30).clip(0, 1) for mean in (0.7, 0.8, 0.7))
    frame = table(arm("base", base), arm("shrinks", method), arm("shrinks-anew", control))
    alone = frame[frame["method"] != "shrinks-anew"]
    design = designed(frame)
    place = f"{design.arms[0].dataset}/{design.arms[0].architecture}"
    arms = tuple(
        replace(each, origin=f"{place}/shrinks", registered="scratch-e")
        if each.method == "shrinks-anew"
        else each
        for each in design.arms
    )
    found = judged(frame, replace(design, arms=arms), n=3)
    assert only(found) == only(judged(alone, designed(alone), n=3)), "the same numbers, adjusted for one"
    [control_result] = found.controls
    assert (control_result.contrast.method, control_result.control) == ("shrinks", "shrinks-anew")
    assert control_result.asks == "would the size that it found do, trained anew for as long?"
    gap = control_result.contrast.difference
    assert gap is not None
    assert gap.value is not None
    assert gap.value > 0.05
    mine, its = control_result.method_gain, control_result.control_gain
    assert mine is not None
    assert its is not None
    assert mine.value is not None
    assert its.value is not None
    assert mine.value > 0.05 > abs(its.value)
    assert (
        judged(frame, replace(design, arms=arms), n=3, methods=("shrinks", "shrinks-anew")).family_size == 2
    )
