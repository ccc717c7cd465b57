"""Warnings about the record of a study."""

from dataclasses import replace

import numpy as np
import pandas as pd

from harness.design import StudyDesign
from reports.analysis import judge
from reports.arms.from_table import read_arms
from reports.description.accounting import account
from reports.review.outcomes import all_warnings
from reports.settings import Settings
from reports.table.checks import check_table
from tests.reports.made import made_design, made_table

QUICK = Settings(permutations=99, resamples=50)


def codes(table: pd.DataFrame, design: StudyDesign | None = None, lost: int = 0) -> dict[str, str]:
    """Code and severity of every warning."""
    checked = check_table(table)
    arms = read_arms(checked.trials, QUICK)
    accounting = account(arms, design, lost, "fixed")
    found = all_warnings(arms, accounting, judge(arms, checked, design, QUICK))
    order = [("serious", "caution", "note").index(warning.severity) for warning in found]
    assert order == sorted(order)
    return {warning.code: warning.severity for warning in found}


def test_a_sound_study_gets_none_of_these() -> None:
    table = made_table()
    found = codes(table, made_design(table))
    assert not {"set aside", "lost attempts", "many failures", "test is validation", "ties"} & found.keys()


def test_the_test_set_used_to_select_is_serious() -> None:
    table = made_table()
    assert codes(table.assign(test_accuracy=table["val_accuracy"]))["test is validation"] == "serious"


def test_one_validation_score_for_all_is_told() -> None:
    table = made_table()
    same = np.where(table["status"] == "ok", 0.9, np.nan)
    assert codes(table.assign(val_accuracy=same))["ties"] == "caution"


def test_many_failures_and_a_damaged_record_are_told() -> None:
    table = made_table(failures=0.5)
    found = codes(table, replace(made_design(table), set_aside=1), lost=20)
    assert {"many failures", "set aside", "lost attempts"} <= found.keys()


def test_an_arm_that_nobody_planned_is_serious() -> None:
    table = made_table()
    stranger = table.assign(method=table["method"].replace("l2", "stranger"))
    assert codes(stranger, made_design(table))["accounting"] == "serious"
