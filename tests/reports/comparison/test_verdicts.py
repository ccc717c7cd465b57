"""Each of the eight verdicts from a table whose answer is known, and what leads to a refusal."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.results.contrast import VERDICT_KINDS, Contrast
from tests.reports.tables import arm, designed, judged, only, table

SPREAD = np.linspace(0.5, 0.9, 60)


def contrast_of(new: pd.DataFrame, base: pd.DataFrame | None = None, **settings: Any) -> Contrast:
    return only(judged(table(arm("base", SPREAD) if base is None else base, new), n=5, **settings))


def test_saves() -> None:
    contrast = contrast_of(arm("new", np.linspace(0.85, 0.95, 60)))
    assert contrast.verdict.kind == "saves"
    assert contrast.matched[0].trials.censored == "at_most"
    assert contrast.verdict.estimate is not None
    assert contrast.verdict.estimate.value == pytest.approx(5.0)
    assert "at most 1.00 trial " in contrast.verdict.sentence
    assert "N = 60 and 60" in contrast.verdict.sentence


@pytest.mark.parametrize("level", [1.0, 0.97, 0.1, 1 / 3])
@pytest.mark.parametrize("trials", [20, 50, 61])
def test_arms_that_never_vary_and_never_differ_decide_nothing(level: float, trials: int) -> None:
    flat = [
        arm(name, np.full(count, level), train_seconds=np.full(count, 0.1))
        for name, count in (("new", trials), ("base", trials + 3))
    ]
    for cost in ("trials", "train_seconds"):
        contrast = contrast_of(*flat, cost=cost)
        assert contrast.verdict.kind == "inconclusive"
        assert contrast.difference is not None
        assert contrast.difference.value == 0.0
        assert all(saving.p_value == 1.0 for saving in contrast.savings)


def test_worse_by_exactly_the_margin_is_neither_on_par_nor_worse() -> None:
    contrast = contrast_of(arm("new", np.full(40, 0.95)), arm("base", np.full(40, 0.97)), margin=0.02)
    assert contrast.verdict.kind not in ("on par", "worse")


def test_the_method_needs_trials_for_what_matches_and_not_for_n() -> None:
    generator = np.random.default_rng(3)
    searched = arm(
        "base",
        np.concatenate([np.sort(generator.uniform(0.60, 0.80, 30)) for _ in range(6)]),
        sampling="adaptive",
        sampler="TPESampler",
        replicate=np.repeat(np.arange(6), 30),
        index=np.tile(np.arange(30), 6),
    )
    new = arm("new", generator.uniform(0.75, 0.95, 50), index=np.arange(50))
    contrast = only(judged(table(searched, new), n=30))
    assert contrast.verdict.kind == "saves"
    assert contrast.matched[0].searched_to == 25
    assert contrast.difference is None
    assert contrast.non_inferiority is None
    hopeless = arm("new", generator.uniform(0.1, 0.2, 50), index=np.arange(50))
    assert only(judged(table(searched, hopeless), n=30)).verdict.kind == "censored"


def test_the_baseline_needs_trials_for_n() -> None:
    contrast = only(judged(table(arm("base", SPREAD), arm("new", SPREAD)), n=31))
    assert contrast.verdict.kind == "refused"
    assert "needs 62 trials of base" in contrast.verdict.sentence


def test_saves_in_trials_but_not_in_seconds() -> None:
    base = arm("base", SPREAD, train_seconds=np.full(60, 10.0))
    new = arm("new", np.linspace(0.85, 0.95, 60), train_seconds=np.full(60, 100.0))
    in_trials = contrast_of(new, base)
    assert in_trials.verdict.kind == "saves"
    by_unit = {saving.unit: saving for saving in in_trials.savings}
    assert by_unit["train_seconds"].ratio.value == pytest.approx(0.5)
    # In seconds the saving is only bounded below by one trial's price, so nothing is claimed against it.
    assert contrast_of(new, base, cost="train_seconds").verdict.kind == "on par"


def test_costs_more() -> None:
    often_failed = np.concatenate((np.full(140, np.nan), SPREAD))
    contrast = contrast_of(arm("new", often_failed), arm("base", np.repeat(SPREAD, 3)))
    assert contrast.verdict.kind == "costs more"
    assert contrast.verdict.estimate is not None
    assert contrast.verdict.estimate.value == pytest.approx(0.3, abs=0.03)  # 30 % of its trials finish
    assert "times as many" in contrast.verdict.sentence


def test_on_par() -> None:
    contrast = contrast_of(arm("new", SPREAD), margin=0.05)
    assert contrast.verdict.kind == "on par"
    assert contrast.non_inferiority is not None
    assert contrast.non_inferiority.limit is not None
    assert contrast.non_inferiority.limit > -0.05
    assert "5.00 points" in contrast.verdict.sentence


def test_cheap_trials_that_do_as_well_are_a_verdict() -> None:
    """Equal arms, trials at half the cost: on par at n for half the cost, whatever m* is."""
    generator = np.random.default_rng(23)
    costs = [generator.gamma(9, 1 / 9, 60) for _ in range(2)]
    base = arm("base", SPREAD, train_flops=2 * costs[0])
    new = arm("new", SPREAD, train_flops=costs[1])
    results = judged(table(base, new), n=5, cost="train_flops", margin=0.05)
    contrast = only(results)
    cost = contrast.verdict.cost_at_n
    assert cost is not None
    assert cost.value == pytest.approx(costs[1].mean() / costs[0].mean() / 2)
    assert cost.interval is not None
    assert contrast.verdict.kind == "cheaper"
    assert "5 of its trials cost 0." in contrast.verdict.sentence
    (card,) = results.answer.cards
    assert (card.cost.label, card.cost.word) == ("cost of 5 trials each", "cheaper")
    assert card.cost.value == cost.value
    in_trials = only(judged(table(base, new), n=5, margin=0.05))
    assert in_trials.verdict.kind == "on par"  # where trials are counted, none is cheaper
    dear = arm("new", SPREAD, train_flops=4 * costs[1])
    dearer = only(judged(table(base, dear), n=5, cost="train_flops", margin=0.05))
    assert dearer.verdict.kind not in ("saves", "cheaper")


def test_worse() -> None:
    contrast = contrast_of(arm("new", np.linspace(0.3, 0.5, 60)))
    assert contrast.verdict.kind == "worse"
    assert contrast.matched[0].trials.censored == "at_least"
    assert contrast.matched[0].trials.interval is not None
    assert contrast.matched[0].trials.interval.high is None


def test_censored() -> None:
    # The new method always scores .79; the baseline's best of 5 is about .83, and .05 less is still on par.
    contrast = contrast_of(arm("new", np.full(60, 0.783)), margin=0.05)
    assert contrast.verdict.kind == "censored"
    assert "did not reach" in contrast.verdict.sentence
    assert "within 30 trials" in contrast.verdict.sentence


def test_inconclusive() -> None:
    generator = np.random.default_rng(14)
    new, base = (arm(name, generator.uniform(0.5, 0.9, 30)) for name in ("new", "base"))
    contrast = contrast_of(new, base)
    assert contrast.verdict.kind == "inconclusive"
    assert contrast.verdict.settle is not None
    assert contrast.verdict.settle.reason in contrast.verdict.sentence


def test_refused_for_one_adaptive_search() -> None:
    new = arm("new", SPREAD, sampling="adaptive", sampler="TPESampler", index=range(60))
    contrast = contrast_of(new)
    assert contrast.verdict.kind == "refused"
    assert "TPESampler" in contrast.verdict.sentence
    assert "5 replicated searches are needed, 1 found" in contrast.verdict.sentence
    assert contrast.savings == ()
    assert contrast.test is None
    assert contrast.test_withheld


def test_replicated_searches_are_judged_as_whole_searches() -> None:
    generator = np.random.default_rng(15)
    scores = generator.uniform(0.8, 0.95, 60)
    new = arm(
        "new", scores, sampling="adaptive", index=np.tile(range(10), 6), replicate=np.repeat(range(6), 10)
    )
    contrast = contrast_of(new, arm("base", SPREAD[generator.permutation(60)], index=range(60)))
    assert contrast.verdict.kind == "saves"
    assert contrast.test is not None
    assert "whole searches of 10 trials (6 against 6)" in contrast.test.test
    assert contrast.win is None


@pytest.mark.parametrize(
    ("new", "base", "settings", "reason"),
    [
        (arm("new", SPREAD, sampling="design"), None, {}, "described and not tested"),
        (arm("new", SPREAD[:3]), None, {}, "3 trials"),
        (arm("new", SPREAD), arm("base", SPREAD[:8]), {}, "needs 10 trials of base, which has 8"),
        (arm("new", SPREAD), arm("base", np.full(20, np.nan)), {}, "every trial of the baseline base failed"),
        (arm("new", SPREAD), None, {"cost": "joules"}, "the claim is in joules"),
        (arm("new", SPREAD), arm("other", SPREAD), {}, "no trials of the baseline base"),
    ],
)
def test_refusals_say_why(
    new: pd.DataFrame, base: pd.DataFrame | None, settings: dict[str, Any], reason: str
) -> None:
    frame = table(arm("base", SPREAD) if base is None else base, new)
    results = judged(frame, n=5, **settings)
    refused = [c.verdict for c in results.cells[0].contrasts if c.method == "new"]
    assert [verdict.kind for verdict in refused] == ["refused"]
    assert reason in refused[0].sentence


def test_pairs_get_paired_formulas() -> None:
    generator = np.random.default_rng(16)
    scores = generator.uniform(0.5, 0.9, 40)
    labels = [f"pair {i}" for i in range(40)]
    new, base = arm("new", scores + 0.01, pair_id=labels), arm("base", scores, pair_id=labels)
    contrast = contrast_of(new.sample(frac=1, random_state=0), base)
    assert contrast.paired
    assert contrast.difference is not None
    assert contrast.difference.value == pytest.approx(0.01)
    assert contrast.difference.interval is not None
    assert contrast.difference.interval.low == pytest.approx(0.01)  # the shift is the same in every pair
    assert contrast.test is not None
    assert "paired" in contrast.test.test
    assert contrast.verdict.kind == "saves"


def test_broken_pairs_are_refused() -> None:
    labels = [f"pair {i}" for i in range(60)]
    new, base = arm("new", SPREAD, pair_id=labels), arm("base", SPREAD[:50], pair_id=labels[:50])
    contrast = contrast_of(new, base)
    assert contrast.verdict.kind == "refused"
    assert "50 of 60" in contrast.verdict.sentence


def test_a_paired_study_without_labels_is_refused() -> None:
    frame = table(arm("base", SPREAD), arm("new", SPREAD))
    contrast = only(judged(frame, designed(frame, paired=True)))
    assert contrast.verdict.kind == "refused"
    assert "belong together" in contrast.verdict.sentence


def test_claims_use_holm_limits_over_the_cells() -> None:
    """A saving that is just seen in one cell is not claimed when six cells are looked at."""
    generator = np.random.default_rng(17)
    lone = [arm("base", generator.beta(3, 3, 100)), arm("new", generator.beta(4.6, 3, 100))]
    alone = only(judged(table(*lone), n=5))
    p = next(saving.p_value for saving in alone.savings if saving.primary)
    assert p is not None
    assert 0.05 / 6 < p < 0.05  # the case that the test is about
    assert alone.verdict.kind == "saves"
    idle = [
        arm(method, generator.beta(3, 3, 100), dataset=f"other {i}")
        for i in range(5)
        for method in ("base", "new")
    ]
    together = judged(table(*lone, *idle), n=5)
    contrast = next(cell.contrasts[0] for cell in together.cells if cell.dataset == "digits")
    saving = next(saving for saving in contrast.savings if saving.primary)
    assert saving.p_holm is not None
    assert saving.p_holm > 0.05
    assert contrast.verdict.kind != "saves"
    assert saving.ratio == alone.savings[0].ratio  # the plain limits stand beside, unchanged


def test_the_list_of_verdicts_is_closed() -> None:
    assert len(VERDICT_KINDS) == len(set(VERDICT_KINDS)) == 8
