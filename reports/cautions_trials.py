"""Warnings that the trials themselves give: order, hardware, splits, copies, ties."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from harness.trial_table import PARAMETER_PREFIX
from reports.results import Warn
from reports.settings import Settings
from reports.wording import count, p_value

_ARM = ["dataset", "architecture", "method"]
#: A rank correlation with fewer trials than this says nothing.
_DRIFT_FROM = 15
_DRIFT_LEVEL = 0.01


def trial_warnings(trials: pd.DataFrame, settings: Settings, cost_unit: str) -> Iterator[Warn]:
    """Warnings found in the trials alone.

    Args:
        trials: the checked trials.
        settings: names the score columns.
        cost_unit: unit of the claim's cost, "" where there is no claim.
    """
    if trials.empty:
        return
    done = trials[trials["status"] == "ok"]
    yield from _same_columns(done, settings)
    yield from _drift(done, settings)
    yield from _hardware(trials, cost_unit)
    yield from _splits(trials)
    yield from _copies(trials)
    yield from _ties(done, settings)


def _same_columns(done: pd.DataFrame, settings: Settings) -> Iterator[Warn]:
    """Equal validation and test scores throughout: the test set chose the epoch and the trial."""
    validation, test = done[settings.validation_column], done[settings.test_column]
    if validation.nunique() >= 5 and bool((validation == test).all()):
        yield Warn(
            "test is validation",
            "serious",
            "Every trial's validation score equals its test score: the test set was used to select, and all "
            "scores here are too good.",
        )


def _drift(done: pd.DataFrame, settings: Settings) -> Iterator[Warn]:
    """Independent draws have no trend: one means a sampler that learns, a changed machine or changed code."""
    if "index" not in done:
        return
    tested = []
    for arm, part in done[done["sampling"] == "iid"].groupby(_ARM):
        score = part[settings.test_column]
        if len(part) >= _DRIFT_FROM and part["index"].nunique() == len(part) and score.nunique() > 1:
            result = stats.spearmanr(part["index"], score)
            tested.append((arm, float(result.statistic), float(result.pvalue)))
    for arm, correlation, p in tested:
        if p * len(tested) < _DRIFT_LEVEL:  # Bonferroni over the arms looked at
            yield Warn(
                "drift",
                "serious",
                f"Scores of {arm[2]} on {arm[0]} / {arm[1]} {'rise' if correlation > 0 else 'fall'} with the "
                "order "
                f"of its trials (rank correlation {correlation:.2f}, p {p_value(p)}): the trials may not be "
                "independent draws.",
                *map(str, arm),
            )


def _hardware(trials: pd.DataFrame, cost_unit: str) -> Iterator[Warn]:
    if "train_seconds" not in trials:
        return
    serious = cost_unit == "train_seconds"
    for column, words in (("device", "devices"), ("device_share", "shares of a device")):
        if column not in trials:
            continue
        kinds = trials[column].astype(str).groupby([trials["dataset"], trials["architecture"]]).unique()
        mixed = kinds[kinds.map(len) > 1]
        if len(mixed):
            (dataset, architecture), found = mixed.index[0], sorted(mixed.iloc[0])
            more = f" (and {count(len(mixed) - 1)} more cells)" if len(mixed) > 1 else ""
            shown = ", ".join(kind or "not recorded" for kind in found[:3])
            yield Warn(
                f"mixed {words}",
                "serious" if serious else "note",
                f"Trials of {dataset} / {architecture}{more} ran on different {words} ({shown}): their "
                "seconds "
                f"cannot be compared{', and the claim is about seconds' if serious else ''}. Training FLOPs "
                "can.",
                str(dataset),
                str(architecture),
            )


def _splits(trials: pd.DataFrame) -> Iterator[Warn]:
    if "split_seed" in trials and trials.groupby("dataset")["split_seed"].nunique().min() > 1:
        return
    known = "split_seed" in trials
    yield Warn(
        "one split",
        "note",
        (
            "All trials of a data set share one validation split"
            if known
            else "The validation split is not recorded"
        )
        + ": what holds for this split may not hold for the next.",
    )


def _copies(trials: pd.DataFrame) -> Iterator[Warn]:
    """Two trials of an arm at the same point of a continuous space: a seed was used twice."""
    names = [name for name in trials if str(name).startswith(PARAMETER_PREFIX)]
    keys = [*names, *(name for name in ("replicate", "split_seed") if name in trials)]
    if not names:
        return
    for arm, part in trials[trials["sampling"] == "iid"].groupby(_ARM):
        numbers = part[names].apply(pd.to_numeric, errors="coerce")
        is_continuous = bool((numbers.notna() & (numbers % 1 != 0)).any(axis=None))
        copies = int(part.duplicated(keys).sum())
        if is_continuous and copies:
            yield Warn(
                "copies",
                "serious",
                f"{count(copies)} of {count(len(part))} trials of {arm[2]} on {arm[0]} / {arm[1]} repeat the "
                "point of "
                "another trial in a continuous space: they are not independent draws (a seed used twice?).",
                *map(str, arm),
            )


def _ties(done: pd.DataFrame, settings: Settings) -> Iterator[Warn]:
    for arm, part in done.groupby(_ARM):
        values = part[settings.validation_column].to_numpy(dtype=float)
        if len(values) >= 5 and len(np.unique(values)) == 1:
            yield Warn(
                "ties",
                "caution",
                f"All finished trials of {arm[2]} on {arm[0]} / {arm[1]} have the same validation score: "
                "validation cannot choose between them.",
                *map(str, arm),
            )
