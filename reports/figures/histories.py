"""Units over epochs with the loss below, one line a trial: figure 1 of *ShrinkNets* (Leclerc et al.)."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.figures.style import WIDTH_INCHES, house_style, log_axis

#: More lines than this are a carpet; an even choice over the searched value is drawn.
MAX_LINES = 60
#: Viridis without its last tenth, a yellow that a white page swallows.
_COLOURS = ListedColormap(colormaps["viridis"](np.linspace(0, 0.9, 256)))


def draw_histories(histories: pd.DataFrame, value: str | None, value_label: str) -> Figure:
    """Live units, and below them the training loss, over the epochs of one arm's trials.

    Args:
        histories: rows of one arm with trial_id, epoch, units_total, train_loss and, if named, the value.
        value: column that colours the lines (logarithmic where positive throughout); None for one colour.
        value_label: label of the colour bar.
    """
    trials = chosen_trials(histories, value)
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, 4.6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        colours = np.full((len(trials), 4), (0.1, 0.27, 0.98, 0.6))
        if value is not None:
            numbers = np.array([float(trial[value].iloc[0]) for trial in trials])
            norm: Normalize = (
                LogNorm() if (numbers > 0).all() and numbers.max() > numbers.min() else Normalize()
            )
            norm.autoscale(numbers)
            mapped = ScalarMappable(norm, _COLOURS)
            colours = np.asarray(mapped.to_rgba(numbers))
            bar = figure.colorbar(mapped, ax=[above, below], location="top", aspect=45, pad=0.02)
            bar.set_label(value_label)
            bar.ax.xaxis.set_major_formatter(
                FuncFormatter(lambda number, _: f"{number:.0e}" if number < 0.01 else f"{number:g}")
            )
            bar.ax.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
        for trial, colour in zip(trials, colours, strict=True):
            above.plot(trial["epoch"], trial["units_total"], color=colour, linewidth=1.1)
            below.plot(trial["epoch"], trial["train_loss"], color=colour, linewidth=1.1)
        for ax, label, column in (
            (above, "units alive", "units_total"),
            (below, "training loss", "train_loss"),
        ):
            if (histories[column].dropna() > 0).all():
                log_axis(ax.yaxis)
            ax.set_ylabel(label)
        below.set_xlabel("epoch")
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def chosen_trials(histories: pd.DataFrame, value: str | None) -> list[pd.DataFrame]:
    """The trials to draw, in the order of the value: all, or `MAX_LINES` evenly spread over it."""
    trials = [part.sort_values("epoch") for _, part in histories.groupby("trial_id")]
    if value is not None:
        trials = [trial for trial in trials if np.isfinite(float(trial[value].iloc[0]))]
        trials.sort(key=lambda trial: float(trial[value].iloc[0]))
    if len(trials) <= MAX_LINES:
        return trials
    return [trials[int(i)] for i in np.linspace(0, len(trials) - 1, MAX_LINES).round()]
