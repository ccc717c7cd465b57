"""What the deletion of single weights did: figures 1 to 4 of *Optimal Lobotomy* (Lee)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports.figures.style import (
    PANEL_HEIGHT_INCHES,
    WIDTH_INCHES,
    MethodStyle,
    house_style,
    legend_above,
    log_axis,
    shorten,
)
from reports.statistics.arrays import Floats

#: Layers beyond this many would have names on top of each other.
_NAMED = 24


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's weights. started, left: how many there were, and are. most: the largest size of those left.
    counts: their histogram from -most to most."""

    started: int
    left: int
    most: float
    counts: Floats

    @property
    def deleted(self) -> float:
        """The share that went."""
        return 1 - self.left / self.started if self.started else 0.0


def layers_of(weights: object) -> dict[str, Layer]:
    """The layers of a network whose weights were deleted, in order, from the column of the trial table.

    Empty where the column holds nothing of the kind, as anybody's table may.
    """
    try:
        return {
            str(name): Layer(
                int(started), int(left), float(most), np.array(counts, dtype=np.float64).reshape(-1)
            )
            for name, (started, left, most, counts) in json.loads(str(weights)).items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}


def draw_error_by_deletions(
    paths: Mapping[str, Sequence[pd.DataFrame]], styles: Mapping[str, MethodStyle]
) -> Figure:
    """Validation loss against deleted weights, one line a trial.

    Args:
        paths: method -> for each trial rows with deleted and val_loss, in order (`deletion_path`).
    """
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, PANEL_HEIGHT_INCHES + 0.4), layout="constrained")
        ax = figure.subplots()
        for method, trials in paths.items():
            style = styles[method]
            for number, trial in enumerate(trials):
                ax.plot(
                    trial["deleted"],
                    trial["val_loss"],
                    color=style.colour,
                    linestyle=style.line,
                    linewidth=1.1,
                    alpha=0.8,
                    label=method if not number else None,
                )
        if all((trial["val_loss"] > 0).all() for trials in paths.values() for trial in trials):
            log_axis(ax.yaxis)
        ax.set_xlabel("parameters that have become zero or are gone")
        ax.set_ylabel("validation loss")
        legend_above(figure, ax)
    return figure


def deletion_path(history: pd.DataFrame) -> pd.DataFrame:
    """Deleted parameters and validation loss of one trial: the last interval at each number of them.

    Args:
        history: rows of the trial with epoch, nonzeros, val_loss.
    """
    inorder = history.sort_values("epoch")
    inorder = inorder[inorder["val_loss"].notna()]
    path = inorder.assign(deleted=inorder["nonzeros"].max() - inorder["nonzeros"])
    return path.groupby("deleted", as_index=False).last()[["deleted", "val_loss"]]


def draw_score_by_value(
    points: Mapping[str, tuple[Floats, Floats, Floats]],
    styles: Mapping[str, MethodStyle],
    value_label: str,
    score_label: str,
) -> Figure:
    """Test score, and below it the share of parameters that went, against a searched value.

    Args:
        points: method -> values, scores and shares of its trials: [trials] each.
    """
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, 4.6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        for method, (values, scores, shares) in points.items():
            style, order = styles[method], np.argsort(values, kind="stable")
            for ax, numbers in ((above, scores), (below, 100 * shares)):
                ax.plot(
                    values[order],
                    numbers[order],
                    color=style.colour,
                    marker=style.marker,
                    linestyle=style.line,
                    markersize=4,
                    label=method,
                )
        above.set_ylabel(score_label)
        below.set_ylabel("deleted (%)")
        below.set_xlabel(value_label)
        legend_above(figure, above)
    return figure


def draw_layers(layers: Mapping[str, Layer]) -> Figure:
    """Share of each layer's weights that went, and below it how the others are distributed."""
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, 5.0), layout="constrained")
        above, below = figure.subplots(2, 1)
        places = np.arange(len(layers))
        above.bar(places, [100 * layer.deleted for layer in layers.values()], color="#1845fb", width=0.7)
        above.set_ylabel("deleted (%)")
        above.set_ylim(0, 100)
        names = [shorten(name.removesuffix(".weight"), 14) for name in layers]
        step = max(1, -(-len(names) // _NAMED))
        above.set_xticks(places[::step], names[::step], rotation=60, ha="right", rotation_mode="anchor")
        widest = max((layer.most for layer in layers.values()), default=0.0)
        grey = np.linspace(0.75, 0.0, max(2, len(layers)))
        for shade, layer in zip(grey, layers.values(), strict=False):
            total = layer.counts.sum()
            if total:
                edges = np.linspace(-layer.most, layer.most, len(layer.counts) + 1)
                density = layer.counts / total / (edges[1] - edges[0])
                below.stairs(density, edges, color=(0.1, 0.27, 0.98, 1 - 0.8 * shade), linewidth=1.0)
        if widest:
            below.set_xlim(-widest, widest)
        below.set_xlabel("weight")
        below.set_ylabel("density of what is left")
    return figure
