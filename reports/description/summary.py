"""What every arm's trials came to: plain descriptions, no claims."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.cost_units import COST_COLUMNS
from reports.description.accounting import Arm
from reports.settings import Settings


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One arm in figures. Scores are in the units of the table.

    Attributes:
        trials: outcomes of any status.
        finished: outcomes of status ok, the only ones with a score.
        failed: all others.
        val_median, test_median, test_low_quartile, test_high_quartile, test_min, test_max: over finished
            trials; None where there is none.
        best_val: best validation score.
        best_test: test score of the trial with the best validation score (mean over ties), never the best
            test score.
        best_parameters: parameters of that trial's network (mean over ties).
        best_ties: number of trials that share the best validation score.
        parameters_median, parameters_low_quartile, parameters_high_quartile: over finished trials.
        cost_medians: cost column -> median over all outcomes, failed ones too, where recorded.
        cost_totals: cost column -> sum over all outcomes.
    """

    dataset: str
    architecture: str
    method: str
    trials: int
    finished: int
    failed: int
    val_median: float | None
    test_median: float | None
    test_low_quartile: float | None
    test_high_quartile: float | None
    test_min: float | None
    test_max: float | None
    best_val: float | None
    best_test: float | None
    best_parameters: float | None
    best_ties: int
    parameters_median: float | None
    parameters_low_quartile: float | None
    parameters_high_quartile: float | None
    cost_medians: dict[str, float]
    cost_totals: dict[str, float]


def summarise(trials: pd.DataFrame, arms: list[Arm], settings: Settings) -> tuple[ArmSummary, ...]:
    """Describes every arm, those without a trial too."""
    by_arm = trials.groupby(["dataset", "architecture", "method"])
    groups = {(str(d), str(a), str(m)): part for (d, a, m), part in by_arm}
    nothing = trials.iloc[:0]
    return tuple(_summarise_arm(arm, groups.get(arm, nothing), settings) for arm in arms)


def _summarise_arm(arm: Arm, trials: pd.DataFrame, settings: Settings) -> ArmSummary:
    done = trials[trials["status"] == "ok"]
    validation, test = done[settings.validation_column], done[settings.test_column]
    is_best = validation == (validation.min() if settings.lower_is_better else validation.max())
    best = done[is_best]
    sizes = done["parameters"] if "parameters" in done else pd.Series(dtype=float)
    costs = {name: trials[name].dropna() for name in COST_COLUMNS if name in trials}
    return ArmSummary(
        *arm,
        trials=len(trials),
        finished=len(done),
        failed=len(trials) - len(done),
        val_median=_quantile(validation, 0.5),
        test_median=_quantile(test, 0.5),
        test_low_quartile=_quantile(test, 0.25),
        test_high_quartile=_quantile(test, 0.75),
        test_min=_quantile(test, 0.0),
        test_max=_quantile(test, 1.0),
        best_val=_quantile(best[settings.validation_column], 0.5),
        best_test=_mean(best[settings.test_column]),
        best_parameters=_mean(sizes[is_best]) if len(sizes) else None,
        best_ties=len(best),
        parameters_median=_quantile(sizes, 0.5),
        parameters_low_quartile=_quantile(sizes, 0.25),
        parameters_high_quartile=_quantile(sizes, 0.75),
        cost_medians={name: float(values.median()) for name, values in costs.items() if len(values)},
        cost_totals={name: float(values.sum()) for name, values in costs.items() if len(values)},
    )


def _quantile(values: pd.Series, share: float) -> float | None:
    kept = values.dropna().to_numpy(dtype=float)
    return float(np.quantile(kept, share)) if len(kept) else None


def _mean(values: pd.Series) -> float | None:
    kept = values.dropna().to_numpy(dtype=float)
    # Sorted first, so that the order of the rows cannot move the last bit.
    return float(np.sort(kept).mean()) if len(kept) else None
