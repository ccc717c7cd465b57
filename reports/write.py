"""Writes a report: one page, its numbers, tables and figures."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness.design import StudyDesign
from harness.trial_table import COLUMNS
from reports.analysis import judge
from reports.arms.arm import Arm
from reports.arms.from_table import read_arms
from reports.description.accounting import arms_in_order
from reports.description.summary import ArmSummary, summarise
from reports.errors import TableError
from reports.figures.captioned import draw_figures
from reports.figures.files import inline_svg, svg_text, write_pdf
from reports.page.document import baseline_of, build_document
from reports.page.exports import all_tables, write_tables
from reports.page.looks import looked_at
from reports.page.render import PageFigure, render
from reports.settings import Settings
from reports.table.checks import TrialTable, check_table
from reports.table.scores import settle_scores

#: What a figure of units over epochs needs of every row.
HISTORY_COLUMNS = ("trial_id", "dataset", "architecture", "method", "epoch", "train_loss", "units_total")
#: Names of figures: no paths.
_FIGURE = re.compile(r"[\w-]+(\.[\w-]+)*")
#: Figures take at most so much of the page, which stays under 10 MB; what is beyond is in `figures/` alone.
PAGE_FIGURE_BYTES = 8_000_000


def write_report(
    table: pd.DataFrame,
    out: Path,
    *,
    design: StudyDesign | None = None,
    settings: Settings | None = None,
    histories: pd.DataFrame | None = None,
    source: str = "the table",
    notes: Sequence[str] = (),
) -> Path:
    """Judges a trial table and writes the report.

    Args:
        table: one row a trial, with the columns of `harness.trial_table`; may be empty if there is a design
            (a study of which nothing has run yet).
        out: folder of the report; made if absent. An earlier report in it is replaced.
        design: what the study asked for; None for a table without a study file.
        settings: settings of the analysis; None for the defaults.
        histories: one row an epoch of a trial, with the columns trial_id, dataset, architecture, method,
            epoch, train_loss, val_score, units_total, parameters and, as in the table, param_*; None where
            not recorded.
        source: what the table is called in messages.
        notes: sentences on how the table came about, to stand before those on how it was read.

    Returns:
        Path of `report.html`.

    Raises:
        TableError: the table cannot be judged, or the folder cannot be written: one sentence.
    """
    table, settings = _settled(table, design, settings, source)
    checked = _checked(table, design, settings, source)
    checked = replace(checked, notes=(*notes, *checked.notes))
    absent = [name for name in HISTORY_COLUMNS if histories is not None and name not in histories]
    if absent and histories is not None and len(histories):
        raise TableError(
            f"{source}: the histories have no column {absent[0]}; they need {', '.join(HISTORY_COLUMNS)}"
        )
    arms = read_arms(checked.trials, settings)
    seen = looked_at(out, checked)
    results = judge(arms, checked, design, settings, histories, len(seen))
    document = {**build_document(arms, checked, design, settings, results), "looked_at": seen}
    try:
        return _write(arms, histories, document, settings, out)
    except OSError as error:
        raise TableError(f"{out}: the report cannot be written there ({error.strerror or error})") from error


def short_table(
    table: pd.DataFrame, *, design: StudyDesign | None = None, settings: Settings | None = None
) -> tuple[ArmSummary, ...]:
    """The short result table for a terminal: one row an arm, in the order of the report.

    Raises:
        TableError: the table cannot be judged.
    """
    table, settings = _settled(table, design, settings, "the table")
    checked = _checked(table, design, settings, "the table")
    arms = read_arms(checked.trials, settings)
    return summarise(arms, arms_in_order(arms, design, baseline_of(design, settings, None)), settings)


def said(page: Path) -> tuple[str, ...]:
    """The answer of a written report as sentences, as its page and `results.json` say it."""
    document = json.loads((page.parent / "results.json").read_text(encoding="utf-8"))
    return tuple(document["analysis"]["headline"])


def _settled(
    table: pd.DataFrame, design: StudyDesign | None, settings: Settings | None, source: str
) -> tuple[pd.DataFrame, Settings]:
    score = design.score if design else None
    [(_, table)], settings = settle_scores([(source, table)], settings or Settings(), score)
    return table, settings


def _checked(table: pd.DataFrame, design: StudyDesign | None, settings: Settings, source: str) -> TrialTable:
    if len(table) or design is None:
        claimed = design.claim.cost if design else None
        asked = replace(settings, cost=settings.cost or claimed)
        checked = check_table(table, settings=asked, source=source)
        # One order, whatever the order of the rows: the same trials give the same bytes.
        ordered = checked.trials.sort_values(["dataset", "architecture", "method", "trial_id"], kind="stable")
        return replace(checked, trials=ordered.reset_index(drop=True))
    names = [column.name for column in COLUMNS if column.required] + ["trial_id", "status", "sampling"]
    empty = pd.DataFrame({name: pd.Series(dtype=str) for name in names})
    for name in (settings.validation_column, settings.test_column):
        empty[name] = pd.Series(dtype=float)
    return TrialTable(empty, 0, (), True)


def _write(
    arms: Sequence[Arm],
    histories: pd.DataFrame | None,
    document: dict[str, Any],
    settings: Settings,
    out: Path,
) -> Path:
    figures_folder, tables_folder = out / "figures", out / "tables"
    for folder in (out, figures_folder, tables_folder):
        folder.mkdir(parents=True, exist_ok=True)
    _clear_figures(out)
    for name in all_tables(document):
        for ending in ("csv", "tex"):
            (tables_folder / f"{name}.{ending}").unlink(missing_ok=True)
    shown, room = [], PAGE_FIGURE_BYTES
    listed: list[Mapping[str, str]] = []
    for placed in draw_figures(arms, histories, document, settings):
        drawing = placed.drawing
        svg = svg_text(drawing)
        (figures_folder / f"{drawing.name}.svg").write_text(svg, encoding="utf-8")
        write_pdf(drawing, figures_folder / f"{drawing.name}.pdf")
        words = {"name": drawing.name, "title": drawing.title, "caption": drawing.caption, "alt": drawing.alt}
        where = {"cell": placed.cell, "family": placed.family}
        inline = inline_svg(svg, drawing.name)
        room -= len(inline)
        shown.append(PageFigure(**words, **where, svg=inline if room >= 0 else ""))
        listed.append({**words, **where})
    document = {**document, "figures": listed}
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
    write_tables(document, tables_folder)
    (out / "report.md").write_text(render("report.md.j2", document, shown), encoding="utf-8")
    page = out / "report.html"
    page.write_text(render("report.html.j2", document, shown), encoding="utf-8")
    return page


def _clear_figures(out: Path) -> None:
    """Removes the figures that an earlier report lists, so that one of an arm that is gone does not stay.

    Only those: the folder may be a link into a user's own, who keeps figures there.
    """
    try:
        listed = json.loads((out / "results.json").read_bytes())["figures"]
        names = [figure["name"] for figure in listed]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # there is none, or it is none of ours
        return
    for name in names:
        if isinstance(name, str) and _FIGURE.fullmatch(name):
            for ending in ("svg", "pdf"):
                (out / "figures" / f"{name}.{ending}").unlink(missing_ok=True)
