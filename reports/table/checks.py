"""Checks a trial table, whoever made it, and brings it into the one form that the report judges.

Nothing is dropped silently: what cannot be judged raises a `TableError`; what has only one sensible reading
(accuracies in per cent, a table without statuses, stopped trials) is read that way, and a note on the report
says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from harness.nearest import close_match
from harness.trial_table import (
    ACCURACY_COLUMNS,
    COLUMNS,
    OUTCOMES,
    PARAMETER_PREFIX,
    SAMPLINGS,
    SCHEMA_VERSION,
    SCORE_COLUMNS,
    Column,
)
from reports.cost_units import TOTALS
from reports.errors import TableError
from reports.settings import Settings
from reports.table.reading import MAX_TEXT, METRIC_COLUMN, longest_text

LOST = "lost"
#: Optuna's names of states, as its own tables have them; trials that have not ended are no outcomes.
STATES = {
    "COMPLETE": "ok",
    "PRUNED": "stopped",
    "FAIL": "crashed",
    "RUNNING": LOST,
    "WAITING": LOST,
}
DEFAULTS = Settings()
#: What stands for "no value" in a CSV file written by other programs.
_MISSING = frozenset({"", "nan", "na", "n/a", "none", "null", "<na>"})
_BY_NAME = {column.name: column for column in COLUMNS}


@dataclass(frozen=True, slots=True)
class TrialTable:
    """A table that passed every check.

    Attributes:
        trials: one row an outcome. Always there: dataset, architecture, method, trial_id, status, sampling
            (text) and the two score columns (float64, NaN for no score, accuracies from 0 to 1). Other
            columns of the schema are there only if they hold a value: text as str, numbers as float64. Costs
            with those of origins are there only if one has an origin, or if they are the unit asked for.
            Each point once: no repeats.
        lost: rows of status `lost`: no outcome, counted apart.
        notes: sentences on how the table was read, for the top of the report.
        has_sampling: the table says how its trials were sampled.
        repeats: rows of points that were trained again, in the same form. They are no draws, and not judged.
    """

    trials: pd.DataFrame
    lost: int
    notes: tuple[str, ...]
    has_sampling: bool
    repeats: pd.DataFrame = field(default_factory=pd.DataFrame)


def score_columns(settings: Settings) -> tuple[str, str]:
    """The columns that select (validation) and that are reported (test)."""
    return settings.validation_column, settings.test_column


def is_accuracy(settings: Settings) -> bool:
    """Whether the scores are shares between 0 and 1, shown in per cent."""
    if settings.is_share is not None:
        return settings.is_share
    return all(name.endswith("accuracy") for name in score_columns(settings))


def check_table(
    frame: pd.DataFrame, *, settings: Settings = DEFAULTS, source: str = "the table"
) -> TrialTable:
    """Checks a trial table and brings it into the form that the report judges.

    Args:
        frame: one row a trial, with the columns of `harness.trial_table`; numbers may be text.
        settings: names the score columns.
        source: the file's name, for error messages.

    Raises:
        TableError: one sentence with file, column, what was found and what is allowed.
    """
    scores = score_columns(settings)
    _check_version(frame, source)
    _check_columns(frame, scores, source)
    if frame.empty:
        raise TableError(
            f"{source}: has column names but no trials; allowed is one row a trial, one at least"
        )
    notes: list[str] = []
    trials = pd.DataFrame(index=pd.RangeIndex(len(frame)))
    for name in map(str, frame.columns):
        column = _column_of(name, scores)
        if column is None or (name in (*ACCURACY_COLUMNS, *SCORE_COLUMNS) and name not in scores):
            continue
        values = frame[name].reset_index(drop=True)
        trials[name] = (
            _as_text(values, longest_text(column.name))
            if column.kind == "text"
            else _as_numbers(values, column, scores, source)
        )
    for name in ("dataset", "architecture", "method"):
        _refuse(trials[name] == "", trials[name], name, source, "a name; no row may leave it empty")
    has_sampling = _fill_sampling(trials, notes, source)
    _fill_ids(trials, source)
    _fill_status(trials, scores, notes, source)
    _check_scores(trials, settings, source, notes)
    _read_as_pruned(trials, notes)
    is_lost = trials["status"] == LOST
    lost = int(is_lost.sum())
    if lost:
        trials = trials[~is_lost].reset_index(drop=True)
        if trials.empty:
            raise TableError(f"{source}: every row has status lost; allowed is one outcome at least")
    repeats, trials = _part_repeats(trials, notes, source)
    silent = [name for name in trials if name not in scores and _is_empty(trials[name])]
    silent += [name for name in _totals_of_no_use(trials, settings.cost) if name not in silent]
    return TrialTable(trials.drop(columns=silent), lost, tuple(notes), has_sampling, repeats)


def nearest(name: str, allowed: Iterable[str]) -> str:
    """ " (did you mean 'x'?)" for a misspelt name, or nothing where no name is near."""
    close = close_match(name, allowed)
    return f" (did you mean {close!r}?)" if close else ""


def _check_version(frame: pd.DataFrame, source: str) -> None:
    """A table of a newer harness may mean something else by the same names; anyone's has no version."""
    if "table_version" not in frame:
        return
    given = frame["table_version"]
    versions = pd.to_numeric(given, errors="coerce")
    is_wrong = given.notna() & (versions.isna() | (versions < 1) | (versions % 1 != 0))
    _refuse(is_wrong, _as_text(given), "table_version", source, "a whole number from 1 up")
    if versions.max() > SCHEMA_VERSION:
        raise TableError(
            f"{source} was written by a newer version of the harness (table_version {versions.max():g}; up "
            f"to {SCHEMA_VERSION} are read here); install a newer sizing-harness"
        )


def _check_columns(frame: pd.DataFrame, scores: tuple[str, str], source: str) -> None:
    present = [str(name) for name in frame.columns]
    required = [column.name for column in COLUMNS if column.required and column.name not in SCORE_COLUMNS]
    missing = [name for name in (*required, *scores) if name not in present]
    if missing:
        raise TableError(
            f"{source}: column {missing[0]} is missing{nearest(missing[0], present)}; a trial table has "
            f"{', '.join((*required, *scores))}"
        )
    if METRIC_COLUMN in present:
        metrics = sorted({str(value) for value in frame[METRIC_COLUMN].dropna()})
        if len(metrics) > 1:
            raise TableError(
                f"{source}: column {METRIC_COLUMN} holds {len(metrics)} metrics ({', '.join(metrics[:4])}); "
                "allowed is one metric a table"
            )


def _column_of(name: str, scores: tuple[str, str]) -> Column | None:
    if name in scores:
        return Column(name, "number", True, "score")
    if name.startswith(PARAMETER_PREFIX):
        return Column(name, "text", False, "a searched value")
    return _BY_NAME.get(name)


def _as_text(values: pd.Series, most: int = MAX_TEXT) -> pd.Series:
    text = values.astype(object).where(values.notna(), "").astype(str).str.strip().str.slice(0, most)
    return text.where(~text.str.lower().isin(_MISSING), "")


def _as_numbers(values: pd.Series, column: Column, scores: tuple[str, str], source: str) -> pd.Series:
    name = column.name
    numeric = pd.to_numeric(values, errors="coerce").astype(float)
    text = _as_text(values)
    _refuse(numeric.isna() & (text != ""), text, name, source, "a number, or nothing where there is none")
    if name not in (*scores, "failed_score"):
        _refuse(numeric < 0, text, name, source, "a number from 0 up")
        _refuse(numeric.abs() == np.inf, text, name, source, "a finite number")
    if column.kind == "integer":
        _refuse(numeric.notna() & (numeric % 1 != 0), text, name, source, "a whole number")
    return numeric


def _refuse(is_wrong: pd.Series, text: pd.Series, name: str, source: str, allowed: str) -> None:
    """Raises for the first row that is wrong, and says how many there are."""
    if not is_wrong.any():
        return
    row = int(np.flatnonzero(is_wrong)[0])
    others = int(is_wrong.sum()) - 1
    more = f" (and {others:,} more such rows)" if others else ""
    value = text.iloc[row]
    found = "nothing" if pd.isna(value) or value == "" else repr(str(value))
    raise TableError(f"{source}: column {name}, row {row + 1}: found {found}{more}; allowed is {allowed}")


def _fill_sampling(trials: pd.DataFrame, notes: list[str], source: str) -> bool:
    given = "sampling" in trials and not _is_empty(trials["sampling"])
    sampling = trials["sampling"] if given else pd.Series("", index=trials.index)
    allowed = f"one of {', '.join(SAMPLINGS)}"
    _refuse((sampling != "") & ~sampling.isin(SAMPLINGS), sampling, "sampling", source, allowed)
    unsaid = int((sampling == "").sum())
    if unsaid:
        notes.append(
            f"The table does not say how {'its' if unsaid == len(trials) else f'{unsaid:,} of its'} trials "
            "were sampled. They are taken as independent random draws (sampling = iid); if a sampler "
            "learned from earlier trials, or a grid was searched, the intervals and tests below do not hold."
        )
    trials["sampling"] = sampling.where(sampling != "", "iid")
    return unsaid == 0


def _fill_ids(trials: pd.DataFrame, source: str) -> None:
    if "trial_id" not in trials or _is_empty(trials["trial_id"]):
        trials["trial_id"] = [f"row {number}" for number in range(1, len(trials) + 1)]
        return
    ids = trials["trial_id"]
    _refuse(ids == "", ids, "trial_id", source, "an id in every row, or the column left out")
    _refuse(ids.duplicated(), ids, "trial_id", source, "each id once (this one stands in an earlier row too)")


def _fill_status(trials: pd.DataFrame, scores: tuple[str, str], notes: list[str], source: str) -> None:
    has_scores = trials[list(scores)].notna().all(axis=1)
    given = trials["status"] if "status" in trials else pd.Series("", index=trials.index)
    foreign = given.isin(STATES)
    if foreign.any():
        met = sorted({*given[foreign]})
        said = ", ".join(f"{state} as {STATES[state]}" for state in met)
        notes.append(f"Statuses are read by the names that Optuna gives them: {said}.")
        given = given.replace(STATES)
    allowed = f"one of {', '.join((*OUTCOMES, LOST))} (what other tools wrote, `harness import` reads)"
    _refuse((given != "") & ~given.isin((*OUTCOMES, LOST)), given, "status", source, allowed)
    unsaid = given == ""
    scoreless = int((unsaid & ~has_scores).sum())
    if scoreless:
        notes.append(
            f"{scoreless:,} {'trial has' if scoreless == 1 else 'trials have'} no status and no complete "
            "score; they are counted as failed (crashed)."
        )
    if unsaid.all():
        notes.append("The table has no statuses: trials with both scores are taken as ok.")
    trials["status"] = given.mask(unsaid & has_scores, "ok").mask(unsaid & ~has_scores, "crashed")


def _part_repeats(trials: pd.DataFrame, notes: list[str], source: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of repeats, and the others: a point trained again is no further draw, so it counts once."""
    again = trials["repeat"].fillna(0) > 0 if "repeat" in trials else pd.Series(False, index=trials.index)
    if not again.any():
        return trials[again], trials
    if again.all():
        raise TableError(
            f"{source}: every row is a repeat (column repeat is above 0); allowed is one of repeat 0 at least"
        )
    notes.append(
        f"{int(again.sum()):,} of {len(trials):,} rows are repeats: points trained again under other seeds. "
        "They are no further draws, so nothing here counts them but the shares of luck; all else is from "
        "repeat 0 of each point."
    )
    return trials[again].reset_index(drop=True), trials[~again].reset_index(drop=True)


def _read_as_pruned(trials: pd.DataFrame, notes: list[str]) -> None:
    """Stopped trials tell that an arm's trials were no independent draws, whatever its sampling says."""
    place = trials["dataset"] + "/" + trials["architecture"] + "/" + trials["method"]
    stopped = place.isin(place[trials["status"] == "stopped"]) & (trials["sampling"] == "iid")
    if not stopped.any():
        return
    arms = sorted({*place[stopped]})
    named = ", ".join(arms[:4]) + (", ..." if len(arms) > 4 else "")
    notes.append(
        f"Trials of {named} were stopped early. Which ones are stopped hangs on what others reached, so they "
        "are no independent draws: they are read as sampling = pruned, and only whole searches are compared."
    )
    trials["sampling"] = trials["sampling"].mask(stopped, "pruned")


def _check_scores(trials: pd.DataFrame, settings: Settings, source: str, notes: list[str]) -> None:
    is_ok = trials["status"] == "ok"
    scores = score_columns(settings)
    for name in scores:
        values, text = trials[name], _as_text(trials[name])
        wanted = "a score for every trial with status ok (a failed one says so in its status)"
        _refuse(is_ok & ~np.isfinite(values), text, name, source, wanted)
        # A diverged trial may have left an infinite loss: that is no score.
        trials[name] = values.where(np.isfinite(values))
    if not is_accuracy(settings):
        return
    if _is_per_cent(trials, scores):
        trials[list(scores)] /= 100
        notes.append(
            "Accuracies above 1 were found in every arm: they were read as per cent and divided by 100."
        )
    for name in scores:
        values = trials[name]
        wanted = (
            "an accuracy from 0 to 1, or per cent throughout, never both in one table; "
            "for a score of another range, name its columns"
        )
        _refuse((values < 0) | (values > 1), values.astype(str), name, source, wanted)


def _totals_of_no_use(trials: pd.DataFrame, asked: str | None) -> list[str]:
    """Costs with those of origins, in a table in which no trial has an origin: they say nothing new."""
    both = [(total, own) for total, own in TOTALS.items() if {total, own} <= {*trials.columns}]
    return [total for total, own in both if total != asked and trials[total].equals(trials[own])]


def _is_per_cent(trials: pd.DataFrame, scores: tuple[str, str]) -> bool:
    """Every arm's typical accuracy is above 1, none above 100: one wild value makes no per cent table."""
    values = trials[list(scores)]
    if not values.max().max() > 1 or values.max().max() > 100 or values.min().min() < 0:
        return False
    medians = trials.groupby(["dataset", "architecture", "method"])[list(scores)].median()
    return bool((medians.isna() | (medians > 1)).all(axis=None))


def _is_empty(values: pd.Series) -> bool:
    return bool(values.isna().all() or (values == "").all())
