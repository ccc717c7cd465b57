"""The report as plain data: all that stands on the page, and all that `results.json` holds."""

import hashlib
import importlib.metadata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from harness.design import StudyDesign
from reports.arms.arm import Arm
from reports.description.accounting import ArmName, account, arms_in_order
from reports.description.summary import summarise
from reports.results.results import Results, to_json_able
from reports.review.outcomes import all_warnings
from reports.settings import Settings
from reports.table.checks import TrialTable, is_accuracy
from reports.wording import ScoreWords

DOCUMENT_VERSION = 2
_TOOLS = ("sizing-harness", "numpy", "scipy", "pandas", "matplotlib", "seaborn")


def score_words(settings: Settings) -> ScoreWords:
    """How this report says its scores."""
    return ScoreWords(settings.score, is_accuracy(settings), settings.lower_is_better)


def build_document(
    arms: Sequence[Arm],
    table: TrialTable,
    design: StudyDesign | None,
    settings: Settings,
    results: Results,
) -> dict[str, Any]:
    """Everything a report says, as JSON-ready data; the page is a rendering of it and adds no number.

    Args:
        arms: of the table.
        table: the checked trials.
        design: what the study asked for, if known.
        settings: the settings of the analysis.
        results: what the analysis yielded.
    """
    baseline = baseline_of(design, settings, results)
    accounting = account(arms, design, table.lost, baseline)
    names = arms_in_order(arms, design, baseline)
    summaries = summarise(arms, names, settings)
    warnings = all_warnings(arms, accounting, results)
    document = {
        "schema_version": DOCUMENT_VERSION,
        "study": design.name if design else "",
        "description": design.description if design else "",
        "baseline": baseline,
        "score": asdict(score_words(settings)),
        "warnings": [asdict(warning) for warning in warnings],
        "design": asdict(design) if design else None,
        "accounting": {**asdict(accounting), "is_finished": accounting.is_finished},
        "failures": _failures(arms),
        "summaries": [asdict(summary) for summary in summaries],
        "analysis": to_json_able(results),
        "provenance": _provenance(_all_rows(table)),
    }
    plain = to_json_able(document)
    assert isinstance(plain, dict)
    _order_cells(plain["analysis"]["cells"], names)
    return plain


def _order_cells(cells: list[dict[str, Any]], names: list[ArmName]) -> None:
    """Cells, arms and contrasts of the analysis in the report's order: as designed, the baseline first."""
    place = {name: position for position, name in enumerate(names)}
    cell_place = {name[:2]: position for position, name in reversed(list(enumerate(names)))}
    cells.sort(key=lambda cell: cell_place[cell["dataset"], cell["architecture"]])
    for cell in cells:
        for part in ("arms", "contrasts"):
            cell[part].sort(key=lambda entry: place[entry["dataset"], entry["architecture"], entry["method"]])


def baseline_of(design: StudyDesign | None, settings: Settings, results: Results | None) -> str:
    """The method that the others are compared with, or "" where none was named."""
    if results and results.baseline:
        return results.baseline
    return settings.baseline or (design.claim.baseline if design else "")


def _failures(arms: Sequence[Arm], most: int = 8) -> list[dict[str, Any]]:
    """What went wrong, most frequent first: status, first line of the message, how often, one trial's id."""
    parts = [arm.facts[arm.failed] for arm in arms if arm.failed.any()]
    if not parts:
        return []
    failed = pd.concat(parts)
    message = failed["message"] if "message" in failed else pd.Series("", index=failed.index)
    lines = message.astype(str).str.strip().str.split("\n").str[-1].fillna("")
    keys = pd.DataFrame({"method": failed["method"], "status": failed["status"], "message": lines})
    keys["trial_id"] = failed["trial_id"]
    groups = keys.groupby(["method", "status", "message"])["trial_id"]
    rows: list[dict[str, Any]] = [
        {"method": m, "status": s, "message": text, "trials": len(ids), "example": str(ids.min())}
        for (m, s, text), ids in groups
    ]
    return sorted(rows, key=lambda row: (-row["trials"], row["method"], row["status"], row["message"]))[:most]


def _all_rows(table: TrialTable) -> pd.DataFrame:
    return pd.concat([table.trials, table.repeats]) if len(table.repeats) else table.trials


def _provenance(trials: pd.DataFrame) -> dict[str, Any]:
    """What this report was made of and with. No date and no path: the same input gives the same bytes."""
    ordered = trials.sort_values("trial_id", kind="stable")
    digest = hashlib.sha256(ordered[sorted(ordered.columns)].to_csv(index=False).encode()).hexdigest()
    versions = {}
    for tool in _TOOLS:
        try:
            versions[tool] = importlib.metadata.version(tool)
        except importlib.metadata.PackageNotFoundError:
            versions[tool] = "not installed as a package"
    devices: dict[str, int] = {}
    if "device" in trials:
        devices = Counter(sorted(str(name) or "not recorded" for name in trials["device"]))
    return {"rows": len(trials), "table_sha256": digest, "versions": versions, "devices": devices}
