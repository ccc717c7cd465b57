"""What every importer shares: the options, the result, and how one foreign trial becomes a row."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.trial_table import COLUMNS, OUTCOMES, PARAMETER_PREFIX, SAMPLINGS
from reports.errors import TableError
from reports.table.checks import LOST, nearest

NAMES = ("dataset", "architecture", "method")
_SCHEMA = {column.name for column in COLUMNS}
_INTEGERS = {column.name for column in COLUMNS if column.kind == "integer"}
_NUMBERS = {column.name for column in COLUMNS if column.kind != "text"}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How foreign names map to the trial table's.

    Attributes:
        dataset, architecture, method: names for all trials; a trial's own parameter, tag or attribute of that
            name wins. None: it must have one.
        validation: foreign name of the validation score; None: the tool's own objective, where it has one.
        test: foreign name of the test score.
        validation_column, test_column: columns of the table to write.
        lower_is_better: for picking the best epoch of a trial, and to check the tool's own direction.
        sampling: one of iid, design, adaptive, pruned; None: what the tool's files tell, else left empty.
    """

    dataset: str | None = None
    architecture: str | None = None
    method: str | None = None
    validation: str | None = None
    test: str = "test_accuracy"
    validation_column: str = "val_accuracy"
    test_column: str = "test_accuracy"
    lower_is_better: bool = False
    sampling: str | None = None

    def __post_init__(self) -> None:
        if self.sampling is not None and self.sampling not in SAMPLINGS:
            raise TableError(f"sampling: found {self.sampling!r}; allowed is one of {', '.join(SAMPLINGS)}")


@dataclass(frozen=True, slots=True)
class Imported:
    """A trial table made of another tool's files.

    Attributes:
        table: one row a trial, ready for `reports.table.checks.check_table` or a CSV file.
        notes: sentences on what was decided while importing, for the terminal.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignTrial:
    """One trial as another tool knew it.

    Attributes:
        trial_id: unique in the table.
        status: an outcome, or "lost".
        validation, test: scores at the selected epoch; None where there is none.
        values: searched values by name.
        facts: anything else by name; what has the name of a column of the schema is taken.
    """

    trial_id: str
    status: str
    validation: float | None
    test: float | None
    values: Mapping[str, Any]
    facts: Mapping[str, Any]


def to_table(source: str, trials: Iterable[ForeignTrial], options: ImportOptions) -> pd.DataFrame:
    """Makes the table.

    Raises:
        TableError: there is no trial, a complete one has no test score, or a trial's data set, architecture
            or method is not known.
    """
    read = list(trials)
    untested = [trial.trial_id for trial in read if _is_untested(trial)]
    if untested:
        raise TableError(
            f"{source}: trial {untested[0]} is complete and has no value named {options.test!r} (so it is "
            f"with {len(untested)} of {len(read)}): that is no failure, and those that were tested may be "
            "the best; allowed is a test score of every complete trial"
        )
    rows = [_row(source, trial, options) for trial in read]
    if not rows:
        raise TableError(
            f"{source}: no trials were found; allowed is a place with one finished trial at least"
        )
    return pd.DataFrame(rows)


def inside(root: Path, path: Path) -> Path:
    """A file or folder that is to be read, which must be what it seems and lie within what is imported.

    Raises:
        TableError: it is a link that leads out, a pipe or a device.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise TableError(f"{path}: a link found that leads out of {root}; what lies there is not read")
    if not path.is_file() and not path.is_dir():
        raise TableError(f"{path}: neither a file nor a folder found")
    return path


def score(facts: Mapping[str, Any], name: str) -> float | None:
    """A finite number of that name, or None."""
    value = facts.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def missing_score(source: str, name: str, seen: Sequence[str]) -> TableError:
    """The error for a score that no trial has."""
    there = ", ".join(sorted(seen)[:12]) or "none at all"
    return TableError(
        f"{source}: no trial has a value named {name!r}{nearest(name, seen)}; what is there: {there}. "
        "Name the score that was measured."
    )


def _is_untested(trial: ForeignTrial) -> bool:
    return trial.status == "ok" and trial.validation is not None and trial.test is None


def _row(source: str, trial: ForeignTrial, options: ImportOptions) -> dict[str, Any]:
    known = {**trial.facts, **trial.values}
    row: dict[str, Any] = {}
    for name in NAMES:
        value = known.get(name, getattr(options, name))
        if value is None or str(value) == "":
            raise TableError(
                f"{source}: trial {trial.trial_id} does not tell its {name}; give one for all with --{name}"
            )
        row[name] = str(value)
    status = trial.status
    complete = trial.validation is not None and trial.test is not None
    if status == "ok" and not complete:
        status = "diverged"  # without a validation score; one without a test score alone was refused
    assert status in (*OUTCOMES, LOST)
    row |= {
        "trial_id": trial.trial_id,
        "status": status,
        "sampling": options.sampling or trial.facts.get("sampling", ""),
        options.validation_column: trial.validation,
        options.test_column: trial.test,
    }
    for name, value in trial.facts.items():
        if name in _SCHEMA and name not in row and _fits(name, value):
            row[name] = int(value) if name in _INTEGERS and isinstance(value, float) else value
    row |= {f"{PARAMETER_PREFIX}{name}": value for name, value in trial.values.items() if name not in NAMES}
    return row


def _fits(column: str, value: Any) -> bool:
    """Whether a fact can be meant as the column of its name: tools let one note anything under any name."""
    if value is None or column not in _NUMBERS:
        return value is None or isinstance(value, str | int | float)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return math.isfinite(number) and (column not in _INTEGERS or number == int(number))
