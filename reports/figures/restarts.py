"""The score before and after each partial restart: the last table of *Partial Restart* (Han, Zhang)."""

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
    spread,
)
from reports.statistics.arrays import Floats
from reports.wording import ScoreWords, count

Styles = Mapping[str, MethodStyle]
#: What intervals are called in which units begin anew, before any step.
RESTART = "restart"
_NEEDED = {"trial_id", "epoch", "phase", "val_score"}
#: Fewer trials have no middle half.
_FEWEST = 4


def restart_figures(
    part: Mapping[str, Arm], histories: pd.DataFrame, cell: str, styles: Styles, score: ScoreWords
) -> Iterator[Placed]:
    """Score by restart, where an arm restarts; beside it the arms that are trained with the same phases.

    Args:
        part: the cell's arms by method.
        histories: of the cell, one row an epoch of a trial.
        cell: its name.
    """
    if not set(histories.columns) >= _NEEDED or not (histories["phase"] == RESTART).any():
        return
    after = phases_after(histories)
    found = {}
    for method, arm in part.items():
        own = histories[histories["trial_id"].isin(arm.facts.get("trial_id", pd.Series(dtype="string")))]
        scores = [scores_by_restart(trial, after) for _, trial in own.groupby("trial_id")]
        if any(np.isfinite(each[1:]).any() for each in scores) and len(_by_restart(scores)) > 1:
            found[method] = [each * score.scale for each in scores]
    groups = grouped(list(styles))
    for number, methods in enumerate(groups, start=1):
        shown = {method: found[method] for method in methods if method in found}
        if not shown:
            continue
        key = file_name(cell) if len(groups) == 1 else file_name(cell, str(number))
        words = [_words(method, trials, score) for method, trials in shown.items()]
        drawing = Drawing(
            file_name("restarts", key),
            f"Validation {score.name} by restart",
            "0 is before the first restart; then the last measurement of the training after each, and of "
            "arms without restarts after as much. Line: the median of the trials that came so far; band, of "
            f"{_FEWEST} trials or more: their middle half, from the first to the third quartile. One point a "
            f"trial; a trial that ended earlier is in no later number. Trials: {_counts(shown)}.",
            f"On {cell}. " + " ".join(words),
            draw_scores_by_restart(shown, styles, f"validation {score.axis}"),
        )
        yield Placed(drawing, cell, "restarts")


def phases_after(histories: pd.DataFrame) -> set[str]:
    """Names of the phases that begin the training after a restart."""
    inorder = histories.sort_values(["trial_id", "epoch"])
    same = inorder["trial_id"] == inorder["trial_id"].shift()
    follows = same & (inorder["phase"].shift() == RESTART) & (inorder["phase"] != RESTART)
    return set(inorder.loc[follows, "phase"])


def scores_by_restart(history: pd.DataFrame, after: set[str]) -> Floats:
    """Validation scores of one trial, before any restart and at the end of the training after each.

    Args:
        history: rows of the trial with epoch, phase, val_score.
        after: names of the phases that begin the training after a restart.
    """
    inorder = history[history["phase"] != RESTART].sort_values("epoch")
    begins = inorder["phase"].isin(after) & ~inorder["phase"].shift().isin(after)
    scores = inorder["val_score"].astype(float).groupby(begins.cumsum()).last()  # the last there is
    return np.asarray(scores.reindex(range(int(begins.sum()) + 1)), dtype=np.float64)


def draw_scores_by_restart(trials: Mapping[str, Sequence[Floats]], styles: Styles, label: str) -> Figure:
    """Median, middle half and single trials over the number of restarts.

    Args:
        trials: method -> scores of each of its trials: [restarts so far + 1].
        label: of the y axis.
    """
    with house_style():
        figure = Figure(figsize=(WIDTH_INCHES, PANEL_HEIGHT_INCHES + 0.3), layout="constrained")
        ax = figure.subplots()
        for place, (method, own) in enumerate(trials.items()):
            style, offset = styles[method], 0.08 * (place - (len(trials) - 1) / 2)
            by_restart = _by_restart(own)
            at = np.arange(len(by_restart)) + offset
            many = [len(scores) >= _FEWEST for scores in by_restart]
            low, high = (np.array([np.quantile(each, q) for each in by_restart]) for q in (0.25, 0.75))
            ax.fill_between(at, low, high, where=many, color=style.colour, alpha=0.13, linewidth=0)
            for x, scores in zip(at, by_restart, strict=True):
                ax.scatter(
                    x + spread(scores, 0.03),
                    scores,
                    s=9,
                    color=style.colour,
                    marker=style.marker,
                    alpha=0.35,
                    linewidth=0,
                )
            ax.plot(
                at,
                [np.median(scores) for scores in by_restart],
                color=style.colour,
                linestyle=style.line,
                marker=style.marker,
                markersize=4.5,
                label=method,
            )
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="restarts", ylabel=label)
        legend_above(figure, ax)
    return figure


def _by_restart(
    trials: Sequence[Floats],
) -> list[Floats]:
    """Scores of the trials that came so far and have one, for each number of restarts, as far as any came."""
    most = max(len(each) for each in trials)
    found = [np.array([each[number] for each in trials if len(each) > number]) for number in range(most)]
    finite = [scores[np.isfinite(scores)] for scores in found]
    return finite[: next((number for number, scores in enumerate(finite) if not len(scores)), most)]


def _counts(trials: Mapping[str, Sequence[Floats]]) -> str:
    return "; ".join(
        f"{method} {', '.join(count(len(scores)) for scores in _by_restart(own))}"
        for method, own in trials.items()
    )


def _words(method: str, trials: Sequence[Floats], score: ScoreWords) -> str:
    medians = [
        f"{score.level(float(np.median(scores)) / score.scale)} (n = {count(len(scores))})"
        for scores in _by_restart(trials)
    ]
    return f"{method}: median {medians[0]} before, {', '.join(medians[1:])} after each."
