"""What an analysis yields: frozen, plain data, ready for JSON, with no NaN and no infinity anywhere.

Everything a report prints, tabulates or draws comes from here. Conventions:

* Scores are in the units of the table (accuracies 0 to 1). Where lower is better, levels (expected scores,
  targets) keep the table's sign, and every *difference* is turned so that positive means the method is
  better than the baseline.
* `None` as an end of an interval means "open": no finite limit exists. A number together with its censored
  flag means "at least (at most) this much; the data do not reach further".
* `None` as a value means "could not be computed"; the `note` beside it says why.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Literal

RESULTS_VERSION = 1

VerdictKind = Literal["saves", "costs more", "on par", "worse", "censored", "inconclusive", "refused"]
#: The closed list, in the order in which the rules are tried after the preconditions (`refused`) hold.
VERDICT_KINDS: tuple[VerdictKind, ...] = (
    "saves",
    "costs more",
    "on par",
    "worse",
    "censored",
    "inconclusive",
    "refused",
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Args:
        low: lower limit; `None` if open below.
        high: upper limit; `None` if open above.
        level: confidence level, e.g. .95 (two-sided unless `method` says one-sided).
        low_censored: the data do not reach below `low` ("at most low").
        high_censored: the data do not reach above `high`, or the end is open ("at least high").
        method: how the limits were computed, in a few words.
    """

    low: float | None
    high: float | None
    level: float
    low_censored: bool = False
    high_censored: bool = False
    method: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One number with its interval.

    `censored`: "" an ordinary estimate; "at_most" / "at_least": `value` is only a bound of the estimate.
    """

    value: float | None
    interval: Interval | None = None
    censored: Literal["", "at_most", "at_least"] = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Accounting:
    """Where the planned trials of an arm went.

    planned = done + failed + not_run, or `balanced` is False. `lost` counts attempts that died with their
    worker: they ran again, are no outcomes and enter no estimate.
    """

    planned: int | None  # None: no design beside the table
    done: int  # trials with scores that count
    failed: int  # outcomes of the method without a usable score; they rank worst, their cost counts
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
    sampling: str  # iid, design or adaptive
    sampler: str
    trials: int  # N: done + failed
    searches: int  # replicated searches of an adaptive arm; 0 otherwise
    accounting: Accounting
    summary: Summary
    best_of_n: Curve | None
    median_of_n: Curve | None  # median best validation score, exact order-statistic limits
    optimism_of_n: Curve | None  # E[validation - test] of the selected trial
    size_of_n: Curve | None  # E[parameters] of the selected trial
    costs: tuple[CostMean, ...]
    targets: tuple[TargetCost, ...]
    front: Front | None
    failed_score: float  # what a failed trial counts as
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WinGrid:
    """Probability that the method's best of m trials is on par with or better than the baseline's best of n.

    probability[i][j] belongs to n[i] (baseline) and m[j] (method). `headline` is the one at (n, m) =
    (headline_n, headline_m). `even_trials` is the smallest m with probability >= 1/2, None if not reached.
    """

    n: tuple[int, ...]
    m: tuple[int, ...]
    probability: tuple[tuple[float, ...], ...]
    margin: float
    headline_n: int
    headline_m: int
    headline: Estimate
    even_trials: int | None


@dataclass(frozen=True, slots=True)
class Matched:
    """m*(n): trials of the method whose expected best matches the baseline's best of n."""

    n: int
    trials: Estimate
    searched_to: int  # largest m looked at: half of the method's trials


@dataclass(frozen=True, slots=True)
class Saving:
    """Search cost of the baseline over that of the method at equal expected score; above 1 is a saving."""

    unit: str
    ratio: Estimate  # limits at the plain level
    ratio_adjusted: Estimate  # limits at the Holm level of the primary family (plain where not primary)
    p_value: float | None  # of ratio = 1, two-sided, by inverting the interval
    p_holm: float | None
    cost_to_match: Estimate | None  # m* times the mean cost of a trial of the method
    baseline_cost: float | None  # n times the mean cost of a trial of the baseline
    primary: bool  # the one unit of the claim


@dataclass(frozen=True, slots=True)
class RatioToTarget:
    """Expected cost to a fixed target, baseline over method."""

    target: float
    target_source: str
    score: Literal["validation", "test"]
    unit: str
    ratio: Estimate


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Is the method at best `margin` worse at equal n? One-sided limit of the difference."""

    margin: float
    margin_source: str
    limit: float | None  # lower one-sided limit of the difference, at the Holm level
    limit_unadjusted: float | None
    shown: bool
    p_value: float | None
    p_holm: float | None


@dataclass(frozen=True, slots=True)
class Test:
    """Comparison of two arms' distributions of test scores; A12 is P(first > second) + P(tie) / 2."""

    __test__ = False  # not a pytest class

    first: str  # method
    second: str  # baseline, or the other arm
    test: str  # name of the test and why it was chosen
    p_value: float
    p_adjusted: float | None
    adjustment: Literal["Holm", "Benjamini-Hochberg", "none"]
    a12: Estimate
    shift: Estimate  # Hodges-Lehmann
    quantile_differences: Mapping[str, float]  # "0.5", "0.9"
    kolmogorov_smirnov_p: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class SubBox:
    """The saving against a baseline searched only in a part of its space."""

    label: str
    bounds: Mapping[str, tuple[float, float]]
    baseline_trials: int
    unit: str
    saving: Estimate
    note: str = ""


@dataclass(frozen=True, slots=True)
class Settle:
    """How many trials per arm would settle an open question if the estimates stay where they are."""

    trials_per_arm: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One of seven kinds, by the first rule that matched.

    estimate: the saving in the claim's unit with its Holm-adjusted limits (None if refused).
    """

    kind: VerdictKind
    rule: str
    sentence: str
    estimate: Estimate | None
    unit: str
    n: int
    trials_baseline: int
    trials_method: int
    settle: Settle | None = None


@dataclass(frozen=True, slots=True)
class Contrast:
    """Method against baseline in one cell."""

    dataset: str
    architecture: str
    method: str
    baseline: str
    n: int
    level_adjusted: float  # confidence level of the Holm-adjusted limits of this contrast
    difference: Estimate | None  # E[best of n], method minus baseline, positive = method better
    difference_adjusted: Estimate | None
    difference_without_failed: Estimate | None  # sensitivity: only trials that finished, in both arms
    non_inferiority: NonInferiority | None
    matched: tuple[Matched, ...]  # the primary n first, then the other n of the study's set
    win: WinGrid | None
    savings: tuple[Saving, ...]
    target_ratios: tuple[RatioToTarget, ...]
    test: Test | None
    test_withheld: str  # why there is no test; empty if there is one
    sub_boxes: tuple[SubBox, ...]
    depends_on_space: str  # sentence; empty if no sub-box could be judged
    paired: bool
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Cell:
    """One data set x architecture."""

    dataset: str
    architecture: str
    arms: tuple[ArmResult, ...]
    contrasts: tuple[Contrast, ...]
    exploratory: tuple[Test, ...]  # all pairs of arms, Benjamini-Hochberg over all cells


@dataclass(frozen=True, slots=True)
class Pooled:
    """Savings of one method over cells, in one unit.

    these_cells: geometric mean over the cells of this study. new_datasets: the same for data sets yet to
    come (t on data-set means). With censored cells neither exists: then the median with its sign-test limits
    and the counts stand.
    """

    method: str
    unit: str
    cells: int
    datasets: int
    claimed_saving: int
    claimed_costing_more: int
    censored: int
    these_cells: Estimate
    new_datasets: Estimate
    new_datasets_sensitivity: Estimate  # Paule-Mandel with modified Knapp-Hartung
    median: Estimate
    sentence: str


@dataclass(frozen=True, slots=True)
class Profile:
    """Dolan-More profile: share of problems that a method solves within `ratio` times the cheapest cost."""

    method: str
    unit: str
    problems: int
    ratio: tuple[float, ...]
    share: tuple[float, ...]
    score: float  # area under the curve between ratio 1 and 4, divided by 3


@dataclass(frozen=True, slots=True)
class Warn:
    """One thing a careful reviewer would say; `severity` orders them: "serious" may overturn a verdict."""

    code: str
    severity: Literal["serious", "caution", "note"]
    sentence: str
    dataset: str = ""
    architecture: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """All that the report shows."""

    version: int
    baseline: str | None
    n: int
    n_set: tuple[int, ...]
    cost_unit: str
    cost_units: tuple[str, ...]
    confidence: float
    margin_rule: str
    failed_score_rule: str
    score_name: str
    lower_is_better: bool
    seed: int
    family_size: int
    headline: tuple[str, ...]
    cells: tuple[Cell, ...]
    pooled: tuple[Pooled, ...]
    profiles: tuple[Profile, ...]
    warnings: tuple[Warn, ...]


def to_json_able(value: object) -> object:
    """Turns results into dicts, lists, str, int, float, bool and None.

    Raises:
        ValueError: a number is NaN or infinite: a fault of the analysis, never to be printed.
        TypeError: a value of a kind that results must not hold.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: to_json_able(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json_able(item) for key, item in value.items()}
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Sequence):
        return [to_json_able(item) for item in value]
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a result is not a finite number")
        return value
    raise TypeError(f"results must be plain data, not {type(value).__name__}")
