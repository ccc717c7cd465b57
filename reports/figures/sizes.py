"""Score against size, with the front that validation chose; and win probabilities as a map."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.figures.style import (
    INK,
    MAX_VECTOR_POINTS,
    PANEL_HEIGHT_INCHES,
    WIDTH_INCHES,
    MethodStyle,
    house_style,
    legend_above,
    log_axis,
    short_names,
)
from reports.statistics.arrays import Floats

Plain = Mapping[str, Any]


def draw_score_against_size(
    points: Mapping[str, tuple[Floats, Floats]],
    fronts: Mapping[str, Plain],
    styles: Mapping[str, MethodStyle],
    scales: tuple[float, float],
    labels: tuple[str, str],
    *,
    worse_is_low: bool,
) -> Figure:
    """Every trial with scores at its size and test score; the front is chosen on validation and drawn at test
    scores.

    Args:
        points: sizes and test scores of the trials of each method.
        fronts: `Front` of each method as plain data.
        styles: how each method looks.
        scales: factors from the table's size and score to the axes.
        labels: of the x and the y axis.
        worse_is_low: bad scores are low, as for an accuracy.
    """
    many = sum(len(sizes) for sizes, _ in points.values()) > MAX_VECTOR_POINTS
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, PANEL_HEIGHT_INCHES + 0.3), layout="constrained")
        ax = figure.subplots()
        for method, front in fronts.items():
            style = styles[method]
            sizes, tests = points[method]
            ax.scatter(
                sizes * scales[0],
                tests * scales[1],
                s=5 if many else 14,
                marker=style.marker,
                color=style.colour,
                alpha=0.35,
                linewidth=0,
                rasterized=many,
            )
            chosen = sorted(front["chosen"], key=lambda point: float(point["size"]))
            ax.plot(
                [point["size"] * scales[0] for point in chosen],
                [point["test_score"] * scales[1] for point in chosen],
                color=style.colour,
                linestyle=style.line,
                marker=style.marker,
                markersize=6,
                markeredgecolor="white",
                markeredgewidth=0.6,
                label=method,
            )
        best = [point["test_score"] * scales[1] for front in fronts.values() for point in front["chosen"]]
        scores = np.concatenate([tests for _, tests in points.values()]) * scales[1]
        _show_better_part(ax, scores, np.array(best), worse_is_low=worse_is_low)
        log_axis(ax.xaxis)
        ax.set(xlabel=labels[0], ylabel=labels[1])
        legend_above(figure, ax)
    return figure


def _show_better_part(ax: Axes, scores: Floats, front: Floats, *, worse_is_low: bool) -> None:
    """Leaves a far tail of bad trials off the axis and says how many, so that fronts can be told apart."""
    if not len(scores) or not len(front):
        return
    sign = 1 if worse_is_low else -1  # turned, if need be, so that bad is low
    scores, front = sign * scores, sign * front
    low, high = min(np.quantile(scores, 0.1), front.min()), max(scores.max(), front.max())
    edge = low - 0.08 * (high - low)
    off = int((scores < edge).sum())
    if high > low and off and scores.min() < low - 0.6 * (high - low):
        ends = sorted((sign * edge, sign * (high + 0.05 * (high - low))))
        ax.set_ylim(*ends)
        words = f"{off} worse {'trial' if off == 1 else 'trials'} off the axis"
        at = 0.02 if worse_is_low else 0.93
        ground = {"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1.5}
        ax.text(0.99, at, words, transform=ax.transAxes, ha="right", fontsize=8.5, bbox=ground)


def draw_win_maps(contrasts: Sequence[Plain]) -> Figure:
    """Probability that the best of m trials of a method is on par with or better than the baseline's best of
    n.

    One panel a method; the line is where the chance is even, the dashed one where m = n.

    Args:
        contrasts: `Contrast`s of a cell as plain data, those with a win grid; three at most.
    """
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, 2.9), layout="constrained")
        axes = figure.subplots(1, len(contrasts), squeeze=False, sharey=True)[0]
        mesh = None
        for ax, contrast, name in zip(
            axes, contrasts, short_names([c["method"] for c in contrasts], most=13), strict=True
        ):
            win = contrast["win"]
            n, m = np.array(win["n"], dtype=float), np.array(win["m"], dtype=float)
            share = np.array(win["probability"]).reshape(len(n), len(m))
            mesh = ax.pcolormesh(
                _edges(m), _edges(n), share, cmap="cividis", vmin=0, vmax=1, rasterized=False
            )
            if min(share.shape) > 1 and share.min() < 0.5 < share.max():
                ax.contour(m, n, share, levels=[0.5], colors="white", linewidths=1.8)
            ends = (max(m[0], n[0]), min(m[-1], n[-1]))
            ax.plot(ends, ends, color="white", linestyle="--", linewidth=1.1)
            ax.plot(
                [win["headline_m"]],
                [win["headline_n"]],
                marker="*",
                markersize=10,
                color="white",
                markeredgecolor=INK,
            )
            ax.set(xscale="log", yscale="log", title=name, xlabel="m")
            for axis, values in ((ax.xaxis, m), (ax.yaxis, n)):
                _few_ticks(axis, values)
            ax.grid(visible=False)
        baseline = short_names([contrasts[0]["baseline"]])[0]
        axes[0].set_ylabel(f"n, trials of {baseline}")
        assert mesh is not None
        bar = figure.colorbar(mesh, ax=list(axes), location="bottom", aspect=45, pad=0.02)
        bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.1f}"))
        bar.outline.set_visible(False)
    return figure


def _edges(values: Floats) -> Floats:
    """Cell borders around grid values on a logarithmic axis."""
    if len(values) == 1:
        return np.array([values[0] / 1.3, values[0] * 1.3])
    logs = np.log(values)
    middle = (logs[1:] + logs[:-1]) / 2
    edges: Floats = np.exp(np.r_[2 * logs[0] - middle[0], middle, 2 * logs[-1] - middle[-1]])
    return edges


def _few_ticks(axis: Any, values: Floats) -> None:
    shown = [v for v in values if round(v) in (1, 2, 5, 10, 20, 50, 100, 200, 500)] or [values[0], values[-1]]
    axis.set_major_locator(FixedLocator(shown))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
