"""Points that were trained again: no further draws, so no number of a report changes for them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reports.analysis import judge
from reports.arms.from_table import read_arms
from reports.errors import TableError
from reports.page.document import build_document
from reports.page.render import render
from reports.results.luck import Luck
from reports.results.results import to_json_able
from reports.settings import Settings
from reports.table.checks import check_table
from tests.reports.tables import arm, designed, judged, table

GENERATOR = np.random.default_rng(9)
SPREAD = GENERATOR.uniform(0.5, 0.9, 40)
FIRST = table(*(arm(m, SPREAD + d, index=range(40), repeat=0) for m, d in (("base", 0.0), ("new", 0.02))))
AGAIN = table(*(arm(m, SPREAD[:20] - 0.3, index=range(20), repeat=1) for m in ("base", "new")))


def test_nothing_is_judged_by_repeats() -> None:
    design = designed(FIRST, n=5)
    repeated = replace(design, arms=tuple(replace(each, repeats=2) for each in design.arms))
    before, after = judged(FIRST, design), judged(table(AGAIN, FIRST), repeated)
    arms = [replace(each, luck=None) for each in after.cells[0].arms]
    assert to_json_able(arms) == to_json_able(before.cells[0].arms)
    assert to_json_able(after.cells[0].contrasts) == to_json_able(before.cells[0].contrasts)
    assert after.cells[0].exploratory == before.cells[0].exploratory
    assert after.headline == before.headline
    assert before.warnings == ()
    assert ["repeats" in warn.sentence for warn in after.warnings] == [True]


def test_the_table_says_how_many_rows_are_repeats() -> None:
    checked = check_table(table(FIRST, AGAIN))
    assert (len(checked.trials), len(checked.repeats)) == (80, 40)
    (note,) = (note for note in checked.notes if "repeats" in note)
    assert note.startswith("40 of 120 rows are repeats: points trained again under other seeds.")
    assert not any("repeats" in note for note in check_table(FIRST).notes)


def test_a_table_of_repeats_alone_is_refused() -> None:
    with pytest.raises(TableError, match=r"every row is a repeat \(column repeat is above 0\)"):
        check_table(AGAIN)


def test_rows_without_a_repeat_are_first_trainings() -> None:
    assert len(check_table(table(FIRST.drop(columns="repeat"), AGAIN)).trials) == 80


def test_trials_that_share_splits_are_a_caution() -> None:
    shared = table(*(arm(m, SPREAD, split_seed=np.arange(40) % 4) for m in ("base", "new")))
    (warned,) = (warn for warn in judged(shared).warnings if warn.code == "split")
    assert warned.severity == "caution"
    assert "Trials of base, new lie on 4 validation splits, and those of one split share" in warned.sentence
    search = np.arange(40) // 10
    searches = [
        arm(method, SPREAD, sampling="adaptive", replicate=search, split_seed=search)
        for method in ("base", "new")
    ]
    whole = table(*searches)
    assert not any(warn.code == "split" for warn in judged(whole).warnings), "each search has its own"


def repeated() -> pd.DataFrame:
    """Ten points of the method trained three times: sizes 0, 0.02, ..., then -0.01 and +0.01 in repeats."""
    first = 0.5 + 0.02 * np.arange(10)
    parts = [
        arm("new", first + change, index=np.arange(10), repeat=repeat)
        for repeat, change in enumerate((0.0, -0.01, 0.01))
    ]
    return table(arm("base", SPREAD, index=range(40)), *parts)


def luck_of(frame: pd.DataFrame) -> Luck:
    new = next(each for each in judged(frame).cells[0].arms if each.method == "new")
    assert new.luck is not None
    return new.luck


def test_shares_of_luck() -> None:
    """Of a point, half squared differences: 2e-4 of the shared start; 5e-5 twice of others.

    Of two points they are those of 0.02 times their distance, whose mean is 36.67e-4, and of the repeats,
    whose mean is 2/3 of 1e-4.
    """
    luck = luck_of(repeated())
    assert (luck.points, luck.trainings, luck.failed) == (10, 30, 0)
    between = 0.02**2 * 55 / 6 + 2e-4 / 3
    assert luck.spread == pytest.approx(np.sqrt(between))
    assert luck.luck == luck.training == pytest.approx(5e-5 / between)
    assert (luck.initialisation, luck.order) == (0, luck.training), "the shared start differs more"
    assert luck.sizes == pytest.approx(1 - 5e-5 / between)
    assert luck.split is None
    assert luck.sentence == (
        "1% of the variance between trials of new on digits / mlp is luck (initialisation 0%, order of "
        "examples 1%), 99% is what was searched; from 10 points trained more than once, without limits."
    )


def test_failed_trainings_are_left_out_and_counted() -> None:
    frame = repeated()
    worst = frame.index[(frame["method"] == "new") & (frame["index"] == 3)]
    frame.loc[worst[:2], ["val_accuracy", "test_accuracy"]] = np.nan
    frame.loc[worst[:2], "status"] = "diverged"
    luck = luck_of(frame)
    assert (luck.points, luck.trainings, luck.failed) == (9, 28, 2)
    assert luck.sentence.endswith("without limits, 2 trainings without a score left out.")


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (repeated().drop(columns="index"), "the column index does not tell which rows are one point"),
        (table(repeated(), repeated()), "its rows come from several runs that number theirs alike"),
        (
            repeated().query("repeat != repeat or repeat < 1 or index < 3"),
            "3 points were trained to a score more than once, and 5 are needed",
        ),
    ],
)
def test_luck_that_cannot_be_told(frame: pd.DataFrame, why: str) -> None:
    luck = luck_of(frame)
    assert luck.luck is None
    assert luck.note == why
    assert luck.sentence == (f"How much of the spread of new on digits / mlp is luck cannot be said: {why}.")


def test_the_page_shows_the_shares() -> None:
    settings = Settings(baseline="base", permutations=99)
    checked = check_table(repeated(), settings=settings)
    arms = read_arms(checked.trials, settings)
    document = build_document(arms, checked, None, settings, judge(arms, checked, None, settings))
    page, twin = (render(name, document, []) for name in ("report.html.j2", "report.md.j2"))
    for text in (page, twin):
        assert "1% of the variance between trials of new on digits / mlp is luck" in text
    row = page.partition("How much of the spread between trials is luck, digits / mlp")[2]
    assert "<td>10</td><td>30</td><td>6.11</td>" in row
    assert "<td>1 %</td><td>0 %</td><td>1 %</td><td>1 %</td><td>–</td><td>99 %</td>" in row
