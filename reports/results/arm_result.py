"""What is said of one arm by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reports.results.estimate import Estimate
from reports.results.luck import Luck


@dataclass(frozen=True, slots=True)
class Accounting:
    """Where the planned trials of an arm went.

    planned = done + failed + not_run, or `balanced` is False. `lost` counts attempts that died with their
    worker: they ran again, are no outcomes and enter no estimate.
    """

    planned: int | None  # None: no design beside the table
    done: int  # outcomes that are no failures
    stopped: int  # of these, trials that were stopped: their score and cost are those they had then
    failed: int  # failures of the method; they rank worst, their cost counts
    lost: int
    not_run: int
    failed_by_status: Mapping[str, int]
    balanced: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """Estimates over a growing number of trials: `estimates[i]` belongs to best-of-`n[i]`.

    reliable_to: largest n with N >= 5 n; beyond it draw the curve dashed. The curve ends at N / 2.
    """

    quantity: str  # "test score", "validation score (median)", "parameters", ...
    n: tuple[int, ...]
    estimates: tuple[Estimate, ...]
    reliable_to: int
    limits: str = "pointwise"


@dataclass(frozen=True, slots=True)
class CostMean:
    """Mean cost of one trial of an arm in one unit, failed trials included."""

    unit: str
    mean: Estimate
    total: float | None
    filled: int = 0  # trials without a recorded cost, counted at the mean of the others


@dataclass(frozen=True, slots=True)
class TargetCost:
    """Trials and cost until a fixed target is reached by independent restarts (COCO's aRT).

    curve_cost / curve_probability: probability that the target has been reached by that cost; simulated
    restarts. Empty where no trial reached the target.
    """

    target: float
    target_source: str  # "given" or how it was derived from the data, which makes it descriptive
    score: Literal["validation", "test"]
    unit: str
    successes: int
    trials: int
    success_rate: Estimate
    expected_cost: (
        Estimate  # expected cost to target in `unit`; censored "at_least" where no trial reached it
    )
    pool_trials: float  # (N + 1) / (k + 1): mean position of the first success in this very pool
    quantile_trials: Mapping[str, int]  # "0.5" -> trials enough with that probability; empty if none
    curve_cost: tuple[float, ...] = ()
    curve_probability: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """One trial on the score-size front: chosen on validation, reported on test."""

    size: float
    test_score: float
    validation_score: float


@dataclass(frozen=True, slots=True)
class Contour:
    """Step curve: with n random trials the level-set is attained with this probability."""

    probability: float
    size: tuple[float, ...]
    score: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Front:
    """Score against size for one arm: expected hypervolume and typical fronts.

    Hypervolumes are shares of the rectangle between the reference point (largest size of the cell, score of
    a failed trial) and the best corner (smallest size, best score of the cell); sizes on a log10 scale.
    """

    n: int
    size_column: str
    expected_hypervolume: Estimate  # of n random trials, test scores
    hypervolume_validation: float  # of the validation-chosen front at its validation scores
    hypervolume_optimistic: float  # the same trials at their test scores, best reading
    hypervolume_pessimistic: float  # the same, trials that turn out to dominate another one left out
    chosen: tuple[FrontPoint, ...]
    contours: tuple[Contour, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """Plain description of an arm's test scores, failed trials counted as the score of a failed trial."""

    median: float | None
    interquartile_mean: float | None
    quantile_10: float | None
    quantile_90: float | None
    best_by_validation: float | None  # test score of the trial with the best validation score
    median_without_failed: float | None  # sensitivity row
    median_parameters: float | None


@dataclass(frozen=True, slots=True)
class ArmResult:
    """Everything about one arm (data set x architecture x method)."""

    dataset: str
    architecture: str
    method: str
    is_baseline: bool
    sampling: str  # iid, design, adaptive or pruned
    sampler: str
    trials: int  # N: done + failed
    searches: int  # replicated searches of an adaptive or pruned arm; 0 otherwise
    accounting: Accounting
    summary: Summary
    best_of_n: Curve | None
    median_of_n: Curve | None  # median best validation score, exact order-statistic limits
    optimism_of_n: Curve | None  # E[validation - test] of the selected trial
    size_of_n: Curve | None  # E[parameters] of the selected trial
    costs: tuple[CostMean, ...]
    targets: tuple[TargetCost, ...]
    front: Front | None  # of score and parameters
    fronts: Mapping[str, Front]  # size column -> front, on each axis that tells the cell's networks apart
    failed_score: float  # what a failed trial counts as
    notes: tuple[str, ...] = ()
    luck: Luck | None = None  # of arms whose points were trained more than once
