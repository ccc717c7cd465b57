"""Distributions per cell: every trial of every method, as in figure 2 of *ShrinkNets* (Leclerc et al.)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from reports.arms.arm import Arm
from reports.figures.style import (
    INK,
    MAX_VECTOR_POINTS,
    MUTED,
    WIDTH_INCHES,
    MethodStyle,
    house_style,
    label_methods,
    log_axis,
    spread,
)
from reports.statistics.arrays import Floats

#: A violin of fewer distinct values shows the kernel, not the trials.
_VIOLIN_FROM = 5
#: More methods than this leave no room for the word "failed" at each.
_WORDS_UP_TO = 5


@dataclass(frozen=True, slots=True)
class Panel:
    """What one distribution figure shows.

    Attributes:
        column: column of the trial table.
        label: the axis' label, with its unit.
        scale: factor from the column to the axis (100 for per cent).
        log: logarithmic axis.
        worse_is_low: bad values are low (an accuracy), so a zoom shows the upper part; else the lower.
    """

    column: str
    label: str
    scale: float = 1.0
    log: bool = False
    worse_is_low: bool = True


def draw_distributions(
    arms: Mapping[str, Arm], methods: Sequence[str], styles: dict[str, MethodStyle], panel: Panel
) -> Figure:
    """Violins with every point; failed trials stand apart below, in a strip "failed (k)".

    Trials that were stopped have a point where their scores are known, and stand nowhere else.

    Where a few bad values squeeze the rest (the whole range is over four times the range of the better three
    quarters), a second axis below shows the better part alone.

    Args:
        arms: those of one cell with trials, by method.
        methods: methods from left to right.
        styles: how each looks.
        panel: which column, on which axis.
    """
    values = {m: _values(arms.get(m), panel) for m in methods}
    failures = [int(arms[m].failed.sum()) if m in arms else 0 for m in methods]
    zoom = None if panel.log else _zoom_from(values, worse_is_low=panel.worse_is_low)
    heights = [2.7] if zoom is None else [1.7, 2.2]
    if any(failures):
        heights.append(0.4)
    with house_style():
        figure = Figure(
            figsize=(WIDTH_INCHES, sum(heights) + 0.4),
            layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.03, hspace=0.0),
        )
        axes = list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])
        _draw_violins(axes[0], methods, styles, values, panel)
        if zoom is not None:
            _draw_violins(axes[1], methods, styles, values, panel)
            axes[1].set_ylim(*zoom)
            axes[0].set_title("all")
            axes[1].set_title("the better part, larger")
        if any(failures):
            _draw_failures(axes[-1], methods, styles, failures)
        for ax in axes[:-1]:
            ax.set_xticks(range(len(methods)), [])
            ax.tick_params(axis="x", length=0)
        label_methods(axes[-1], methods)
    return figure


def _values(arm: Arm | None, panel: Panel) -> Floats:
    """What the trials with scores have in the panel's column, on the scale of the axis."""
    if arm is None or panel.column not in arm.facts:
        return np.zeros(0)
    values = arm.facts[panel.column].to_numpy(dtype=float)[arm.scored]
    kept: Floats = values[~np.isnan(values)] * panel.scale
    return kept


def _zoom_from(values: dict[str, np.ndarray], *, worse_is_low: bool) -> tuple[float, float] | None:
    """Limits of the better part, where a tail of bad values hides the differences; None where it does not."""
    kept = [v for v in values.values() if len(v) >= 2]
    if not kept:
        return None
    everything = np.concatenate(kept)
    if worse_is_low:
        inner, outer, tail = min(np.quantile(v, 0.25) for v in kept), everything.max(), everything.min()
    else:
        inner, outer, tail = max(np.quantile(v, 0.75) for v in kept), everything.min(), everything.max()
    width = abs(outer - inner)
    if width == 0 or abs(outer - tail) < 4 * width:
        return None
    edges = sorted((inner, outer))
    return edges[0] - 0.06 * width, edges[1] + 0.06 * width


def _draw_violins(
    ax: Axes,
    methods: Sequence[str],
    styles: dict[str, MethodStyle],
    values: dict[str, np.ndarray],
    panel: Panel,
) -> None:
    violins = [m for m in methods if len(np.unique(values[m])) >= _VIOLIN_FROM]
    if panel.log:
        ax.set_yscale("log")
    if violins:
        _draw_bodies(ax, methods, violins, styles, values, panel)
    many = sum(len(v) for v in values.values()) > MAX_VECTOR_POINTS
    for position, method in enumerate(methods):
        here, style = values[method], styles[method]
        ax.scatter(
            position + spread(here, 0.16),
            here,
            s=5 if many else 13,
            marker=style.marker,
            facecolor=style.colour,
            edgecolor="white",
            linewidth=0.3,
            alpha=0.85,
            zorder=3,
            rasterized=many,
        )
        if len(here) and method not in violins:
            ax.hlines(np.median(here), position - 0.25, position + 0.25, color=INK, linewidth=1.2, zorder=4)
        if not len(here):
            ax.text(
                position, 0.5, "none\nfinished", transform=ax.get_xaxis_transform(), ha="center", color=MUTED
            )
    ax.set_xlim(-0.6, len(methods) - 0.4)
    ax.set(xlabel="", ylabel=panel.label)
    ax.xaxis.grid(visible=False)
    everything = np.concatenate(list(values.values()))
    if panel.log:
        distinct = np.unique(everything)
        # matplotlib leaves a logarithmic axis without height where all values are one, up to rounding.
        if len(distinct) and distinct[-1] <= distinct[0] * (1 + 1e-9):
            ax.set_ylim(everything[0] / 2, everything[0] * 2)
        log_axis(ax.yaxis)
    elif len(everything):
        ax.yaxis.set_major_locator(MaxNLocator(nbins=7))
    else:
        ax.set_yticks([])


def _draw_bodies(
    ax: Axes,
    methods: Sequence[str],
    violins: Sequence[str],
    styles: dict[str, MethodStyle],
    values: dict[str, np.ndarray],
    panel: Panel,
) -> None:
    import seaborn  # a second and a half to import

    seaborn.violinplot(
        x=np.concatenate([np.full(len(values[m]), m, dtype=object) for m in violins]),
        y=np.concatenate([values[m] for m in violins]),
        order=list(methods),
        color="white",
        cut=0,
        inner="quart",
        density_norm="width",
        width=0.86,
        linewidth=1.1,
        log_scale=(None, True) if panel.log else None,
        ax=ax,
    )
    # Colours by hand: a hue would make seaborn walk through all pairs of methods.
    for body, method in zip(ax.collections, violins, strict=True):
        body.set(facecolor=styles[method].colour, alpha=0.3, edgecolor=INK)
    for line in ax.lines:
        line.set_color(INK)


def _draw_failures(
    ax: Axes, methods: Sequence[str], styles: dict[str, MethodStyle], failures: Sequence[int]
) -> None:
    """Failed trials, one point each, apart from the density: they have no score, and would vanish in it."""
    for position, (method, count) in enumerate(zip(methods, failures, strict=True)):
        style = styles[method]
        if count:
            ax.scatter(
                position + spread(np.zeros(count), 0.3),
                np.full(count, 0.25),
                s=13,
                marker=style.marker,
                facecolor="white",
                edgecolor=style.colour,
                linewidth=0.9,
                rasterized=sum(failures) > MAX_VECTOR_POINTS // 4,
            )
        words = f"failed ({count})" if len(methods) <= _WORDS_UP_TO else f"({count})"
        ax.text(position, 0.95, words, ha="center", va="top", fontsize=8.5, color=MUTED)
    if len(methods) > _WORDS_UP_TO:
        ax.set_ylabel("failed", rotation=0, ha="right", va="center")
    ax.set(ylim=(0, 1), xlim=(-0.6, len(methods) - 0.4), yticks=[])
    ax.grid(visible=False)
    ax.set_facecolor("#f5f5f5")
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
