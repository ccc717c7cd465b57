"""Points that were trained again: no further draws, so no number of a report changes for them."""

from dataclasses import replace

import numpy as np
import pytest

from reports.errors import TableError
from reports.results.results import to_json_able
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
    assert to_json_able(after.cells) == to_json_able(before.cells)
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
    searches = {"sampling": "adaptive", "replicate": np.arange(40) // 10, "split_seed": np.arange(40) // 10}
    whole = table(*(arm(m, SPREAD, **searches) for m in ("base", "new")))
    assert not any(warn.code == "split" for warn in judged(whole).warnings), "each search has its own"
