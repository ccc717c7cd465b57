"""What every arm's trials came to: plain descriptions, no claims."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.trial_table import FAILURES, OUTCOMES
from reports.arms.arm import Arm
from reports.cost_units import COST_COLUMNS
from reports.description.accounting import ArmName
from reports.description.lengths import length
from reports.settings import Settings
from reports.statistics.arrays import Floats

#: Sizes told beside parameters; what stands after them is told only where it was recorded.
SIZE_COLUMNS = ("nonzeros", "macs", "components", "cut_2", "cut_4")


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One arm in figures. Scores are in the units of the table.

    Attributes:
        trials: outcomes of any status.
        finished: outcomes of status ok.
        stopped: outcomes of status stopped; they have the scores that they had then, as far as known.
        failed: all others.
        val_median, test_median, test_low_quartile, test_high_quartile, test_min, test_max: over trials with
            both scores, finished or stopped; None where there is none.
        best_val: best validation score.
        best_test: test score of the trial with the best validation score (mean over ties), never the best
            test score.
        best_parameters: parameters of that trial's network (mean over ties).
        best_ties: number of trials that share the best validation score.
        parameters_median, parameters_low_quartile, parameters_high_quartile: over trials with both scores.
        size_medians: other column of a size (entries that are not zero, multiply-accumulates, how the network
            falls apart) -> median over the same trials, where recorded.
        epochs_median: epochs that a finished trial really trained; None where not recorded.
        cost_medians: cost column -> median over all outcomes, failed ones too, where recorded.
        cost_totals: cost column -> sum over all outcomes.
    """

    dataset: str
    architecture: str
    method: str
    trials: int
    finished: int
    stopped: int
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
    size_medians: dict[str, float]
    epochs_median: float | None
    cost_medians: dict[str, float]
    cost_totals: dict[str, float]


def summarise(arms: Sequence[Arm], names: Sequence[ArmName], settings: Settings) -> tuple[ArmSummary, ...]:
    """Describes every named arm, those without a trial too."""
    by_name = {arm.name: arm for arm in arms}
    sign = -1.0 if settings.lower_is_better else 1.0
    return tuple(_summarise_arm(name, by_name.get(name), sign) for name in names)


def _summarise_arm(name: ArmName, arm: Arm | None, sign: float) -> ArmSummary:
    outcomes = arm.outcomes if arm else dict.fromkeys(OUTCOMES, 0)
    validation, test, sizes = _scored(arm)
    is_best = validation == validation.max(initial=-np.inf)
    costs = {}
    if arm:
        costs = {unit: _known(arm.facts[unit]) for unit in COST_COLUMNS if unit in arm.facts}
    return ArmSummary(
        *name,
        trials=arm.trials if arm else 0,
        finished=outcomes["ok"],
        stopped=outcomes["stopped"],
        failed=sum(outcomes[status] for status in FAILURES),
        val_median=_quantile(sign * validation, 0.5),
        test_median=_quantile(sign * test, 0.5),
        test_low_quartile=_quantile(sign * test, 0.25),
        test_high_quartile=_quantile(sign * test, 0.75),
        test_min=_quantile(sign * test, 0.0),
        test_max=_quantile(sign * test, 1.0),
        best_val=_quantile(sign * validation[is_best], 0.5),
        best_test=_mean(sign * test[is_best]),
        best_parameters=_mean(sizes[is_best]),
        best_ties=int(is_best.sum()),
        parameters_median=_quantile(sizes, 0.5),
        parameters_low_quartile=_quantile(sizes, 0.25),
        parameters_high_quartile=_quantile(sizes, 0.75),
        size_medians=_size_medians(arm),
        epochs_median=length(arm).epochs if arm else None,
        cost_medians={unit: float(np.median(values)) for unit, values in costs.items() if values.size},
        cost_totals={unit: float(values.sum()) for unit, values in costs.items() if values.size},
    )


def _scored(arm: Arm | None) -> tuple[Floats, Floats, Floats]:
    """Turned validation and test scores and sizes (NaN where unknown) of the trials with scores."""
    if arm is None:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    validation, test = arm.validation[arm.scored], arm.test[arm.scored]
    if "parameters" not in arm.facts:
        return validation, test, np.full(test.size, np.nan)
    return validation, test, arm.facts["parameters"].to_numpy(dtype=float)[arm.scored]


def _size_medians(arm: Arm | None) -> dict[str, float]:
    found = {}
    for column in SIZE_COLUMNS:
        if arm is not None and column in arm.facts:
            median = _quantile(arm.facts[column].to_numpy(dtype=float, na_value=np.nan)[arm.scored], 0.5)
            if median is not None:
                found[column] = median
    return found


def _known(values: pd.Series | Floats) -> Floats:
    """The finite numbers, sorted, so that the order of the rows cannot move the last bit."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.sort(numbers[np.isfinite(numbers)])


def _quantile(values: Floats, share: float) -> float | None:
    kept = _known(values)
    return float(np.quantile(kept, share)) if kept.size else None


def _mean(values: Floats) -> float | None:
    kept = _known(values)
    return float(kept.mean()) if kept.size else None
