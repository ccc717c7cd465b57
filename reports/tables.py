"""The report's tables as CSV and LaTeX files."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]

#: A spreadsheet takes a field that begins so for a formula, and runs it.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
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
    return {"accounting": _accounting(document), "arms": _arms(document)}


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Writes rows as CSV; a text that a spreadsheet would run as a formula gets a leading apostrophe."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({str(guard_formula(key)): guard_formula(value) for key, value in row.items()})


def guard_formula(value: object) -> object:
    """Text that a spreadsheet would take for a formula, with an apostrophe before it; numbers as they are."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return "" if value is None else value


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
