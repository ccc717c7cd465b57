"""Searches under a pruner and without: expected test score of the incumbent against what was spent."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from reports.cost_units import unit_name
from reports.figures.style import (
    PANEL_HEIGHT_INCHES,
    WIDTH_INCHES,
    Drawing,
    file_name,
    house_style,
    legend_above,
    method_styles,
)
from reports.wording import ScoreWords


def replay_drawing(replay: Mapping[str, Any], score: ScoreWords) -> Drawing:
    """The figure of one `ReplayResult` as plain data, one with budgets."""
    cell = f"{replay['dataset']} / {replay['architecture']}"
    return Drawing(
        file_name("replay", cell, replay["method"]),
        f"{replay['method']}: {replay['replay_of']} under a pruner, and without",
        f"Expected test {score.name} of the incumbent after a budget, over the orders that the trials could "
        "have come in; bands are pointwise limits. The vertical line is the budget that is judged.",
        replay["sentence"],
        _draw(replay, score),
    )


def _draw(replay: Mapping[str, Any], score: ScoreWords) -> Figure:
    names = [replay["replay_of"], replay["method"]]
    styles = method_styles(names)
    budgets = np.array(replay["budgets"], dtype=np.float64)
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, PANEL_HEIGHT_INCHES + 0.3), layout="constrained")
        ax = figure.subplots()
        for name, line in zip(names, ("unpruned", "pruned"), strict=True):
            estimates = replay[line]
            values = np.array([each["value"] for each in estimates]) * score.scale
            ax.plot(budgets, values, color=styles[name].colour, linestyle=styles[name].line, label=name)
            if estimates[0]["interval"] is not None:
                low, high = (
                    np.array([each["interval"][end] for each in estimates]) * score.scale
                    for end in ("low", "high")
                )
                ax.fill_between(budgets, low, high, color=styles[name].colour, alpha=0.15, linewidth=0)
        ax.axvline(replay["budget"], color="0.6", linewidth=0.8)
        ax.set_xlabel(f"spent, {unit_name(replay['unit'])}")
        ax.set_ylabel(f"test {score.axis}")
        legend_above(figure, ax)
    return figure
