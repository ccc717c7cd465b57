"""Warnings about the record of a study: what `reports.review.review` cannot see from the arms it judges."""

from collections.abc import Iterator, Sequence

import numpy as np

from reports.arms.arm import Arm
from reports.description.accounting import Accounting, ArmAccount
from reports.results.results import Results, Warn
from reports.wording import count

_ORDER = {"serious": 0, "caution": 1, "note": 2}
#: From this share of failed trials on, the score that a failed trial is given decides much.
_MANY_FAILURES = 0.25


def all_warnings(arms: Sequence[Arm], accounting: Accounting, results: Results) -> tuple[Warn, ...]:
    """The analysis' warnings and those about the record, the gravest first.

    Args:
        arms: of the table.
        accounting: where their trials went.
        results: the analysis, with its own warnings.
    """
    found = [
        *results.warnings,
        *_record(accounting),
        *_many_failures(accounting.arms),
        *_same_scores(arms),
        *_no_choice(arms),
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
            f"{count(accounting.set_aside)} {records} set aside, damaged or of another plan; such trials "
            "count as not yet run.",
        )
    if accounting.lost_attempts > 0.1 * max(accounting.total, 1):
        yield Warn(
            "lost attempts",
            "caution",
            f"{count(accounting.lost_attempts)} attempts were lost with their worker. If one method's trials "
            "kill their workers, that is a failure of the method which this count hides.",
        )


def _failed_share(arm: ArmAccount) -> float:
    return arm.failed / arm.total


def _many_failures(arms: Sequence[ArmAccount]) -> Iterator[Warn]:
    many = [arm for arm in arms if arm.total >= 4 and _MANY_FAILURES < _failed_share(arm) < 1]
    if many:
        worst = max(many, key=_failed_share)
        in_arms = "one arm" if len(many) == 1 else f"{count(len(many))} arms"
        yield Warn(
            "many failures",
            "caution",
            f"In {in_arms} more than a quarter of the trials failed, most of all in {worst.method} on "
            f"{worst.dataset} / {worst.architecture} ({count(worst.failed)} of "
            f"{count(worst.total)}): what is said there depends on how a failed trial is scored.",
        )


def _same_scores(arms: Sequence[Arm]) -> Iterator[Warn]:
    pairs = [(arm.validation[arm.scored], arm.test[arm.scored]) for arm in arms]
    distinct = np.unique(np.concatenate([validation for validation, _ in pairs])) if pairs else ()
    if len(distinct) >= 5 and all(bool((validation == test).all()) for validation, test in pairs):
        yield Warn(
            "test is validation",
            "serious",
            "Every trial's validation score equals its test score: the test set was used to select, and all "
            "scores here are too good.",
        )


def _no_choice(arms: Sequence[Arm]) -> Iterator[Warn]:
    for arm in arms:
        scores = arm.validation[arm.scored]
        if scores.size >= 5 and np.ptp(scores) == 0:
            yield Warn(
                "ties",
                "caution",
                f"All finished trials of {arm.method} on {arm.dataset} / {arm.architecture} have the same "
                "validation score: validation cannot choose between them.",
                *arm.name,
            )
