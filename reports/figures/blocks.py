"""Residual blocks over cycles of adding and pruning: what *Self-Optimizing Networks* (Lee) meant to show."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.arms.arm import Arm
from reports.figures.style import (
    PANEL_HEIGHT_INCHES,
    WIDTH_INCHES,
    Drawing,
    MethodStyle,
    Placed,
    file_name,
    grouped,
    house_style,
    legend_above,
)
from reports.statistics.arrays import Integers
from reports.wording import count

Styles = Mapping[str, MethodStyle]
_NEEDED = {"trial_id", "epoch", "phase", "blocks"}
#: What is done once is no cycle.
_FEWEST = 2


def block_figures(
    part: Mapping[str, Arm], histories: pd.DataFrame, cell: str, styles: Styles
) -> Iterator[Placed]:
    """Blocks over cycles, where an arm's trials gain or lose some.

    Args:
        part: the cell's arms by method.
        histories: of the cell, one row an epoch of a trial.
        cell: its name.
    """
    if not set(histories.columns) >= _NEEDED:
        return
    found = {}
    for method, arm in part.items():
        own = histories[histories["trial_id"].isin(arm.facts.get("trial_id", pd.Series(dtype="string")))]
        trials = [blocks_by_cycle(trial) for _, trial in own.groupby("trial_id")]
        if any(each.any() for each in trials) and max(map(len, trials)) > _FEWEST:
            found[method] = trials
    groups = grouped(list(styles))
    for number, methods in enumerate(groups, start=1):
        shown = {method: found[method] for method in methods if method in found}
        if not shown:
            continue
        key = file_name(cell) if len(groups) == 1 else file_name(cell, str(number))
        trials_told = "; ".join(f"{method} {count(len(trials))}" for method, trials in shown.items())
        drawing = Drawing(
            file_name("blocks", key),
            "Blocks over cycles",
            "One line a trial: residual blocks put in, less those taken out, at the end of each cycle; 0 is "
            "the network that it began with. The larger a point, the more trials are there. A trial that "
            f"ended earlier has no later cycle. Trials: {trials_told}.",
            f"On {cell}. " + " ".join(_words(method, trials) for method, trials in shown.items()),
            draw_blocks(shown, styles),
        )
        yield Placed(drawing, cell, "blocks")


def blocks_by_cycle(history: pd.DataFrame) -> Integers:
    """Blocks more than at the start, at the end of each cycle of one trial, before the first one first.

    A cycle begins with the phase that comes second in the trial, whenever it comes again.

    Args:
        history: rows of the trial with epoch, phase, blocks.
    """
    inorder = history.sort_values("epoch")
    begins = inorder["phase"] != inorder["phase"].shift()
    order = inorder.loc[begins, "phase"].tolist()
    second = order[1] if len(order) > 1 else None
    cycle = (begins & (inorder["phase"] == second)).cumsum()
    found: Integers = inorder["blocks"].groupby(cycle).last().to_numpy(dtype=np.int64)
    return found


def draw_blocks(trials: Mapping[str, Sequence[Integers]], styles: Styles) -> Figure:
    """Blocks over cycles, one line a trial; lines of methods lie beside each other.

    Args:
        trials: method -> blocks of each of its trials: [cycles + 1].
    """
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, PANEL_HEIGHT_INCHES), layout="constrained")
        ax = figure.subplots()
        for place, (method, own) in enumerate(trials.items()):
            style, offset = styles[method], 0.1 * (place - (len(trials) - 1) / 2)
            for number, blocks in enumerate(own):
                ax.plot(
                    np.arange(len(blocks)) + offset,
                    blocks + offset,
                    color=style.colour,
                    linestyle=style.line,
                    linewidth=1.0,
                    alpha=0.5,
                    label=method if not number else None,
                )
            there = Counter((cycle, int(value)) for blocks in own for cycle, value in enumerate(blocks))
            x, y = np.array(list(there), dtype=float).T + offset
            sizes = 14 + 90 * np.array(list(there.values())) / len(own)
            ax.scatter(x, y, s=sizes, color=style.colour, marker=style.marker, alpha=0.6, linewidth=0)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="cycles", ylabel="blocks put in less those taken out")
        legend_above(figure, ax)
    return figure


def _words(method: str, trials: Sequence[Integers]) -> str:
    last = np.array([blocks[-1] for blocks in trials])
    cycles = max(map(len, trials)) - 1
    return (
        f"{method}: {count(len(trials))} trials, up to {count(cycles)} cycles; at the end "
        f"{_signed(last.min())} to {_signed(last.max())} blocks, median {_signed(float(np.median(last)))}."
    )


def _signed(number: float) -> str:
    return f"{number:+g}" if number else "0"
