"""The page and its Markdown twin: renderings of the document, which add no number of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jinja2

from reports import wording
from reports.wording import ScoreWords


@dataclass(frozen=True, slots=True)
class PageFigure:
    """One figure as the page shows it.

    Attributes:
        name: id on the page and file name.
        title, caption, alt: its words.
        svg: inline SVG.
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
        document: what `reports.document.build_document` made.
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
        number=wording.number,
        p=wording.p_value,
        ratio=wording.ratio,
        unit_name=wording.unit_name,
        level=score.level,
        bare=score.bare,
        difference=score.difference,
        amount=wording.amount,
        md=_markdown_text,
        space=_space_text,
    )
    environment.globals.update(
        score=score,
        nothing=wording.NOTHING,
        say=_sayers(score),
        estimate=wording.estimate,
        interval=wording.interval,
        cells=_cells(document),
        cell_figures=partial(_of_cell, figures),
    )
    return environment.get_template(template).render(document=document, figures=figures)


def _sayers(score: ScoreWords) -> dict[str, Any]:
    return {
        "level": score.level,
        "bare": score.bare,
        "difference": score.difference,
        "ratio": wording.ratio,
        "number": wording.number,
        "count": wording.count,
    }


def _cells(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry a cell, in order: its name, its arms' summaries, its part of the analysis if there is one."""
    analysed = {
        (cell["dataset"], cell["architecture"]): cell
        for cell in (document["analysis"] or {"cells": []})["cells"]
    }
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for summary in document["summaries"]:
        key = (summary["dataset"], summary["architecture"])
        name = " / ".join(key)
        cell = cells.setdefault(key, {"name": name, "summaries": [], "analysis": analysed.get(key)})
        cell["summaries"].append(summary)
    return list(cells.values())


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
