"""Several trial tables as one: more cells, more methods, or more independent trials of an arm."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd

from reports.errors import TableError
from reports.settings import Settings
from reports.table.checks import DEFAULTS, TrialTable, check_table, score_columns
from reports.table.reading import read_table
from reports.table.scores import settle_scores

_ARM = ["dataset", "architecture", "method"]


def load_tables(paths: Sequence[Path], settings: Settings = DEFAULTS) -> TrialTable:
    """Reads and checks one or more trial tables as one.

    Raises:
        TableError: a file cannot be read, a table fails a check, or the tables cannot be joined.
    """
    if not paths:
        raise TableError("no trial table was named; allowed are one or more .csv or .parquet files")
    read = [(str(path), read_table(path, score_columns(settings))) for path in paths]
    frames, settings = settle_scores(read, settings)
    joined, _ = join_tables(frames, settings)
    return check_table(joined, settings=settings, source=" + ".join(name for name, _ in frames))


def join_tables(
    tables: Sequence[tuple[str, pd.DataFrame]], settings: Settings = DEFAULTS
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Joins tables; one alone is given back as it is.

    Args:
        tables: what each is called in messages, and its rows, unchecked.
        settings: names the score columns.

    Returns:
        All rows, unchecked as a whole, and sentences for the report on what was joined.

    Raises:
        TableError: a table fails a check, two hold the same trial, or two hold parts of one search.
    """
    if len(tables) == 1:
        return tables[0][1], ()
    # Each alone first, so that an error names its file.
    checked = [check_table(frame, settings=settings, source=name) for name, frame in tables]
    has_ids = [_has_ids(frame) for _, frame in tables]
    for (one, first), (other, second) in combinations(enumerate(checked), 2):
        names = f"{tables[one][0]} and {tables[other][0]}"
        if has_ids[one] and has_ids[other]:
            _refuse_same_trials(first.trials, second.trials, names)
        _refuse_parted_searches(first.trials, second.trials, names)
    frames = [frame for _, frame in tables]
    if any(has_ids) and not all(has_ids):
        frames = [
            frame
            if known
            else frame.assign(trial_id=[f"table {place} row {row + 1}" for row in range(len(frame))])
            for place, (frame, known) in enumerate(zip(frames, has_ids, strict=True), start=1)
        ]
    # As objects: a column of text in one file and of numbers in the other keeps every value as it is.
    joined = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
    return joined, _shared_arms([table.trials for table in checked])


def _has_ids(frame: pd.DataFrame) -> bool:
    return "trial_id" in frame and bool((frame["trial_id"].notna() & (frame["trial_id"] != "")).any())


def _refuse_same_trials(first: pd.DataFrame, second: pd.DataFrame, names: str) -> None:
    common = sorted({*first["trial_id"]} & {*second["trial_id"]})
    if common:
        more = f" (and {len(common) - 1:,} more)" if len(common) > 1 else ""
        raise TableError(f"{names} both hold trial {common[0]}{more}; allowed is each trial once")


def _arms(trials: pd.DataFrame) -> set[tuple[str, ...]]:
    return {tuple(map(str, arm)) for arm in trials[_ARM].drop_duplicates().to_numpy()}


def _refuse_parted_searches(first: pd.DataFrame, second: pd.DataFrame, names: str) -> None:
    """Only independent trials add up: two searches that learn would pass as one."""
    shared = _arms(first) & _arms(second)
    for arm in sorted(shared):
        for trials in (first, second):
            rows = (trials[_ARM] == list(arm)).all(axis=1)
            dependent = sorted({*trials.loc[rows, "sampling"]} - {"iid"})
            if dependent:
                raise TableError(
                    f"{names} both hold trials of {'/'.join(arm)}, and its sampling is {dependent[0]}; "
                    "allowed is one table for all searches of such an arm, told apart by the column replicate"
                )


def _shared_arms(tables: Sequence[pd.DataFrame]) -> tuple[str, ...]:
    found = [arm for table in tables for arm in _arms(table)]
    shared = sorted({arm for arm in found if found.count(arm) > 1})
    if not shared:
        return ()
    named = ", ".join("/".join(arm) for arm in shared[:4]) + (", ..." if len(shared) > 4 else "")
    return (
        f"Trials of {named} come from more than one table; they are taken as draws from one space, trained "
        "alike.",
    )
