"""Warnings about the record of a study: what `reports.review.review` cannot see from the arms it judges."""

from collections.abc import Iterator, Sequence

import pandas as pd

from reports.description.accounting import Accounting, ArmAccount
from reports.results.results import Results, Warn
from reports.settings import Settings
from reports.wording import count

_ARM = ["dataset", "architecture", "method"]
_ORDER = {"serious": 0, "caution": 1, "note": 2}
#: From this share of failed trials on, the score that a failed trial is given decides much.
_MANY_FAILURES = 0.25


def all_warnings(
    trials: pd.DataFrame, accounting: Accounting, settings: Settings, results: Results
) -> tuple[Warn, ...]:
    """The analysis' warnings and those about the record, the gravest first.

    Args:
        trials: the checked trials.
        accounting: where they went.
        settings: names the score columns.
        results: the analysis, with its own warnings.
    """
    done = trials[trials["status"] == "ok"]
    found = [
        *results.warnings,
        *_record(accounting),
        *_many_failures(accounting.arms),
        *_same_scores(done, settings),
        *_no_choice(done, settings),
    ]
    return tuple(sorted(found, key=lambda warning: _ORDER[warning.severity]))


def _record(accounting: Accounting) -> Iterator[Warn]:
    for arm in accounting.arms:
        if arm.problem and arm.planned is None:
            yield Warn("accounting", "serious", arm.problem, arm.dataset, arm.architecture, arm.method)
    if accounting.set_aside:
        records = "record was" if accounting.set_aside == 1 else "records were"
        yield Warn(
            "set aside",
            "caution",
            f"{count(accounting.set_aside)} damaged {records} set aside; such trials count as not yet run.",
        )
    if accounting.lost_attempts > 0.1 * max(accounting.total, 1):
        yield Warn(
            "lost attempts",
            "caution",
            f"{count(accounting.lost_attempts)} attempts were lost with their worker. If one method's trials "
            "kill their workers, that is a failure of the method which this count hides.",
        )


def _failed_share(arm: ArmAccount) -> float:
    return 1 - arm.outcomes["ok"] / arm.total


def _many_failures(arms: Sequence[ArmAccount]) -> Iterator[Warn]:
    many = [arm for arm in arms if arm.total >= 4 and _MANY_FAILURES < _failed_share(arm) < 1]
    if many:
        worst = max(many, key=_failed_share)
        in_arms = "one arm" if len(many) == 1 else f"{count(len(many))} arms"
        yield Warn(
            "many failures",
            "caution",
            f"In {in_arms} more than a quarter of the trials failed, most of all in {worst.method} on "
            f"{worst.dataset} / {worst.architecture} ({count(worst.total - worst.outcomes['ok'])} of "
            f"{count(worst.total)}): what is said there depends on how a failed trial is scored.",
        )


def _same_scores(done: pd.DataFrame, settings: Settings) -> Iterator[Warn]:
    validation, test = done[settings.validation_column], done[settings.test_column]
    if validation.nunique() >= 5 and bool((validation == test).all()):
        yield Warn(
            "test is validation",
            "serious",
            "Every trial's validation score equals its test score: the test set was used to select, and all "
            "scores here are too good.",
        )


def _no_choice(done: pd.DataFrame, settings: Settings) -> Iterator[Warn]:
    for key, part in done.groupby(_ARM)[settings.validation_column]:
        if len(part) >= 5 and part.nunique() == 1:
            dataset, architecture, method = map(str, key) if isinstance(key, tuple) else (str(key), "", "")
            yield Warn(
                "ties",
                "caution",
                f"All finished trials of {method} on {dataset} / {architecture} have the same validation "
                "score: validation cannot choose between them.",
                dataset,
                architecture,
                method,
            )
