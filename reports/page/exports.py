"""The report's tables as CSV and LaTeX files."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reports.table.formulas import guard_formula

Row = Mapping[str, Any]

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def write_tables(document: Mapping[str, Any], folder: Path) -> None:
    """Writes every table of the document, full precision in CSV, the same rows in LaTeX."""
    for name, rows in all_tables(document).items():
        if rows:
            write_csv(rows, folder / f"{name}.csv")
            (folder / f"{name}.tex").write_text(latex(rows), encoding="utf-8")


def all_tables(document: Mapping[str, Any]) -> dict[str, list[Row]]:
    """The document's tables by file name: flat rows of text and numbers."""
    cells = document["analysis"]["cells"]
    contrasts = [contrast for cell in cells for contrast in cell["contrasts"]]
    return {
        "accounting": _accounting(document),
        "arms": _arms(document),
        "best-of-n": [row for cell in cells for arm in cell["arms"] for row in _curve(arm)],
        "contrasts": [_contrast(contrast) for contrast in contrasts],
        "savings": [row for contrast in contrasts for row in _savings(contrast)],
        "tests": [
            *(_test(c, c["test"], "primary") for c in contrasts if c["test"]),
            *(_test(cell, test, "exploratory") for cell in cells for test in cell["exploratory"]),
        ],
        "targets": [row for cell in cells for arm in cell["arms"] for row in _targets(arm)],
        "parts-of-space": [row for contrast in contrasts for row in _parts(contrast)],
        "pooled": [_pooled(pooled) for pooled in document["analysis"]["pooled"]],
        "warnings": list(document["warnings"]),
    }


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Writes rows as CSV; a text that a spreadsheet would run as a formula gets a leading apostrophe."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({str(guard_formula(key)): guard_formula(value) for key, value in row.items()})


def latex(rows: Sequence[Row]) -> str:
    """Rows as a LaTeX `tabular` (for the booktabs package); numbers with six significant digits."""
    columns = list(rows[0])
    is_number = [all(isinstance(row[c], int | float) or row[c] is None for row in rows) for c in columns]
    lines = [
        r"\begin{tabular}{" + "".join("r" if right else "l" for right in is_number) + "}",
        r"\toprule",
        " & ".join(_latex_text(column.replace("_", " ")) for column in columns) + r" \\",
        r"\midrule",
        *(" & ".join(_latex_text(row[column]) for column in columns) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_text(value: object) -> str:
    if value is None:
        return "--"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "".join(_LATEX.get(letter, letter) for letter in str(value)).replace("\n", " ")


def _accounting(document: Mapping[str, Any]) -> list[Row]:
    accounting = document["accounting"]
    return [
        {
            "dataset": arm["dataset"],
            "architecture": arm["architecture"],
            "method": arm["method"],
            "planned": arm["planned"],
            **arm["outcomes"],
            "outcomes": arm["total"],
            "not_yet_run": arm["not_run"],
        }
        for arm in accounting["arms"]
    ]


def _arms(document: Mapping[str, Any]) -> list[Row]:
    units = list(dict.fromkeys(unit for arm in document["summaries"] for unit in arm["cost_medians"]))
    rows: list[Row] = []
    for arm in document["summaries"]:
        row = {key: value for key, value in arm.items() if key not in ("cost_medians", "cost_totals")}
        row |= {f"{unit}_median": arm["cost_medians"].get(unit) for unit in units}
        row |= {f"{unit}_total": arm["cost_totals"].get(unit) for unit in units}
        rows.append(row)
    return rows


def _place(part: Row) -> Row:
    return {name: part[name] for name in ("dataset", "architecture", "method") if name in part}


def _limits(name: str, value: Row | None) -> Row:
    """An estimate in columns: the number, its limits (empty where open) and what is censored."""
    interval = (value or {}).get("interval") or {}
    censored = [end for end in ("low", "high") if interval.get(f"{end}_censored")]
    return {
        name: value["value"] if value else None,
        f"{name}_low": interval.get("low"),
        f"{name}_high": interval.get("high"),
        f"{name}_censored": " ".join(
            [*([value["censored"]] if value and value["censored"] else []), *censored]
        ),
    }


def _curve(arm: Row) -> list[Row]:
    curve = arm["best_of_n"] or {"n": [], "estimates": []}
    pairs = zip(curve["n"], curve["estimates"], strict=True)
    return [{**_place(arm), "n": n, **_limits("expected_test_score", value)} for n, value in pairs]


def _contrast(contrast: Row) -> Row:
    verdict = contrast["verdict"]
    matched = next((m["trials"] for m in contrast["matched"] if m["n"] == contrast["n"]), None)
    return {
        **_place(contrast),
        "baseline": contrast["baseline"],
        "n": contrast["n"],
        "verdict": verdict["kind"],
        "unit": verdict["unit"],
        **_limits("saving_adjusted", verdict["estimate"]),
        **_limits("difference", contrast["difference"]),
        **_limits("difference_adjusted", contrast["difference_adjusted"]),
        **_limits("difference_without_failed", contrast["difference_without_failed"]),
        **_limits("trials_to_match", matched),
        **_limits("chance_on_par_or_better", contrast["win"] and contrast["win"]["headline"]),
        "chance_at_m": contrast["win"] and contrast["win"]["headline_m"],
        "sentence": verdict["sentence"],
    }


def _savings(contrast: Row) -> list[Row]:
    return [
        {
            **_place(contrast),
            "unit": saving["unit"],
            "primary": str(saving["primary"]).lower(),
            **_limits("saving", saving["ratio"]),
            **_limits("saving_adjusted", saving["ratio_adjusted"]),
            "p": saving["p_value"],
            "p_holm": saving["p_holm"],
            "baseline_cost": saving["baseline_cost"],
            **_limits("cost_to_match", saving["cost_to_match"]),
        }
        for saving in contrast["savings"]
    ]


def _test(place: Row, test: Row, family: str) -> Row:
    return {
        "dataset": place["dataset"],
        "architecture": place["architecture"],
        "family": family,
        "first": test["first"],
        "second": test["second"],
        "p": test["p_value"],
        "p_adjusted": test["p_adjusted"],
        "adjustment": test["adjustment"],
        **_limits("a12", test["a12"]),
        **_limits("shift", test["shift"]),
        "kolmogorov_smirnov_p": test["kolmogorov_smirnov_p"],
        "test": test["test"],
        "note": test["note"],
    }


def _targets(arm: Row) -> list[Row]:
    return [
        {
            **_place(arm),
            "target": target["target"],
            "judged_by": target["score"],
            "unit": target["unit"],
            "successes": target["successes"],
            "trials": target["trials"],
            **_limits("success_rate", target["success_rate"]),
            **_limits("expected_cost", target["expected_cost"]),
        }
        for target in arm["targets"]
    ]


def _parts(contrast: Row) -> list[Row]:
    return [
        {
            **_place(contrast),
            "baseline_space": box["label"],
            "baseline_trials": box["baseline_trials"],
            "unit": box["unit"],
            **_limits("saving", box["saving"]),
            "note": box["note"],
        }
        for box in contrast["sub_boxes"]
    ]


def _pooled(pooled: Row) -> Row:
    return {
        **{name: pooled[name] for name in ("method", "unit", "cells", "datasets")},
        **{name: pooled[name] for name in ("above_one", "below_one", "unmatched")},
        **_limits("these_cells", pooled["these_cells"]),
        **_limits("new_datasets", pooled["new_datasets"]),
        **_limits("median", pooled["median"]),
    }
