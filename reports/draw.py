"""Which figures a report has, in which order, with which words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.figures.distributions import Panel, draw_distributions
from reports.figures.style import Drawing, MethodStyle, file_name, method_styles
from reports.settings import Settings
from reports.wording import ScoreWords, count


@dataclass(frozen=True, slots=True)
class Placed:
    """A drawing and where it stands: its cell ("" for over all cells) and its family."""

    drawing: Drawing
    cell: str
    family: str


def draw_figures(trials: pd.DataFrame, document: Mapping[str, Any], settings: Settings) -> Iterator[Placed]:
    """Draws every figure the data allow, one at a time, so that only one is held in memory.

    Args:
        trials: the checked trials.
        document: what `reports.document.build_document` made; all words take their numbers from it.
        settings: names the score columns.
    """
    score = ScoreWords(**document["score"])
    summaries = document["summaries"]
    methods = list(dict.fromkeys(summary["method"] for summary in summaries))
    styles = method_styles(methods)
    for dataset, architecture in dict.fromkeys((s["dataset"], s["architecture"]) for s in summaries):
        here = [s for s in summaries if (s["dataset"], s["architecture"]) == (dataset, architecture)]
        part = trials[(trials["dataset"] == dataset) & (trials["architecture"] == architecture)]
        yield from _distributions(part, f"{dataset} / {architecture}", here, styles, score, settings)


def _distributions(
    part: pd.DataFrame,
    cell: str,
    summaries: list[dict[str, Any]],
    styles: dict[str, MethodStyle],
    score: ScoreWords,
    settings: Settings,
) -> Iterator[Placed]:
    methods = [summary["method"] for summary in summaries]
    reading = (
        "One point a finished trial; lines in the violins are the quartiles, a violin's width is scaled to "
        "its own "
        "largest. Failed trials have no score and stand below, in no violin."
    )
    panel = Panel(
        settings.test_column, f"test {score.axis}", score.scale, worse_is_low=not score.lower_is_better
    )
    yield Placed(
        Drawing(
            file_name("scores", cell),
            f"Test {score.name} of every trial",
            reading,
            f"Test {score.name} on {cell}. " + " ".join(_score_alt(summary, score) for summary in summaries),
            draw_distributions(part, methods, styles, panel),
        ),
        cell,
        "distributions",
    )
    if any(summary["parameters_median"] for summary in summaries):
        yield Placed(
            Drawing(
                file_name("parameters", cell),
                "Parameters of the selected networks",
                "Size at the epoch with the best validation score, gates folded in; logarithmic axis.",
                f"Parameters on {cell}. " + " ".join(_size_alt(summary) for summary in summaries),
                draw_distributions(part, methods, styles, Panel("parameters", "parameters", log=True)),
            ),
            cell,
            "distributions",
        )


def _score_alt(summary: Mapping[str, Any], score: ScoreWords) -> str:
    name, failed = summary["method"], f"{count(summary['failed'])} failed"
    if not summary["finished"]:
        return f"{name}: none finished, {failed}."
    return (
        f"{name}: median {score.level(summary['test_median'])}, from {score.level(summary['test_min'])} to "
        f"{score.level(summary['test_max'])}, {count(summary['finished'])} finished, {failed}."
    )


def _size_alt(summary: Mapping[str, Any]) -> str:
    if summary["parameters_median"] is None:
        return f"{summary['method']}: no size known."
    return (
        f"{summary['method']}: median {count(summary['parameters_median'])}, quartiles "
        f"{count(summary['parameters_low_quartile'])} and {count(summary['parameters_high_quartile'])}."
    )
