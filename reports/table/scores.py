"""Which columns of a table are its scores, and what they are: as the reader says, else as the table does."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from harness.design import Score
from harness.trial_table import ACCURACY_COLUMNS, SCORE_COLUMNS
from reports.errors import TableError
from reports.settings import Settings

_DIRECTIONS = ("higher", "lower")


def settle_scores(
    tables: Sequence[tuple[str, pd.DataFrame]], settings: Settings, score: Score | None = None
) -> tuple[list[tuple[str, pd.DataFrame]], Settings]:
    """Tables with their scores in the same columns, and the settings that name these and say what they are.

    A reader who has named columns is taken at his word. Else a table of version 2 says itself what its scores
    are; one of version 1, or anyone's, holds accuracies.

    Args:
        tables: what each is called in messages, and its rows, unchecked.
        score: of the study's design, for a run that has no trial yet.

    Raises:
        TableError: if the tables hold different scores, or one does not say what it holds.
    """
    if (settings.validation_column, settings.test_column) != ACCURACY_COLUMNS:
        return list(tables), settings
    told = [(name, _told(name, frame)) for name, frame in tables]
    found = [(name, said) for name, said in told if said is not None]
    if not found and (score is None or any(len(frame) for _, frame in tables)):
        return list(tables), settings
    score = score or Score()
    name, lower_is_better = found[0][1] if found else (score.name, not score.higher_is_better)
    for table, said in told:
        other = said or ("accuracy", False)
        if other != (name, lower_is_better):
            raise TableError(
                f"{found[0][0]} holds {name} and {table} holds {other[0]}; allowed is one score in one report"
            )
    renamed = dict(zip(ACCURACY_COLUMNS, SCORE_COLUMNS, strict=True))
    frames = [
        (table, frame if said is not None else frame.rename(columns=renamed))
        for (table, frame), (_, said) in zip(tables, told, strict=True)
    ]
    return frames, replace(
        settings,
        score=name if settings.score == "accuracy" else settings.score,
        validation_column=SCORE_COLUMNS[0],
        test_column=SCORE_COLUMNS[1],
        lower_is_better=settings.lower_is_better or lower_is_better,
        is_share=name.endswith("accuracy"),
    )


def _told(table: str, frame: pd.DataFrame) -> tuple[str, bool] | None:
    """Name of a table's score and whether lower is better; None for a table of accuracies."""
    if any(name in frame for name in ACCURACY_COLUMNS) or not all(name in frame for name in SCORE_COLUMNS):
        return None
    if not len(frame):
        return None
    names, directions = (_values(frame, column) for column in ("score", "score_direction"))
    for column, values in (("score", names), ("score_direction", directions)):
        if len(values) > 1:
            raise TableError(
                f"{table}: column {column} holds {', '.join(values[:4])}; allowed is one score a table"
            )
    for direction in directions:
        if direction not in _DIRECTIONS:
            raise TableError(
                f"{table}: column score_direction: found {direction!r}; allowed is {' or '.join(_DIRECTIONS)}"
            )
    return names[0] if names else "score", directions == ["lower"]


def _values(frame: pd.DataFrame, column: str) -> list[str]:
    if column not in frame:
        return []
    return sorted({str(value).strip() for value in frame[column].dropna()} - {""})
