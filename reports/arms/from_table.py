"""Reads a trial table into arms, with every trial accounted for.

Scores are turned so that larger is better. A failed trial is never selected (validation score minus
infinity) and counts as the score of a failed trial; its cost counts. A trial that was stopped has the scores
and the cost that it had then; without a test score it is never selected either. Rows are put into one order
that depends on their contents only, so that nothing downstream can depend on the order of the table.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.trial_table import FAILURES, PARAMETER_PREFIX, SEARCHED
from reports.arms.arm import Arm
from reports.cost_units import COST_COLUMNS, DEVICE_SECONDS, DEVICE_SECONDS_PARTS, TRIALS
from reports.errors import TableError
from reports.settings import Settings
from reports.size_axes import SIZE_AXES
from reports.statistics.arrays import Floats, Integers

#: Of its trials, this share may lack a cost before the unit is withheld for the arm.
MISSING_COST_SHARE = 0.1


def read_arms(trials: pd.DataFrame, settings: Settings) -> list[Arm]:
    """All arms of a checked table (`reports.table.checks.TrialTable.trials`), sorted by their names."""
    if trials.empty:
        return []
    sign = -1.0 if settings.lower_is_better else 1.0
    rows = trials.assign(
        _validation=sign * trials[settings.validation_column], _test=sign * trials[settings.test_column]
    )
    finite = np.isfinite(rows["_validation"]) & np.isfinite(rows["_test"])
    rows["_scored"] = ~rows["status"].isin(FAILURES) & finite
    worst = _failed_scores(rows, settings)
    arms = []
    for (dataset, architecture, method), part in rows.groupby(
        ["dataset", "architecture", "method"], sort=True
    ):
        cell = (str(dataset), str(architecture))
        arms.append(_arm(*cell, str(method), part, worst[cell]))
    return arms


def _failed_scores(rows: pd.DataFrame, settings: Settings) -> dict[tuple[str, str], float]:
    """Per cell, the (turned) score that a failed trial counts as; see `Settings.failed_score`."""
    sign = -1.0 if settings.lower_is_better else 1.0
    scores = {}
    for (dataset, architecture), part in rows.groupby(["dataset", "architecture"], sort=True):
        finished = part.loc[part["_scored"], "_test"]
        told = part.get("failed_score", pd.Series(dtype=float)).dropna()
        if settings.failed_score is not None:
            value = sign * settings.failed_score
        elif len(told):
            if told.nunique() > 1:
                raise TableError(
                    f"{dataset}/{architecture}: column failed_score holds {told.min():g} and {told.max():g}; "
                    "allowed is one value a cell"
                )
            value = sign * float(told.iloc[0])
        elif finished.empty or (not settings.lower_is_better and finished.min() >= 0):
            value = 0.0
        else:
            value = float(finished.min())
        scores[str(dataset), str(architecture)] = value
    return scores


def _arm(dataset: str, architecture: str, method: str, part: pd.DataFrame, failed_score: float) -> Arm:
    label = f"{dataset}/{architecture}/{method}"
    lost = 0
    if "attempt" in part:
        lost = int((part["attempt"].fillna(1) - 1).clip(lower=0).sum())
    samplings = sorted(set(part["sampling"]))
    if len(samplings) > 1:
        raise TableError(f"{label}: its trials were sampled in more than one way: {', '.join(samplings)}")
    sampling = samplings[0]
    scored = part["_scored"].to_numpy(dtype=bool)
    validation = np.where(scored, part["_validation"].to_numpy(), -np.inf)
    test = np.where(scored, part["_test"].to_numpy(), failed_score)
    costs, filled, withheld = _costs(part)
    sizes, untold = _sizes(part, scored)
    keys = [*costs.values(), *reversed(sizes.values()), test, validation]
    order = np.lexsort(keys)
    pair = part["pair_id"].to_numpy(dtype=str)[order] if _complete(part, "pair_id") else None
    sampler = sorted({*part["sampler"]} - {""}) if "sampler" in part else []
    return Arm(
        dataset=dataset,
        architecture=architecture,
        method=method,
        sampling=sampling,
        sampler="; ".join(sampler),
        validation=validation[order],
        test=test[order],
        status=part["status"].to_numpy(dtype=str)[order],
        failed_score=failed_score,
        costs={unit: cost[order] for unit, cost in costs.items()},
        filled=filled,
        withheld=withheld | untold,
        sizes={axis: size[order] for axis, size in sizes.items()},
        search=_searches(part)[order] if sampling in SEARCHED else None,
        pair=pair,
        position=_optional(part, "index", order),
        parameters={
            name: values
            for name in sorted(map(str, part.columns))
            if name.startswith(PARAMETER_PREFIX) and (values := _parameter(part, name, order)) is not None
        },
        lost=lost,
        facts=part.iloc[order],
    )


def _complete(part: pd.DataFrame, name: str) -> bool:
    return name in part and bool(part[name].notna().all() and (part[name] != "").all())


def _numbers(values: pd.Series) -> Floats:
    """Numbers of a column, NaN where there is none."""
    return np.asarray(pd.to_numeric(values, errors="coerce"), dtype=np.float64)


def _optional(part: pd.DataFrame, name: str, order: Integers) -> Floats | None:
    return _numbers(part[name])[order] if _complete(part, name) else None


def _parameter(part: pd.DataFrame, name: str, order: Integers) -> Floats | None:
    """A numeric searched value, NaN where the trial has none; None if it is no number or never varies."""
    values = _numbers(part[name])
    if np.isfinite(values).sum() < 2 or np.nanmin(values) == np.nanmax(values):
        return None
    return values[order]


def _searches(part: pd.DataFrame) -> Integers:
    """Number of the search each trial belongs to; without that column all belong to one search."""
    if "replicate" not in part:
        return np.zeros(len(part), dtype=np.int64)
    return np.asarray(part["replicate"].fillna(0), dtype=np.int64)


def _sizes(part: pd.DataFrame, scored: npt.NDArray[np.bool_]) -> tuple[dict[str, Floats], dict[str, str]]:
    """Sizes of each trial by axis, and why an axis that was recorded is withheld.

    Trials without a score and size count as the arm's mean size.
    """
    told: dict[str, Floats] = {}
    withheld: dict[str, str] = {}
    for axis in SIZE_AXES:
        if axis not in part:
            continue
        sizes = _numbers(part[axis])
        known = np.isfinite(sizes) & (sizes > 0)
        absent = int((scored & ~known).sum())
        if known.any() and absent:
            withheld[axis] = f"{absent} of {int(scored.sum())} trials with scores have none, so no front"
        elif known.any():
            told[axis] = np.where(known, sizes, sizes[known].mean())
    return told, withheld


def _costs(part: pd.DataFrame) -> tuple[dict[str, Floats], dict[str, int], dict[str, str]]:
    """Cost of each trial by unit, how many were filled in, and why a recorded unit is withheld.

    A few missing costs are counted at the mean of the others: leaving such trials out would call them free.
    """
    recorded = {
        name: _numbers(part[name])
        for name in (*COST_COLUMNS, DEVICE_SECONDS)
        if name in part and part[name].notna().any()
    }
    if "train_seconds" in recorded and DEVICE_SECONDS not in recorded:
        extra = [
            np.nan_to_num(_numbers(part[name]))
            for name in DEVICE_SECONDS_PARTS
            if name in part and name != "train_seconds"
        ]
        share = np.ones(len(part))
        if "device_share" in part:
            share = np.nan_to_num(_numbers(part["device_share"]), nan=1.0)
        recorded[DEVICE_SECONDS] = (recorded["train_seconds"] + sum(extra)) * share
    costs: dict[str, Floats] = {TRIALS: np.ones(len(part))}
    filled: dict[str, int] = {}
    withheld: dict[str, str] = {}
    for unit, values in recorded.items():
        known = np.isfinite(values) & (values >= 0)
        absent = int((~known).sum())
        if absent > MISSING_COST_SHARE * len(part):
            withheld[unit] = f"{absent} of {len(part)} trials have no {unit}"
        elif values[known].mean() <= 0:
            withheld[unit] = f"{unit} is 0 throughout"
        else:
            costs[unit] = np.where(known, values, values[known].mean())
            filled[unit] = absent
    return costs, filled, withheld
