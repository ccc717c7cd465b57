"""The page and its Markdown twin: renderings of the document, which add no number of their own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jinja2

from reports import wording
from reports.cost_units import unit_name
from reports.figures.style import file_name
from reports.page.bars import cost_bar, score_axis, score_bar, short_cost, strip, who_leads
from reports.results.contrast import VERDICT_KINDS
from reports.size_axes import SIZE_AXES
from reports.wording import ScoreWords


@dataclass(frozen=True, slots=True)
class PageFigure:
    """One figure as the page shows it.

    Attributes:
        name: id on the page and file name.
        title, caption, alt: its words.
        svg: inline SVG; "" where the page has no room for it.
        cell: "dataset / architecture", or "" for figures over all cells.
        family: which section shows it.
    """

    name: str
    title: str
    caption: str
    alt: str
    svg: str
    cell: str
    family: str


def render(template: str, document: Mapping[str, Any], figures: Sequence[PageFigure]) -> str:
    """Renders `report.html.j2` or `report.md.j2`.

    Args:
        template: name of a file in `reports/templates`.
        document: what `reports.page.document.build_document` made.
        figures: in the order of the page.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    score = ScoreWords(**document["score"])
    environment.filters.update(
        count=wording.count,
        share=wording.share,
        number=wording.number,
        p=wording.p_value,
        ratio=wording.ratio,
        unit_name=unit_name,
        axis_name=lambda column: SIZE_AXES[column].name,
        level=score.level,
        bare=score.bare,
        difference=score.difference,
        amount=wording.amount,
        md=_markdown_text,
        space=_space_text,
        points=score.points_only,
        first_upper=lambda text: text[:1].upper() + text[1:],
        file_name=file_name,
    )
    environment.globals.update(_globals(document, figures, score))
    return environment.get_template(template).render(document=document, figures=figures)


def _globals(document: Mapping[str, Any], figures: Sequence[PageFigure], score: ScoreWords) -> dict[str, Any]:
    """What every template may name beside the document."""
    contrasts = [contrast for cell in document["analysis"]["cells"] for contrast in cell["contrasts"]]
    return {
        "score": score,
        "nothing": wording.NOTHING,
        "say": _sayers(score),
        "estimate": wording.estimate,
        "interval": wording.interval,
        "cells": _cells(document),
        "contrasts": contrasts,
        "contrast_methods": list(dict.fromkeys(contrast["method"] for contrast in contrasts)),
        "score_axis": score_axis,
        "score_bar": partial(score_bar, score=score),
        "cost_bar": cost_bar,
        "short_cost": short_cost,
        "strip": strip,
        "who_leads": who_leads,
        "kinds": VERDICT_KINDS,
        "at_n": _at_n,
        "axes_of": _axes_of,
        "fronts_on": _fronts_on,
        "by_target": _by_target,
        "matched_at": _matched_at,
        "saving_in": _saving_in,
        "cost_in": lambda unit: partial(wording.amount, unit=unit),
        "primary_tests": [{"cell": _cell_name(c), "test": c["test"]} for c in contrasts if c["test"]],
        "exploratory_tests": [
            {"cell": _cell_name(cell), "test": test}
            for cell in document["analysis"]["cells"]
            for test in cell["exploratory"]
        ],
        "boxed": [contrast for contrast in contrasts if contrast["sub_boxes"]],
        "design_rows": _design_rows(document["design"]),
        "cell_figures": partial(_of_cell, figures),
    }


def _sayers(score: ScoreWords) -> dict[str, Any]:
    return {
        "level": score.level,
        "bare": score.bare,
        "difference": score.difference,
        "points": score.points_only,
        "ratio": wording.ratio,
        "number": wording.number,
        "count": wording.count,
    }


def _cells(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry a cell, in order: its name, its arms' summaries, its part of the analysis if there is one."""
    analysed = {(cell["dataset"], cell["architecture"]): cell for cell in document["analysis"]["cells"]}
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for summary in document["summaries"]:
        key = (summary["dataset"], summary["architecture"])
        name = " / ".join(key)
        part = analysed.get(key)
        arms = part["arms"] if part else []
        place = {"name": name, "dataset": key[0], "architecture": key[1]}
        cell = cells.setdefault(key, {**place, "summaries": [], "arms": arms, "analysis": part})
        cell["summaries"].append(summary)
    return list(cells.values())


def _cell_name(part: Mapping[str, Any]) -> str:
    return f"{part['dataset']} / {part['architecture']}"


def _at_n(curve: Mapping[str, Any] | None, n: int) -> Any:
    """A curve's estimate at n, None where the curve does not reach so far."""
    return curve["estimates"][curve["n"].index(n)] if curve and n in curve["n"] else None


def _axes_of(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """The axes that any of a cell's arms has a front on, in their order."""
    return [axis for axis in SIZE_AXES if any(axis in arm["fronts"] for arm in arms)]


def _fronts_on(axis: str, arms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Method -> its front, of the arms that have one on the axis."""
    return {arm["method"]: arm["fronts"][axis] for arm in arms if axis in arm["fronts"]}


def _by_target(targets: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """An arm's costs to targets, those of one target and score together, one for each unit."""
    rows: dict[tuple[float, str], list[Mapping[str, Any]]] = {}
    for target in targets:
        rows.setdefault((target["target"], target["score"]), []).append(target)
    return list(rows.values())


def _matched_at(contrast: Mapping[str, Any], n: int) -> Any:
    return next((matched["trials"] for matched in contrast["matched"] if matched["n"] == n), None)


def _saving_in(contrast: Mapping[str, Any], unit: str, *, adjusted: bool = True) -> Any:
    saving = next((entry for entry in contrast["savings"] if entry["unit"] == unit), None)
    return saving and saving["ratio_adjusted" if adjusted else "ratio"]


def _design_rows(design: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The design's arms, those that differ only in their cell in one row."""
    rows: dict[str, dict[str, Any]] = {}
    everywhere = {(arm["dataset"], arm["architecture"]) for arm in (design["arms"] if design else ())}
    for arm in design["arms"] if design else ():
        rest = {key: value for key, value in arm.items() if key not in ("dataset", "architecture")}
        row = rows.setdefault(json.dumps(rest), {**rest, "where": []})
        row["where"].append(f"{arm['dataset']} / {arm['architecture']}")
    for row in rows.values():
        in_all = len(row["where"]) == len(everywhere) > 1
        row["cells"] = f"all {len(everywhere)}" if in_all else ", ".join(row["where"])
    return list(rows.values())


def _of_cell(figures: Sequence[PageFigure], cell: str, family: str = "") -> list[PageFigure]:
    return [figure for figure in figures if figure.cell == cell and family in ("", figure.family)]


def _markdown_text(text: object) -> str:
    """Text that stays text in Markdown: no table cell, emphasis, link or HTML begins in a name."""
    escaped = "".join("\\" + letter if letter in "\\`*_[]|#~" else letter for letter in str(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")


def _space_text(space: Mapping[str, Any]) -> str:
    """One parameter's search space in words: 8 to 256 (log, int), or one of relu, tanh."""
    if "choice" in space:
        return "one of " + ", ".join(str(value) for value in space["choice"])
    words = [word for word in (str(space.get("type", "")), "log" if space.get("log") else "") if word]
    low, high = (
        f"{space[end]:g}" if isinstance(space.get(end), int | float) else "?" for end in ("low", "high")
    )
    return f"{low} to {high}" + (f" ({', '.join(words)})" if words else "")
