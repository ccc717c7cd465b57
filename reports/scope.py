"""Fills in what neither the reader nor the study's design has set, by stated rules."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.design import StudyDesign
from harness.design_warnings import TRIALS_TO_DIFFER
from reports.arms.arm import Arm
from reports.cost_units import TRIALS
from reports.settings import Settings, Target
from reports.statistics.looks import spending
from reports.table.checks import is_accuracy

#: Numbers of trials that are reported beside the primary one.
N_SET = (1, 3, 5, 10)
#: Fewest trials of an arm that any interval is computed from.
FEWEST_TRIALS = 5


@dataclass(frozen=True, slots=True)
class Scope:
    """Settings with every gap filled. `margin` None: per cell, from the size of the test set."""

    baseline: str | None
    methods: tuple[str, ...]
    n: int
    n_set: tuple[int, ...]
    cost: str
    saving: float  # that the power of a study is told for
    margin: float | None
    margin_rule: str
    failed_score_rule: str
    targets: tuple[Target, ...]
    level: float
    alpha: float  # that claims spend: 1 - level, or the part of it that a declared look has
    look: str  # which of the declared looks this is, "" where none were declared
    refusal: str  # why nothing is claimed yet: before the first declared look
    sign: float  # -1 where lower is better: arms hold turned scores
    bounded: bool  # scores are accuracies between 0 and 1
    seed: int
    permutations: int
    resamples: int


def fill(settings: Settings, design: StudyDesign | None, arms: Sequence[Arm]) -> Scope:
    """Settings first, then the study's claim, then the defaults of `Settings`."""
    claim = design.claim if design else None
    baseline = settings.baseline or (claim.baseline if claim else None) or None
    present = sorted({arm.method for arm in arms} | {arm.method for arm in (design.arms if design else ())})
    controls = {arm.method for arm in (design.arms if design else ()) if arm.origin is not None}
    methods = settings.methods or tuple(name for name in present if name not in (baseline, *controls))
    n = settings.n or (claim.n if claim else None) or default_n(arms)
    if settings.margin is not None:
        margin, rule = settings.margin, "set for this report"
    elif claim is not None:
        margin, rule = claim.margin, "fixed in the study"
    else:
        margin, rule = (
            None,
            "one standard error of a test score, from the size of the test set (0 where unknown)",
        )
    alpha, look, refusal = _spent(design, arms, 1.0 - settings.confidence)
    if settings.failed_score is not None:
        failed = f"a failed trial counts as {settings.failed_score:g}"
    elif any("failed_score" in arm.facts and arm.facts["failed_score"].notna().any() for arm in arms):
        failed = (
            "a failed trial counts as the table says: unless the study says other, as a network that gives "
            "every example the same answer"
        )
    elif settings.lower_is_better:
        failed = "a failed trial counts as the worst finished score of its cell"
    else:
        failed = "a failed trial counts as 0 (as the worst finished score where scores can be negative)"
    return Scope(
        baseline=baseline,
        methods=methods,
        n=n,
        n_set=tuple(sorted({*N_SET, n})),
        cost=settings.cost or (claim.cost if claim else None) or TRIALS,
        saving=claim.saving if claim else 2.0,
        margin=margin,
        margin_rule=rule,
        failed_score_rule=failed,
        targets=settings.targets,
        level=settings.confidence,
        alpha=alpha,
        look=look,
        refusal=refusal,
        sign=-1.0 if settings.lower_is_better else 1.0,
        bounded=is_accuracy(settings),
        seed=settings.seed,
        permutations=settings.permutations,
        resamples=settings.resamples,
    )


def _spent(design: StudyDesign | None, arms: Sequence[Arm], alpha: float) -> tuple[float, str, str]:
    """The error that this page may spend, which look it is, and why it is none."""
    looks = design.claim.looks if design else ()
    if design is None or not looks:
        return alpha, "", ""
    planned = {(a.dataset, a.architecture, a.method): a for a in design.arms if a.origin is None}
    present = min((arm.trials for arm in arms if arm.name in planned), default=0)
    reached = sum(count <= present for count in looks)
    if not reached:
        return alpha, "", f"the first look that the study declared is at {looks[0]} trials an arm"
    share = float(spending(looks, alpha)[reached - 1])
    return share, f"look {reached} of {len(looks)} declared", ""


def default_n(arms: Sequence[Arm]) -> int:
    """A tenth of the smallest arm, at least 2, at most 10: more cannot be settled from so few trials."""
    if not arms:
        return 2
    return int(np.clip(min(arm.trials for arm in arms) // TRIALS_TO_DIFFER, 2, 10))


def margin_of(scope: Scope, baseline: Arm, level_of_baseline: float) -> float:
    """The margin in one cell: as set, or the noise of a test score sqrt(a (1 - a) / n_test)."""
    if scope.margin is not None:
        return scope.margin
    return score_noise(scope, baseline, level_of_baseline)


def score_noise(scope: Scope, arm: Arm, score: float) -> float:
    """Standard error of a measured accuracy from the number of test examples; 0 where unknown."""
    if not scope.bounded or "n_test" not in arm.facts:
        return 0.0
    sizes = arm.facts["n_test"].dropna()
    if sizes.empty or sizes.min() < 1:
        return 0.0
    share = float(np.clip(score, 0.0, 1.0))
    return float(np.sqrt(share * (1 - share) / sizes.min()))
