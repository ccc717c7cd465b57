"""What speaks for or against a method in one cell, before anything is adjusted or judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.design_warnings import FEWEST_SEARCHES
from reports.arms.arm import Arm
from reports.arms.costs import cost_ratio
from reports.arms.tracks import arm_track
from reports.scope import FEWEST_TRIALS, Scope, margin_of
from reports.statistics.arrays import settled
from reports.statistics.best_of_n import Ranking, rank
from reports.statistics.matching import Gap, Track, gap
from reports.statistics.savings import CostRatio


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An arm with what every contrast needs of it, computed once."""

    arm: Arm
    ranking: Ranking | None
    track: Track | None
    problem: str  # why no inference is possible, else ""

    @property
    def scores(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Test scores for ranks: trials without one are worst."""
        return np.where(self.arm.scored, self.arm.test, -np.inf)


def prepare(arm: Arm, scope: Scope, keep: bool = False) -> Prepared:
    """Ranks an arm and follows its best-of-m, or says why that is not possible.

    Args:
        arm: the trials.
        scope: names the numbers of trials that the track must hold.
        keep: keep leave-one-out values (paired studies).
    """
    ranking = rank(arm.validation) if arm.trials else None
    problem = _problem(arm)
    if problem:
        return Prepared(arm, ranking, None, problem)
    return Prepared(arm, ranking, arm_track(arm, scope.n_set, keep), "")


def _problem(arm: Arm) -> str:
    name = arm.method
    if arm.sampling == "design":
        return f"{name} was sampled by a design (grid or quasi-random), which is described and not tested"
    if arm.is_search:
        came = f"came from {arm.sampler or 'an adaptive sampler'}"
        if arm.sampling == "pruned":
            came = "were stopped early, some for what others had reached"
        if arm.searches < FEWEST_SEARCHES:
            return (
                f"the trials of {name} {came}, so formulas for independent trials are withheld; "
                f"{FEWEST_SEARCHES} replicated searches are needed, {arm.searches} found"
            )
        if arm.position is None:
            return f"the trials of {name} {came}, and the table lacks their order (column index)"
        return ""
    if arm.trials < FEWEST_TRIALS:
        return f"{name} has {arm.trials} trials, and no interval is computed from fewer than {FEWEST_TRIALS}"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """A method against the baseline in one cell.

    refusal: why nothing is claimed, else "". ratios: of mean costs, by cost unit. margin: how much worse is
    on par. p_worse (two-sided) and p_par (one-sided; two-sided with a margin of 0): of the difference at n
    against minus the margin, times `share_of`; None where the method has too few trials for n.
    """

    method: Prepared
    baseline: Prepared | None
    refusal: str
    paired: bool
    gap: Gap | None = None
    ratios: Mapping[str, CostRatio] = field(default_factory=dict)
    margin: float = 0.0
    p_worse: float | None = None
    p_par: float | None = None


def weigh(method: Prepared, baseline: Prepared | None, scope: Scope, paired_by_design: bool) -> Evidence:
    """Collects the evidence, or the reason to refuse."""
    refusal, pairing = _refusal(method, baseline, scope, paired_by_design)
    if refusal or baseline is None:
        return Evidence(method, baseline, refusal, pairing)
    if pairing:
        method, baseline = _aligned(method, scope), _aligned(baseline, scope)
    tracks = method.track, baseline.track
    if tracks[0] is None or tracks[1] is None:
        return Evidence(method, baseline, "an arm has no curve", pairing)
    difference = gap(tracks[0], tracks[1], scope.n, pairing)
    units = [unit for unit in baseline.arm.costs if unit in method.arm.costs]
    ratios = {unit: cost_ratio(baseline.arm, method.arm, unit, scope.n, pairing) for unit in units}
    reference = scope.sign * float(tracks[1].at(scope.n).value[0])
    margin = margin_of(scope, baseline.arm, reference)
    at_n = difference.reaches(scope.n)
    value = difference.at(scope.n)[0]
    if at_n and margin and settled(value + margin, margin) == 0.0:
        margin = -value  # worse by exactly the margin: rounding must not decide
    below = float(difference.chance_above(scope.n, -margin))
    above = float(difference.chance_below(scope.n, -margin))
    return Evidence(
        method=method,
        baseline=baseline,
        refusal="",
        paired=pairing,
        gap=difference,
        ratios=ratios,
        margin=margin,
        p_worse=min(1.0, 2 * share_of(margin) * below) if at_n else None,
        p_par=min(1.0, sides_of(margin) * share_of(margin) * above) if at_n else None,
    )


def sides_of(margin: float) -> int:
    """How many sides "on par" is asked from. With a margin of 0 it says "better", the other end of "worse":
    asked from one side, arms that are alike would be called better in twice as many studies as worse."""
    return 1 if margin > 0 else 2


def share_of(margin: float) -> int:
    """One over the share of alpha that words on the difference may spend beside those on the saving. With a
    margin of 0 arms that are alike can be called better, worse, cheaper or dearer, and costs are not tied to
    scores; with one they are on par, which is true."""
    return 1 if margin > 0 else 2


def _refusal(
    method: Prepared, baseline: Prepared | None, scope: Scope, paired_by_design: bool
) -> tuple[str, bool]:
    """The first precondition that does not hold, and whether the arms are paired."""
    if scope.refusal:
        return scope.refusal, False
    if baseline is None:
        name = scope.baseline or "no baseline was named"
        return (f"this cell has no trials of the baseline {name}" if scope.baseline else name), False
    for side in (baseline, method):
        if side.problem:
            return side.problem, False
    if baseline.arm.failed.all():
        return f"every trial of the baseline {baseline.arm.method} failed: there is nothing to match", False
    if not baseline.arm.scored.any():
        name = baseline.arm.method
        return f"no trial of the baseline {name} has a test score: there is nothing to match", False
    paired, problem = _pairing(method.arm, baseline.arm, paired_by_design)
    if problem:
        return problem, paired
    # The method needs trials for the m that match, not for n.
    if baseline.track is not None and scope.n > baseline.track.m[-1]:
        need, have = 2 * scope.n, f"{baseline.arm.trials} trials"
        if baseline.arm.search is not None:
            need, have = scope.n, f"searches of {int(baseline.track.m[-1])} trials"
        return f"n = {scope.n} needs {need} trials of {baseline.arm.method}, which has {have}", paired
    for side in (baseline, method):
        if scope.cost not in side.arm.costs:
            why = side.arm.withheld.get(scope.cost, f"the table has no {scope.cost} for them")
            return f"the claim is in {scope.cost}, which cannot be told for {side.arm.method}: {why}", paired
    return "", paired


def _pairing(method: Arm, baseline: Arm, by_design: bool) -> tuple[bool, str]:
    """Whether two arms are paired, and why that is not usable."""
    ours, theirs = method.pair, baseline.pair
    if ours is None or theirs is None:
        shared = ours is not None and theirs is not None
        if by_design and not shared:
            return True, "the study paired its arms, yet the table does not say which trials belong together"
        return False, ""
    common = np.intersect1d(ours, theirs)
    if common.size == 0:
        return False, ""
    if not (method.is_independent and baseline.is_independent):
        return (
            True,
            "the arms share draws and at least one is adaptive or pruned: no valid formula is known",
        )
    complete = common.size == ours.size == theirs.size == np.unique(ours).size == np.unique(theirs).size
    if not complete:
        return True, (
            f"the arms share draws, but only {common.size} of {max(ours.size, theirs.size)} trials form "
            "pairs; neither paired nor unpaired formulas hold"
        )
    return True, ""


def _aligned(side: Prepared, scope: Scope) -> Prepared:
    """The arm in the order of its pair labels, so that trials correspond."""
    arm = side.arm
    if arm.pair is None:
        raise ValueError("only paired arms can be aligned")
    return prepare(arm.taken(np.argsort(arm.pair, kind="stable")), scope, keep=True)
