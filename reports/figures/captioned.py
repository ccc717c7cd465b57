"""Which figures a report has, in which order, with which words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.trial_table import PARAMETER_PREFIX
from reports.arms.arm import Arm
from reports.figures.blocks import block_figures
from reports.figures.captioned_analysis import cell_figures, overview_figures
from reports.figures.captioned_deletion import deletion_figures
from reports.figures.distributions import Panel, draw_distributions
from reports.figures.histories import MAX_LINES, chosen_trials, draw_histories
from reports.figures.replays import replay_drawing
from reports.figures.restarts import restart_figures
from reports.figures.style import Drawing, MethodStyle, Placed, file_name, method_styles
from reports.settings import Settings
from reports.wording import ScoreWords, count, number


def draw_figures(
    arms: Sequence[Arm], histories: pd.DataFrame | None, document: Mapping[str, Any], settings: Settings
) -> Iterator[Placed]:
    """Draws every figure the data allow, one at a time, so that only one is held in memory.

    Args:
        arms: of the table.
        histories: one row an epoch of a trial, or None.
        document: what `reports.page.document.build_document` made; all words take their numbers from it.
        settings: names the score columns.
    """
    score = ScoreWords(**document["score"])
    summaries, analysis = document["summaries"], document["analysis"]
    styles = method_styles(list(dict.fromkeys(summary["method"] for summary in summaries)))
    yield from overview_figures(analysis, styles)
    for replay in analysis["replays"]:
        if replay["budgets"]:
            yield Placed(replay_drawing(replay, score), "", "replays")
    analysed = {(cell["dataset"], cell["architecture"]): cell for cell in analysis["cells"]}
    for key in dict.fromkeys((s["dataset"], s["architecture"]) for s in summaries):
        here = [s for s in summaries if (s["dataset"], s["architecture"]) == key]
        part = {arm.method: arm for arm in arms if arm.name[:2] == key}
        yield from _distributions(part, " / ".join(key), here, styles, score, settings)
        if key in analysed:
            yield from cell_figures(part, analysed[key], analysis, styles, score, settings)
        own = _of_cell(histories, key) if histories is not None and not histories.empty else None
        yield from deletion_figures(part, own, " / ".join(key), styles, score, settings)
        if own is not None:
            yield from restart_figures(part, own, " / ".join(key), styles, score)
            yield from block_figures(part, own, " / ".join(key), styles)
            yield from _histories(own, part, " / ".join(key), here)


def _of_cell(frame: pd.DataFrame, key: tuple[str, str]) -> pd.DataFrame:
    return frame[(frame["dataset"] == key[0]) & (frame["architecture"] == key[1])]


def _pointed(summaries: list[dict[str, Any]]) -> str:
    """Which trials have a point, and where the others are."""
    if not any(summary["stopped"] for summary in summaries):
        return "One point a finished trial"
    return "One point a trial that finished or was stopped with a test score known"


def _distributions(
    part: Mapping[str, Arm],
    cell: str,
    summaries: list[dict[str, Any]],
    styles: dict[str, MethodStyle],
    score: ScoreWords,
    settings: Settings,
) -> Iterator[Placed]:
    methods = [summary["method"] for summary in summaries]
    reading = (
        f"{_pointed(summaries)}; lines in the violins are the quartiles, a violin's width is scaled to "
        "its own largest. Failed trials have no score and stand below, in no violin."
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


def _histories(
    histories: pd.DataFrame, part: Mapping[str, Arm], cell: str, summaries: list[dict[str, Any]]
) -> Iterator[Placed]:
    """Units over epochs for every method whose networks change size while they train."""
    for method in (summary["method"] for summary in summaries):
        if method not in part:
            continue
        own = histories[(histories["method"] == method) & histories["units_total"].notna()]
        own = own[own["trial_id"].isin(part[method].facts["trial_id"])]  # repeats have curves, too
        if own.empty or own.groupby("trial_id")["units_total"].nunique().max() < 2:
            continue
        trials = part[method].facts
        value = _telling_value(trials, own)
        label = value.removeprefix(PARAMETER_PREFIX) if value else ""
        if value:
            values = trials.set_index("trial_id")[value]
            own = own.assign(**{value: pd.to_numeric(own["trial_id"].map(values), errors="coerce")})
        drawn = chosen_trials(own, value)
        ends = [(part.iloc[0]["units_total"], part.iloc[-1]["units_total"]) for part in drawn]
        words = [
            f"{method} on {cell}: units alive start between {count(min(e[0] for e in ends))} and "
            f"{count(max(e[0] for e in ends))} and end between {count(min(e[1] for e in ends))} and "
            f"{count(max(e[1] for e in ends))}."
        ]
        if value:
            low, high = float(drawn[0][value].iloc[0]), float(drawn[-1][value].iloc[0])
            words.append(
                f"At the smallest {label}, {number(low)}, {count(ends[0][1])} are left; at the largest, "
                f"{number(high)}, {count(ends[-1][1])}."
            )
        some = f" {MAX_LINES} trials, evenly spread over {label or 'all'}." if len(drawn) == MAX_LINES else ""
        drawing = Drawing(
            file_name("units", cell, method),
            f"Units over epochs, {method}",
            f"One line a trial{f', coloured by {label}' if label else ''}; the training loss below.{some}",
            " ".join(words),
            draw_histories(own, value, label),
        )
        yield Placed(drawing, cell, "histories")


def _telling_value(trials: pd.DataFrame, histories: pd.DataFrame) -> str | None:
    """The searched value that best orders the final numbers of units (by rank correlation), if any does."""
    final = histories.sort_values("epoch").groupby("trial_id")["units_total"].last()
    best, strength = None, 0.0
    for name in sorted(column for column in map(str, trials.columns) if column.startswith(PARAMETER_PREFIX)):
        values = pd.to_numeric(trials.set_index("trial_id")[name], errors="coerce").reindex(final.index)
        known = values.notna()
        if int(known.sum()) < 3 or values[known].nunique() < 3 or final[known].nunique() < 2:
            continue
        ranks = np.corrcoef(values[known].rank(), final[known].rank())[0, 1]
        if abs(ranks) > strength:
            best, strength = name, abs(float(ranks))
    return best


def _score_alt(summary: Mapping[str, Any], score: ScoreWords) -> str:
    name, failed = summary["method"], f"{count(summary['failed'])} failed"
    if summary["stopped"]:
        failed = f"{count(summary['stopped'])} stopped, {failed}"
    if summary["test_median"] is None:
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
