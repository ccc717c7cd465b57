"""Trial tables from Ray Tune result folders, read without Ray."""

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reports.errors import TableError
from reports.table.importers.common import (
    ForeignTrial,
    Imported,
    ImportOptions,
    inside,
    missing_score,
    score,
    to_table,
)


def import_ray(folder: Path, options: ImportOptions) -> Imported:
    """Reads an experiment's folder: one sub-folder a trial, with `result.json` or `progress.csv`.

    A trial's epoch is the reported iteration with the best validation score, the first on ties; its test
    score is the one reported there. `train_seconds` is `time_total_s` of the last iteration. Ray does not
    store how points
    were chosen: say so with `options.sampling`, or the report will.

    Raises:
        TableError: the folder is no result folder, a file in it cannot be read, or no trial has the scores.
    """
    if not folder.is_dir():
        raise TableError(f"{folder}: there is no such folder; allowed is a Ray Tune result folder")
    validation = options.validation or options.validation_column
    trials: list[ForeignTrial] = []
    seen: set[str] = set()
    lengths: set[int] = set()
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        config = place / "params.json"
        if not config.is_file() and not (place / "result.json").is_file():
            continue
        reports = list(_reports(place))
        seen |= {name for report in reports for name in report}
        lengths.add(len(reports))
        trials.append(_trial(place, reports, validation, options))
    if not trials:
        raise TableError(f"{folder}: no trials were found; allowed is a folder with one sub-folder a trial")
    for name, values in (
        (validation, [t.validation for t in trials]),
        (options.test, [t.test for t in trials]),
    ):
        if not any(value is not None for value in values):
            raise missing_score(str(folder), name, sorted(seen))
    notes = ["train_seconds is time_total_s as Ray reported it, evaluation included."]
    if len(lengths) > 1:
        notes.append(
            "Trials reported different numbers of iterations. If a scheduler stopped some of them, they are "
            "not "
            "independent draws: import with sampling pruned."
        )
    return Imported(to_table(str(folder), trials, options), tuple(notes))


def _trial(place: Path, reports: list[dict[str, Any]], name: str, options: ImportOptions) -> ForeignTrial:
    best, position = _best(reports, name, lower_is_better=options.lower_is_better)
    last = reports[-1] if reports else {}
    error = _error(place, last)
    config = _json(place / "params.json") if (place / "params.json").is_file() else last.get("config", {})
    return ForeignTrial(
        trial_id=str(last.get("trial_id") or place.name),
        status="crashed" if error is not None or not reports else "ok",
        validation=score(best, name),
        test=score(best, options.test),
        values=_flat(config),
        facts={
            **{key: value for key, value in best.items() if not isinstance(value, dict | list)},
            "message": error or "",
            "train_seconds": score(last, "time_total_s"),
            "epochs_run": score(last, "training_iteration"),
            "selected_epoch": position + 1 if best else None,
            "trial_id": None,
        },
    )


def _error(place: Path, last: dict[str, Any]) -> str | None:
    """The last line of what ended a trial; None if nothing did, "" if Ray told it in a pickle alone.

    A trial that was tried again keeps the error of its first attempt: it is over if the trial says that it is
    done, or reported later than that.
    """
    text, pickled = place / "error.txt", place / "error.pkl"
    there = [file for file in (text, pickled) if file.is_file()]
    if not there or last.get("done") in (True, "True"):
        return None
    reported = score(last, "timestamp")
    if reported is not None and reported > max(file.stat().st_mtime for file in there):
        return None
    if text not in there:
        return ""
    return inside(place.parent, text).read_text(encoding="utf-8", errors="replace").strip().split("\n")[-1]


def _best(reports: list[dict[str, Any]], name: str, *, lower_is_better: bool) -> tuple[dict[str, Any], int]:
    best: dict[str, Any] = {}
    where, top = -1, -math.inf
    for position, report in enumerate(reports):
        value = score(report, name)
        if value is None:
            continue
        better = -value if lower_is_better else value
        if better > top:
            best, where, top = report, position, better
    return best, where


def _reports(place: Path) -> Iterator[dict[str, Any]]:
    """What a trial reported; what Ray nests has its path as name, as in `progress.csv`: eval/accuracy."""
    lines, table = place / "result.json", place / "progress.csv"
    if lines.is_file():
        texts = inside(place.parent, lines).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(texts, start=1):
            if not line.strip():
                continue
            try:
                report = json.loads(line)
            except (ValueError, RecursionError):
                if number == len(texts):
                    return  # the last line of a killed trial may be cut short; what came before it counts
                raise TableError(
                    f"{lines}: line {number} is not JSON; allowed is one report a line"
                ) from None
            if isinstance(report, dict):
                config = report.pop("config", None)
                yield _flat(report, "/") | ({"config": config} if isinstance(config, dict) else {})
    elif table.is_file():
        with inside(place.parent, table).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield {key: _number(value) for key, value in row.items() if key is not None}


def _number(text: str | None) -> Any:
    try:
        return float(text or "")
    except ValueError:
        return text


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(inside(path.parent.parent, path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise TableError(f"{path}: not JSON ({error}); allowed is a trial's parameters") from None
    return value if isinstance(value, dict) else {}


def _flat(nested: dict[str, Any], separator: str = ".", prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat |= _flat(value, separator, f"{name}{separator}")
        else:
            flat[name] = value if isinstance(value, int | float | str) else json.dumps(value)
    return flat
