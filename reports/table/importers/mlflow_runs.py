"""Trial tables from MLflow, read without it: the CSV of `mlflow.search_runs`, or an `mlruns` folder.

Of a folder nothing is read that lies outside it: a link in a folder of a stranger's may lead to any file.
"""

import csv
import math
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from reports.errors import TableError
from reports.table.checks import LOST
from reports.table.importers.common import (
    ForeignTrial,
    Imported,
    ImportOptions,
    inside,
    missing_score,
    score,
    to_table,
)

_STATUSES = {"FINISHED": "ok", "FAILED": "crashed", "KILLED": "stopped", "RUNNING": LOST, "SCHEDULED": LOST}
#: An `mlruns` folder stores statuses by number.
_NUMBERED = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
#: The tag of a run that was begun inside another, as the runs of a search are.
_PARENT = "mlflow.parentRunId"
#: A run's own facts are a dozen lines.
_META_BYTES = 100_000


def import_mlflow(path: Path, options: ImportOptions) -> Imported:
    """Reads MLflow runs as trials.

    In a CSV export the scores are the last logged values. In an `mlruns` folder the epoch is the step with
    the best validation score (the first on ties), and the test score the one logged at that step, or the only
    one.

    Raises:
        TableError: there is no such place, it holds no runs, or no run has the scores.
    """
    validation = options.validation or options.validation_column
    if path.is_dir():
        trials = list(_folder(path, validation, options))
        notes = []
    elif path.is_file():
        trials = list(_csv(path, validation, options))
        notes = [
            "The export holds the last value of every metric: these are scores at the last epoch, not at the "
            "best."
        ]
    else:
        raise TableError(
            f"{path}: there is no such place; allowed is an MLflow CSV export or an mlruns folder"
        )
    if not trials:
        raise TableError(f"{path}: no runs were found; allowed is an MLflow CSV export or an mlruns folder")
    trials, parents = _without_parents(trials)
    notes += [f"{parents} runs that only hold others are left out."] if parents else []
    seen = sorted(
        {name for trial in trials for name, value in trial.facts.items() if isinstance(value, float)}
    )
    for name, values in (
        (validation, [t.validation for t in trials]),
        (options.test, [t.test for t in trials]),
    ):
        if not any(value is not None for value in values):
            raise missing_score(str(path), name, seen)
    notes.append("train_seconds is a run's whole duration, as MLflow recorded it.")
    return Imported(to_table(str(path), trials, options), tuple(notes))


def _without_parents(trials: Sequence[ForeignTrial]) -> tuple[list[ForeignTrial], int]:
    """Without the runs that others name as their parent and that have no score: they only hold trials."""
    parents = {trial.facts.get(_PARENT) for trial in trials}
    kept = [
        trial
        for trial in trials
        if trial.trial_id not in parents or trial.validation is not None or trial.test is not None
    ]
    return kept, len(trials) - len(kept)


def _csv(path: Path, validation: str, options: ImportOptions) -> Iterator[ForeignTrial]:
    with path.open("rb") as file:
        if file.read(15) == b"SQLite format 3":
            raise TableError(
                f"{path}: a database found; allowed is an MLflow CSV export or an mlruns folder. "
                "`mlflow.search_runs(...).to_csv(...)` exports it"
            )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path}: not a CSV file that can be read ({error})") from None
    if rows and "run_id" not in rows[0]:
        raise TableError(f"{path}: column run_id is missing; allowed is the CSV of mlflow.search_runs")
    for row in rows:
        parts: dict[str, dict[str, Any]] = {"metrics": {}, "params": {}, "tags": {}}
        for name, text in row.items():
            family, _, rest = (name or "").partition(".")
            if family in parts and text not in ("", None):
                parts[family][rest] = _number(str(text)) if family == "metrics" else text
        status = _STATUSES.get(row.get("status") or "FINISHED", "crashed")
        seconds = _seconds(row.get("start_time"), row.get("end_time"))
        yield _trial(str(row["run_id"]), status, parts, validation, options.test, seconds)


def _folder(path: Path, validation: str, options: ImportOptions) -> Iterator[ForeignTrial]:
    for place in sorted(Path(folder) for folder, _, files in os.walk(path) if "meta.yaml" in files):
        if not (place / "metrics").is_dir():
            continue  # an experiment's own meta.yaml
        facts = _meta(inside(path, place / "meta.yaml"))
        if facts.get("lifecycle_stage") == "deleted":
            continue
        status = facts.get("status", "FINISHED")
        status = _NUMBERED.get(status, "FAILED") if isinstance(status, int) else str(status)
        metrics = {name: _history(file) for name, file in _files(path, place / "metrics")}
        parts: dict[str, dict[str, Any]] = {
            "metrics": _at_best_step(metrics, validation, lower_is_better=options.lower_is_better),
            "params": _texts(path, place / "params"),
            "tags": _texts(path, place / "tags"),
        }
        start, end = facts.get("start_time"), facts.get("end_time")
        seconds = (end - start) / 1000 if isinstance(start, int) and isinstance(end, int) else None
        run = str(facts.get("run_id") or facts.get("run_uuid") or place.name)
        yield _trial(run, _STATUSES.get(status, "crashed"), parts, validation, options.test, seconds)


def _files(root: Path, folder: Path) -> list[tuple[str, Path]]:
    """Name and file of a run's metrics, parameters or tags; a name with slashes lies in folders."""
    if not folder.is_dir():
        return []
    inside(root, folder)
    found = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    return sorted((file.relative_to(folder).as_posix(), inside(root, file)) for file in found)


def _trial(
    run: str, status: str, parts: dict[str, dict[str, Any]], validation: str, test: str, seconds: float | None
) -> ForeignTrial:
    metrics = parts["metrics"]
    return ForeignTrial(
        trial_id=run,
        status=status,
        validation=score(metrics, validation),
        test=score(metrics, test),
        values=parts["params"],
        facts={"train_seconds": seconds, **parts["tags"], **metrics},
    )


def _history(file: Path) -> list[tuple[int, float]]:
    """One metric's (step, value), from lines of `timestamp value step`."""
    history = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split()
        try:
            history.append((int(words[2]) if len(words) > 2 else 0, float(words[1])))
        except (IndexError, ValueError):
            raise TableError(
                f"{file}: line {number} is not 'timestamp value step' but {line[:60]!r}"
            ) from None
    return history


def _at_best_step(
    metrics: dict[str, list[tuple[int, float]]], validation: str, *, lower_is_better: bool
) -> dict[str, float]:
    history = [(step, value) for step, value in metrics.get(validation, []) if math.isfinite(value)]
    if not history:
        return {name: values[-1][1] for name, values in metrics.items() if values}
    sign = -1 if lower_is_better else 1
    step, _ = max(history, key=lambda pair: (sign * pair[1], -pair[0]))
    chosen = {}
    for name, values in metrics.items():
        at_step = [value for at, value in values if at == step]
        if at_step or len(values) == 1:
            chosen[name] = at_step[-1] if at_step else values[0][1]
    return chosen


def _meta(file: Path) -> dict[str, Any]:
    """What a run's meta.yaml says in numbers and words."""
    if file.stat().st_size > _META_BYTES:
        raise TableError(f"{file}: more than {_META_BYTES:,} bytes found, no more are allowed")
    try:
        facts = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TableError(
            f"{file}: not YAML that can be read; allowed is what MLflow wrote of a run"
        ) from error
    if not isinstance(facts, dict):
        return {}
    return {
        str(name): value
        for name, value in facts.items()
        if isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**63)
    }


def _texts(root: Path, folder: Path) -> dict[str, str]:
    return {name: file.read_text(encoding="utf-8").strip() for name, file in _files(root, folder)}


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _seconds(start: str | None, end: str | None) -> float | None:
    try:
        return (datetime.fromisoformat(end or "") - datetime.fromisoformat(start or "")).total_seconds()
    except ValueError:
        return None
