"""The figures of methods that delete single weights, with their words; for any table with such arms."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

from harness.trial_table import PARAMETER_PREFIX
from reports.arms.arm import Arm
from reports.figures.deletion import (
    Layer,
    deletion_path,
    draw_error_by_deletions,
    draw_layers,
    draw_score_by_value,
    layers_of,
)
from reports.figures.style import Drawing, MethodStyle, Placed, file_name, grouped
from reports.settings import Settings
from reports.wording import ScoreWords, count, number

T = TypeVar("T")

Styles = Mapping[str, MethodStyle]
_COLUMN = "layer_weights"
#: What a history must tell, for a path to be drawn.
_PATH = {"trial_id", "epoch", "parameters", "nonzeros", "val_loss"}
#: A path of fewer points is none.
_FEWEST = 3


def deletion_figures(
    part: Mapping[str, Arm],
    histories: pd.DataFrame | None,
    cell: str,
    styles: Styles,
    score: ScoreWords,
    settings: Settings,
) -> Iterator[Placed]:
    """Error against deletions, score and deleted share against a searched value, deletion by layer.

    Args:
        part: the cell's arms by method.
        histories: of the cell, one row an epoch of a trial, or None.
        cell: its name.
    """
    deleting = {method: arm for method, arm in part.items() if any(_layers(arm))}
    paths = {method: _paths(arm, histories) for method, arm in part.items()} if histories is not None else {}
    paths = {method: own for method, own in paths.items() if own}
    groups = grouped(list(styles))
    for number_of_group, methods in enumerate(groups, start=1):
        key = file_name(cell) if len(groups) == 1 else file_name(cell, str(number_of_group))
        drawings = (
            _by_deletions(key, _some(paths, methods), cell, styles),
            _by_value(key, _some(deleting, methods), cell, styles, score, settings),
        )
        yield from (Placed(drawing, cell, "deletion") for drawing in drawings if drawing is not None)
    for method, arm in deleting.items():
        yield Placed(_by_layer(method, arm, cell, score), cell, "deletion")


def _some(parts: Mapping[str, T], methods: Sequence[str]) -> dict[str, T]:
    return {method: parts[method] for method in methods if method in parts}


def _paths(arm: Arm, histories: pd.DataFrame) -> list[pd.DataFrame]:
    """Of each trial in whose network more and more parameters became zero, and not merely went with units."""
    if "trial_id" not in arm.facts or not set(histories.columns) >= _PATH:
        return []
    own = histories[histories["trial_id"].isin(arm.facts["trial_id"]) & histories["nonzeros"].notna()]
    found = []
    for _, trial in own.groupby("trial_id"):
        zeros = (trial["parameters"] - trial["nonzeros"])[trial["val_loss"].notna()]
        if zeros.nunique() >= _FEWEST and zeros.iloc[-1] > zeros.iloc[0]:
            found.append(deletion_path(trial))
    return [path for path in found if len(path) >= _FEWEST]


def _by_deletions(
    key: str, paths: Mapping[str, list[pd.DataFrame]], cell: str, styles: Styles
) -> Drawing | None:
    if not paths:
        return None
    words = []
    for method, found in paths.items():
        first, last = (float(np.median([path["val_loss"].iloc[end] for path in found])) for end in (0, -1))
        most = max(int(path["deleted"].max()) for path in found)
        words.append(
            f"{method}: {count(len(found))} trials, up to {count(most)} deleted; the median loss goes from "
            f"{number(first)} to {number(last)}."
        )
    return Drawing(
        file_name("deletions", key),
        "Error against deletions",
        "One line a trial: the validation loss when so many parameters had become zero or were gone; after "
        "the training that followed, where there was any. Weights that go with idle units count too.",
        f"Validation loss on {cell}. " + " ".join(words),
        draw_error_by_deletions(paths, styles),
    )


def _by_value(
    key: str, arms: Mapping[str, Arm], cell: str, styles: Styles, score: ScoreWords, settings: Settings
) -> Drawing | None:
    """Of the searched value that most of the arms have at three points or more."""
    points: dict[str, dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    for method, arm in arms.items():
        layers = _layers(arm)
        has = arm.scored & np.array([bool(each) for each in layers])
        facts = arm.facts[has]
        shares = np.array([_share(each) for each, told in zip(layers, has, strict=True) if told])
        for name in (column for column in map(str, facts.columns) if column.startswith(PARAMETER_PREFIX)):
            values = pd.to_numeric(facts[name], errors="coerce").to_numpy(dtype=float)
            if len(np.unique(values[np.isfinite(values)])) >= _FEWEST:
                scores = facts[settings.test_column].to_numpy(dtype=float) * score.scale
                points.setdefault(name, {})[method] = values, scores, shares
    if not points:
        return None
    name = max(points, key=lambda each: len(points[each]))
    label = name.removeprefix(PARAMETER_PREFIX)
    words = [
        f"{method}: from {number(float(values.min()))} to {number(float(values.max()))} of {label}, "
        f"{100 * float(shares.min()):.1f} % to {100 * float(shares.max()):.1f} % of the weights went."
        for method, (values, _, shares) in points[name].items()
    ]
    return Drawing(
        file_name("deletion", label, key),
        f"Test {score.name} and deleted share against {label}",
        "One point a trial. The share is of the weights of layers, without biases and normalisations.",
        f"On {cell}. " + " ".join(words),
        draw_score_by_value(points[name], styles, label, f"test {score.axis}"),
    )


def _layers(arm: Arm) -> list[dict[str, Layer]]:
    """Of each trial what is left of its layers; empty where no weight was deleted."""
    if _COLUMN not in arm.facts:
        return [{}] * arm.trials
    return [layers_of(text) for text in arm.facts[_COLUMN]]


def _share(layers: Mapping[str, Layer]) -> float:
    started = sum(layer.started for layer in layers.values())
    return 1 - sum(layer.left for layer in layers.values()) / started if started else 0.0


def _by_layer(method: str, arm: Arm, cell: str, score: ScoreWords) -> Drawing:
    """Of the trial with the best validation score among those that have the column."""
    every = _layers(arm)
    has = np.array([place for place, each in enumerate(every) if each])
    layers = every[has[int(np.argmax(arm.validation[has]))]]
    most = max(layers, key=lambda name: layers[name].deleted)
    least = min(layers, key=lambda name: layers[name].deleted)
    return Drawing(
        file_name("layers", cell, method),
        f"Deletion by layer, {method}",
        f"The trial with the best validation {score.name}. Above, the share of each layer's weights that "
        "went between the start and the selected network; below, how the others are distributed, later "
        "layers darker.",
        f"{method} on {cell}: most went of {most}, {100 * layers[most].deleted:.1f} %, least of {least}, "
        f"{100 * layers[least].deleted:.1f} %.",
        draw_layers(layers),
    )
