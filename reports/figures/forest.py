"""The forest of savings: what the baseline's search costs over what the method's costs, cell by cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.figures.style import INK, MUTED, WIDTH_INCHES, MethodStyle, house_style, shorten
from reports.wording import estimate, ratio

Plain = Mapping[str, Any]
_ROW_INCHES = 0.27


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One row: a heading (no estimate), one method's saving, or a pooled saving.

    Attributes:
        label: text on the left.
        saving: `Estimate` as plain data with the limits to draw, or None for a heading.
        plain: the same with unadjusted limits, drawn thick; None where there are none.
        method: whose style to use; "" for a heading.
        pooled: draw a diamond.
    """

    label: str
    saving: Plain | None = None
    plain: Plain | None = None
    method: str = ""
    pooled: bool = False


def draw_forest(rows: Sequence[ForestRow], styles: Mapping[str, MethodStyle], label: str) -> Figure:
    """Savings on a logarithmic axis with a line at 1; an arrow where an end is open or censored.

    Thin line: limits adjusted for all claims of the report; thick line: unadjusted.

    Args:
        rows: from top to bottom.
        styles: how each method looks.
        label: label of the axis.
    """
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, 0.75 + _ROW_INCHES * len(rows)), layout="constrained")
        ax = figure.subplots()
        low, high = _limits(rows)
        ax.set_xscale("log")
        ax.set_xlim(low, high)
        ax.axvline(1, color=INK, linewidth=1)
        for position, row in enumerate(rows):
            if row.saving is None:
                ax.axhspan(position - 0.5, position + 0.5, color="#f1f3f5", linewidth=0, zorder=0)
            else:
                _draw_row(ax, position, row, styles[row.method], low, high)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_yticks(range(len(rows)), [shorten(row.label, 22) for row in rows])
        for tick, row in zip(ax.get_yticklabels(), rows, strict=True):
            tick.set_fontweight("bold" if row.saving is None or row.pooled else "normal")
        ax.tick_params(axis="y", length=0, pad=9)
        ax.yaxis.grid(visible=False)
        ax.spines["left"].set_visible(False)
        ticks = [t for t in _TICKS if low <= t <= high]
        ax.xaxis.set_major_locator(FixedLocator(ticks))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:g}×" if value >= 1 else f"1/{1 / value:g}")
        )
        ax.set_xlabel(label)
    return figure


_TICKS = tuple(
    t for k in (1, 2, 5, 10, 20, 50, 100, 1000, 10000) for t in ((1 / k, float(k)) if k > 1 else (1.0,))
)


def _limits(rows: Sequence[ForestRow]) -> tuple[float, float]:
    """Wide enough for every finite end, but at most 1/100 to 100: beyond that an arrow says as much."""
    ends = [0.5, 2.0]
    for row in rows:
        if row.saving:
            interval = row.saving["interval"] or {"low": None, "high": None}
            ends += [v for v in (row.saving["value"], interval["low"], interval["high"]) if v]
    return max(min(ends) / 1.4, 0.008), min(max(ends) * 1.4, 125.0)


def _draw_row(ax: Axes, at: int, row: ForestRow, style: MethodStyle, low: float, high: float) -> None:
    saving = row.saving
    assert saving is not None
    words = estimate(saving, ratio)
    ax.text(1.02, at, words, transform=ax.get_yaxis_transform(), va="center", fontsize=9, color=INK)
    if saving["value"] is None:
        ax.text(np.sqrt(low * high), at, "no estimate", va="center", ha="center", fontsize=8.5, color=MUTED)
        return
    _draw_limits(ax, at, saving["interval"], style.colour, 1.1, low, high)
    if row.plain:
        _draw_limits(ax, at, row.plain["interval"], style.colour, 3.4, low, high)
    value = float(np.clip(saving["value"], low, high))
    marker = {"at_least": ">", "at_most": "<"}.get(saving["censored"], "d" if row.pooled else style.marker)
    size = 9 if row.pooled else 7
    ax.plot(
        [value], [at], marker=marker, markersize=size, color=style.colour, markeredgecolor="white", zorder=5
    )


def _draw_limits(
    ax: Axes, at: int, interval: Plain | None, colour: str, width: float, low: float, high: float
) -> None:
    if not interval:
        return
    left_open = interval["low"] is None or interval["low_censored"] or interval["low"] < low
    right_open = interval["high"] is None or interval["high_censored"] or interval["high"] > high
    left = low if interval["low"] is None else float(np.clip(interval["low"], low, high))
    right = high if interval["high"] is None else float(np.clip(interval["high"], low, high))
    ax.plot([left, right], [at, at], color=colour, linewidth=width, solid_capstyle="butt", zorder=3)
    if width < 2:  # arrows once, on the thin line
        for is_open, end, marker in ((left_open, left, "<"), (right_open, right, ">")):
            if is_open:
                ax.plot([end], [at], marker=marker, markersize=6, color=colour, zorder=4, clip_on=False)
            else:
                ax.plot([end], [at], marker="|", markersize=7, color=colour, zorder=4)
