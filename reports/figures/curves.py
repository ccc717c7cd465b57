"""Curves over growing effort: expected best of n trials, cost to a target, and the profile over problems."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.figures.style import (
    INK,
    MUTED,
    PANEL_HEIGHT_INCHES,
    WIDTH_INCHES,
    MethodStyle,
    house_style,
    legend_above,
    log_axis,
    mark_every,
)
from reports.statistics.arrays import Floats

Plain = Mapping[str, Any]


def draw_best_of_n(
    arms: Sequence[Plain],
    contrasts: Sequence[Plain],
    styles: Mapping[str, MethodStyle],
    n: int,
    scale: float,
    label: str,
) -> Figure:
    """Expected test score of the best-by-validation of n trials, with bands and the read-off of matched
    trials.

    Full strength while an arm has at least five trials per n, pale beyond. At the primary n a dotted line
    runs from the baseline's curve to where each method reaches it, and down to that number of trials.

    Args:
        arms: `ArmResult`s of one cell as plain data, those with a curve.
        contrasts: `Contrast`s of the cell.
        styles: how each method looks.
        n: the primary number of trials.
        scale: factor from the table's score to the axis.
        label: label of the y axis.
    """
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, PANEL_HEIGHT_INCHES + 0.3), layout="constrained")
        ax = figure.subplots()
        for arm in arms:
            draw_curve(ax, arm["best_of_n"], styles[arm["method"]], arm["method"], scale)
        _show_better_part(ax, [arm["best_of_n"] for arm in arms], scale)
        baseline = next((arm["best_of_n"] for arm in arms if arm["is_baseline"]), None)
        if baseline and n in baseline["n"]:
            level = baseline["estimates"][baseline["n"].index(n)]["value"]
            if level is not None:
                _draw_read_off(ax, contrasts, styles, n, level * scale)
        last = max(arm["best_of_n"]["n"][-1] for arm in arms)
        _count_axis(ax, last)
        ax.set(xlabel="n, trials searched (best by validation is kept)", ylabel=label)
        legend_above(figure, ax)
    return figure


def draw_curve(
    ax: Axes, curve: Plain, style: MethodStyle, name: str, scale: float, at: Floats | None = None
) -> None:
    """One arm's `Curve` with its band, pale where it is not reliable.

    Args:
        scale: factor from the table's score to the axis.
        at: where on the x axis each of its numbers of trials lies; at itself unless given.
    """
    places = curve["n"] if at is None else at
    kept = [
        (x, e, n <= curve["reliable_to"])
        for x, n, e in zip(places, curve["n"], curve["estimates"], strict=True)
        if e["value"] is not None
    ]
    n = np.array([point[0] for point in kept], dtype=float)
    value = np.array([point[1]["value"] for point in kept]) * scale
    sure = np.array([point[2] for point in kept], dtype=bool)
    band = [(x, e["interval"]) for x, e, _ in kept if e["interval"]]
    closed = [(x, i["low"] * scale, i["high"] * scale) for x, i in band if None not in (i["low"], i["high"])]
    if closed:
        x, low, high = np.array(closed, dtype=float).T
        ax.fill_between(x, low, high, color=style.colour, alpha=0.13, linewidth=0)
    ax.plot(n, value, color=style.colour, linestyle=style.line, alpha=0.35)
    ax.plot(
        n[sure],
        value[sure],
        color=style.colour,
        linestyle=style.line,
        marker=style.marker,
        markersize=4.5,
        markevery=mark_every(int(sure.sum())),
        label=name,
    )


def _show_better_part(ax: Axes, curves: Sequence[Plain], scale: float) -> None:
    """Leaves single trials (n = 1) off the axis where they would squeeze everything else, and says so."""
    first = [c["estimates"][0]["value"] for c in curves if c["n"][0] == 1]
    rest = [e["value"] for c in curves for n, e in zip(c["n"], c["estimates"], strict=True) if n > 1]
    single, shown = (np.array([v for v in values if v is not None]) * scale for values in (first, rest))
    if not len(single) or len(shown) < 2 or np.ptp(shown) == 0:
        return
    low, high, width = shown.min(), shown.max(), np.ptp(shown)
    is_low = low - single.min() > single.max() - high  # a lower-is-better score has its single trials on top
    if max(low - single.min(), single.max() - high) < 1.5 * width:
        return
    ax.set_ylim(low - (0.35 if is_low else 0.12) * width, high + (0.12 if is_low else 0.35) * width)
    words = f"n = 1: {single.min():.4g} to {single.max():.4g}, off the axis"
    ax.text(
        0.99, 0.03 if is_low else 0.93, words, transform=ax.transAxes, ha="right", fontsize=8.5, color=MUTED
    )


def _draw_read_off(
    ax: Axes, contrasts: Sequence[Plain], styles: Mapping[str, MethodStyle], n: int, level: float
) -> None:
    ax.plot([n], [level], marker="o", markersize=9, fillstyle="none", color=INK, linestyle="none", zorder=5)
    low, _ = ax.get_ylim()
    for contrast in contrasts:
        matched = next((m["trials"] for m in contrast["matched"] if m["n"] == n), None)
        if not matched or matched["value"] is None or matched["censored"] == "at_least":
            continue
        where, colour = matched["value"], styles[contrast["method"]].colour
        ax.plot([n, where, where], [level, level, low], color=colour, linewidth=1.1, linestyle=":", zorder=4)
        ax.plot([where], [low], marker="v", markersize=7, color=colour, clip_on=False, zorder=6)
    ax.set_ylim(bottom=low)


def _count_axis(ax: Axes, last: int) -> None:
    """Trials on a logarithmic axis with ticks at 1, 2, 5, 10, ... and no fractions."""
    ax.set_xscale("log")
    ticks = [t * 10**power for power in range(7) for t in (1, 2, 5) if t * 10**power <= max(last, 2)]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_xlim(0.93, max(last, 2) * 1.08)


def draw_cost_to_target(
    arms: Sequence[tuple[str, Plain]], styles: Mapping[str, MethodStyle], cost_label: str
) -> Figure:
    """Probability that a target has been reached by a cost, one curve a method.

    A method of which no trial reached the target has no curve; the legend says "0 of N".

    Args:
        arms: (method, `TargetCost` as plain data), all of one target and one unit.
        styles: how each method looks.
        cost_label: label of the x axis.
    """
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, PANEL_HEIGHT_INCHES + 0.3), layout="constrained")
        ax = figure.subplots()
        for method, target in arms:
            style = styles[method]
            name = f"{method}: {target['successes']} of {target['trials']} reach it"
            cost, share = target["curve_cost"], target["curve_probability"]
            ax.step(
                [cost[0], *cost] if cost else [],
                [0.0, *share] if cost else [],
                where="post",
                color=style.colour,
                linestyle=style.line,
                marker=style.marker,
                markersize=4.5,
                markevery=mark_every(len(cost) + 1),
                label=name,
            )
        ax.set(ylim=(0, 1.03), xlabel=cost_label, ylabel="probability of having reached it")
        if any(target["curve_cost"] for _, target in arms):
            log_axis(ax.xaxis)
        else:
            ax.set_xticks([])
            ax.text(
                0.5,
                0.5,
                "no trial of any method reached it",
                transform=ax.transAxes,
                ha="center",
                color=MUTED,
            )
        legend_above(figure, ax, columns=1)
    return figure


def draw_profile(profiles: Sequence[Plain], styles: Mapping[str, MethodStyle]) -> Figure:
    """Dolan-More profile: share of problems solved within a multiple of the cheapest method's cost."""
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, PANEL_HEIGHT_INCHES), layout="constrained")
        ax = figure.subplots()
        for profile in profiles:
            style = styles[profile["method"]]
            ax.step(
                [*profile["ratio"], 4.0],
                [*profile["share"], profile["share"][-1] if profile["share"] else 0.0],
                where="post",
                color=style.colour,
                linestyle=style.line,
                marker=style.marker,
                markersize=4.5,
                markevery=mark_every(len(profile["ratio"])),
                label=profile["method"],
            )
        ax.set(xlim=(1, 4), ylim=(-0.02, 1.03), ylabel="share of problems solved")
        ax.set_xlabel("cost, as a multiple of the cheapest method's")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        legend_above(figure, ax)
    return figure
