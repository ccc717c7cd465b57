"""Score against what a search spends: the expected best over training FLOPs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from reports.arms.arm import Arm
from reports.arms.costs import costs_up_to
from reports.cost_units import unit_name
from reports.figures.curves import draw_curve
from reports.figures.style import (
    PANEL_HEIGHT_INCHES,
    WIDTH_INCHES,
    Drawing,
    MethodStyle,
    house_style,
    legend_above,
    log_axis,
)
from reports.statistics.arrays import Floats
from reports.wording import ScoreWords, amount, count, estimate

Plain = Mapping[str, Any]
#: With what a trial begins from, where it begins from any, or its own.
_UNITS = ("total_train_flops", "train_flops")


def budget_drawing(
    key: str,
    arms: Sequence[Plain],
    trials: Mapping[str, Arm],
    styles: Mapping[str, MethodStyle],
    score: ScoreWords,
    confidence: float,
) -> Drawing | None:
    """Expected best of n trials at what n trials cost on average; None where FLOPs are not recorded.

    Args:
        key: of the cell, for the file's name.
        arms: `ArmResult`s of one cell as plain data.
        trials: the same arms, by method.
        confidence: of the bands.
    """
    unit = next((unit for unit in _UNITS if all(unit in trials[arm["method"]].costs for arm in arms)), None)
    drawn = [arm for arm in arms if arm["best_of_n"] and len(_known(arm["best_of_n"])) > 1]
    if unit is None or not drawn:
        return None
    spent = {arm["method"]: _spent(trials[arm["method"]], unit, arm["best_of_n"]["n"]) for arm in drawn}
    told = "; ".join(f"{arm['method']} {count(trials[arm['method']].trials)}" for arm in drawn)
    words = []
    for arm in drawn:
        n, best = _known(arm["best_of_n"])[-1]
        paid = spent[arm["method"]][arm["best_of_n"]["n"].index(n)]
        words.append(
            f"{arm['method']}: {estimate(best, score.level)} is expected of {count(n)} of its "
            f"{count(trials[arm['method']].trials)} trials, for {amount(float(paid), unit)}."
        )
    return Drawing(
        f"budget-{key}",
        f"Expected test score against {unit_name(unit)}",
        "The expected best of n random trials, at what n trials cost: n times the mean of all trials of the "
        "arm, failed ones too; of searches that learn, of their first n. Bands: pointwise "
        f"{confidence * 100:.0f} % limits of the score; those of the cost are not in them. Pale: fewer than "
        f"five trials per n. A curve begins at one trial. Trials: {told}.",
        " ".join(words),
        draw_budget(drawn, spent, styles, score.scale, (unit_name(unit), f"expected test {score.axis}")),
    )


def draw_budget(
    arms: Sequence[Plain],
    spent: Mapping[str, Floats],
    styles: Mapping[str, MethodStyle],
    scale: float,
    labels: tuple[str, str],
) -> Figure:
    """Expected best of n trials against what they cost, with bands.

    Args:
        arms: `ArmResult`s of one cell as plain data, those with a curve.
        spent: method -> cost of as many trials as the curve is known at.
        scale: factor from the table's score to the axis.
        labels: of the x and the y axis.
    """
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, PANEL_HEIGHT_INCHES + 0.3), layout="constrained")
        ax = figure.subplots()
        for arm in arms:
            method = arm["method"]
            draw_curve(ax, arm["best_of_n"], styles[method], method, scale, at=spent[method])
        log_axis(ax.xaxis)
        ax.set(xlabel=labels[0], ylabel=labels[1])
        legend_above(figure, ax)
    return figure


def _known(curve: Plain) -> list[tuple[int, Plain]]:
    pairs = zip(curve["n"], curve["estimates"], strict=True)
    return [(n, best) for n, best in pairs if best["value"] is not None]


def _spent(arm: Arm, unit: str, trials: Sequence[int]) -> Floats:
    """Mean cost of so many trials."""
    return np.array([n * float(costs_up_to(arm, unit, n).mean()) for n in trials])
