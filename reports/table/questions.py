"""Checks what a reader asks of a report on the command line: one sentence for each wrong value."""

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from harness.design import StudyDesign
from harness.trial_table import ACCURACY_COLUMNS
from reports.cost_units import COST_UNITS, MADE_OF, TRIALS
from reports.errors import TableError
from reports.settings import Settings, Target
from reports.table.checks import is_accuracy, nearest


def parse_target(text: str) -> Target:
    """Reads `0.97`, `mnist=0.97` or `mnist/mlp=0.97`.

    Raises:
        TableError: it is none of these.
    """
    place, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    dataset, slash, architecture = place.partition("/")
    half_named = bool(slash) and not (dataset and architecture)
    if not math.isfinite(value) or ("=" in text and not dataset) or half_named:
        raise TableError(
            f"--target: found {text!r}; allowed is VALUE, DATASET=VALUE or "
            "DATASET/ARCHITECTURE=VALUE, such as mnist/mlp=0.97"
        )
    return Target(value, dataset or None, architecture or None)


def name_scores(validation: str | None, test: str | None) -> tuple[str, str]:
    """The columns that select and that are reported: both as named, or both accuracies.

    Raises:
        TableError: one was named and the other was not, so that they may be two different scores.
    """
    if (validation is None) == (test is None):
        return (validation, test) if validation is not None and test is not None else ACCURACY_COLUMNS
    flag, other = ("--validation-column", "--test-column")[:: 1 if test is None else -1]
    raise TableError(
        f"{flag}: found {validation or test!r} alone, which may be of two different scores with the other's "
        f"default; allowed is {flag} with {other}"
    )


def check_values(settings: Settings) -> None:
    """Checks settings that are right or wrong whatever the table.

    Raises:
        TableError: a value is out of its range, or two settings contradict each other.
    """
    if settings.n is not None and settings.n < 1:
        raise TableError(f"--n: found {settings.n}; allowed is a whole number of trials, 1 or more")
    if not 0.5 <= settings.confidence <= 0.999:
        hint = f" (did you mean {settings.confidence / 100:g}?)" if 50 <= settings.confidence < 100 else ""
        raise TableError(
            f"--confidence: found {settings.confidence:g}{hint}; allowed is a level from 0.5 to 0.999"
        )
    if settings.margin is not None and not 0 <= settings.margin < math.inf:
        raise TableError(f"--margin: found {settings.margin:g}; allowed is 0 or more, in units of the score")
    if settings.seed < 0:
        raise TableError(f"--seed: found {settings.seed}; allowed is a whole number from 0 up")
    if settings.failed_score is not None and not math.isfinite(settings.failed_score):
        raise TableError(f"--failed-score: found {settings.failed_score:g}; allowed is a finite number")
    if settings.cost is not None and settings.cost not in COST_UNITS:
        raise TableError(
            f"--cost: found {settings.cost!r}{nearest(settings.cost, COST_UNITS)}; allowed are "
            f"{', '.join(COST_UNITS)}"
        )
    if settings.baseline is not None and settings.baseline in settings.methods:
        raise TableError(
            f"--method: {settings.baseline!r} is the baseline; allowed are the methods beside it"
        )
    _check_score(settings)


def _check_score(settings: Settings) -> None:
    named = settings.validation_column, settings.test_column
    if named[0] == named[1]:
        raise TableError(
            f"--test-column: {named[0]!r} is named twice; allowed are one column that selects and "
            "one that is reported"
        )
    if not is_accuracy(settings):
        return
    if settings.lower_is_better:
        raise TableError(
            "--lower-is-better: an accuracy is better when higher; name the score's columns with "
            "--validation-column and --test-column"
        )
    shares = [("target", target.value) for target in settings.targets]
    shares += [("margin", settings.margin or 0.0), ("failed-score", settings.failed_score or 0.0)]
    for name, value in shares:
        if not 0 <= value <= 1:
            hint = f" (did you mean {value / 100:g}?)" if 1 < value <= 100 else ""
            raise TableError(
                f"--{name}: found {value:g}{hint}; allowed is a share from 0 to 1, as of accuracies"
            )


def check_names(settings: Settings, table: pd.DataFrame, design: StudyDesign | None, source: str) -> None:
    """Checks the names in settings against the table and the design.

    Args:
        settings: what is asked.
        table: one row a trial, unchecked: a column that is missing is left to the table's own check.
        design: what the study asked for, if known.
        source: what the table is called in messages.

    Raises:
        TableError: a method, data set, architecture or cost is not there.
    """
    arms = design.arms if design else ()
    methods = _names(table, "method", [arm.method for arm in arms])
    for field, name in (("baseline", settings.baseline), *(("method", name) for name in settings.methods)):
        _refuse_stranger(name, methods, field, "method", source)
    datasets = _names(table, "dataset", [arm.dataset for arm in arms])
    families = _names(table, "architecture", [arm.architecture for arm in arms])
    for target in settings.targets:
        _refuse_stranger(target.dataset, datasets, "target", "data set", source)
        _refuse_stranger(target.architecture, families, "target", "architecture", source)
    unit = settings.cost
    if unit is None or unit == TRIALS or table.empty:
        return
    there = [name for name in COST_UNITS if name == TRIALS or _is_filled(table, name)]
    if unit not in there:
        raise TableError(f"--cost: {source} has no {unit}; what it has: {', '.join(there)}")


def _names(table: pd.DataFrame, column: str, designed: Iterable[str]) -> list[str]:
    found = table[column].dropna().astype(str).str.strip().unique() if column in table else ()
    return sorted({*map(str, found), *designed} - {""})


def _is_filled(table: pd.DataFrame, unit: str) -> bool:
    return any(
        name in table and bool((table[name].notna() & (table[name].astype(str) != "")).any())
        for name in (unit, MADE_OF.get(unit, unit))
    )


def _refuse_stranger(name: str | None, known: Sequence[str], field: str, kind: str, source: str) -> None:
    if name is not None and known and name not in known:
        shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        raise TableError(
            f"--{field}: {source} has no {kind} {name!r}{nearest(name, known)}; there are: {shown}"
        )
