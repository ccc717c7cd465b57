"""What is said of a method against the baseline in one cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reports.results.across import Across
from reports.results.estimate import Estimate

VerdictKind = Literal[
    "saves", "costs more", "cheaper", "on par", "worse", "censored", "inconclusive", "refused"
]


#: The closed list, in the order in which the rules are tried after the preconditions (`refused`) hold.
VERDICT_KINDS: tuple[VerdictKind, ...] = (
    "saves",
    "costs more",
    "cheaper",
    "on par",
    "worse",
    "censored",
    "inconclusive",
    "refused",
)


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
class BoundedRatio:
    """A saving as far as the trials can show it, at the plain level: m* counts from 1 to half of the trials.

    It is never censored, so it is what an average over cells is made of. held_low, held_high: that limit is
    the least or the most that the trials can show.
    """

    value: float
    low: float
    high: float
    least: float
    most: float
    held_low: bool
    held_high: bool


@dataclass(frozen=True, slots=True)
class Saving:
    """Search cost of the baseline over that of the method at equal expected score; above 1 is a saving."""

    unit: str
    ratio: Estimate  # limits at the plain level
    ratio_adjusted: Estimate  # limits at the Holm level of the primary family (plain where not primary)
    bounded: BoundedRatio
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
    level: float  # of a one-sided limit before adjustment; a quarter of alpha with a margin of 0
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
    """What would settle an open question: the chance to find a saving that was fixed beforehand.

    saving: which is truly there. trials: of each arm, the present number first. chance: for each, that the
    whole interval of the saving lies above 1, simulated from the baseline's trials. reason: the sentence.
    """

    saving: float
    trials: tuple[int, ...]
    chance: tuple[float, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One of eight kinds, by the first rule that matched.

    estimate: the saving in the claim's unit with its Holm-adjusted limits (None if refused). cost_at_n: what
    n trials of the method cost over n of the baseline; its limits have a tenth of alpha over all comparisons.
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
    cost_at_n: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Contrast:
    """Method against baseline in one cell."""

    dataset: str
    architecture: str
    method: str
    baseline: str
    n: int
    level_adjusted: float  # confidence level of the Holm-adjusted limits of this contrast
    # E[best of n], method minus baseline, positive = method better; None with too few trials for n
    difference: Estimate | None
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
    across: Across | None = None  # who is ahead at which n
