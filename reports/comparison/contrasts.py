"""From evidence to contrasts: families adjusted, estimates worded, verdicts given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from reports.arms.from_table import Arm
from reports.comparison.estimates import (
    difference_estimate,
    inverse,
    matched_estimate,
    saving_estimate,
    target_ratios,
)
from reports.comparison.evidence import Evidence, factor_to_settle, shown_trials
from reports.comparison.sub_spaces import box_savings
from reports.comparison.verdicts import Case, verdict
from reports.results.results import (
    Contrast,
    Estimate,
    Interval,
    Matched,
    NonInferiority,
    Saving,
    Settle,
    SubBox,
    Test,
    WinGrid,
)
from reports.scope import FEWEST_TRIALS, Scope
from reports.statistics.best_of_n import trial_grid
from reports.statistics.matching import Gap, arm_track, gap, win_grid, win_limits, win_probability
from reports.statistics.savings import CostRatio, holm, unit_costs
from reports.wording import ScoreWords, number

#: Largest number of trials per side of the win-probability map, and to look for even chances.
MAP_TRIALS = 1_000
#: W's jackknife limits were calibrated from this many trials an arm.
WIN_TRIALS = 50


@dataclass(frozen=True, slots=True)
class Family:
    """Holm's outcome for one family of hypotheses: adjusted p-values and levels of limits by position."""

    p: tuple[float, ...]
    level: tuple[float, ...]


def family(p_values: Sequence[float], alpha: float) -> Family:
    """Applies Holm's procedure to one family."""
    if not p_values:
        return Family((), ())
    adjusted, levels = holm(np.asarray(p_values, dtype=np.float64), alpha)
    return Family(tuple(map(float, adjusted)), tuple(map(float, levels)))


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Levels and p-values of one contrast after its families were adjusted."""

    size: int
    saving_level: Mapping[str, float]
    saving_p: Mapping[str, float]
    saving_p_plain: Mapping[str, float]
    worse_level: float
    par_level: float
    par_p: float


def conclude(
    evidence: Evidence,
    adjusted: Adjusted,
    test: Test | str,
    targets: list[tuple[float, str]],
    scope: Scope,
    score: ScoreWords,
) -> Contrast:
    """The contrast with its verdict."""
    arm = evidence.method.arm
    base = evidence.baseline.arm if evidence.baseline else None
    level = adjusted.saving_level.get(scope.cost, scope.level)
    case = Case(
        cell=f"{arm.dataset} / {arm.architecture}",
        method=arm.method,
        baseline=base.method if base else (scope.baseline or "the baseline"),
        n=scope.n,
        trials_method=arm.trials,
        trials_baseline=base.trials if base else 0,
        unit=scope.cost,
        refusal=evidence.refusal,
        family=adjusted.size,
        level=scope.level,
        saving=None,
        matched=None,
        searched_to=0,
        matched_reached=False,
        difference=None,
        non_inferiority=None,
        win=None,
        settle=None,
        score=score,
    )
    refused = Contrast(
        dataset=arm.dataset,
        architecture=arm.architecture,
        method=arm.method,
        baseline=base.method if base else (scope.baseline or ""),
        n=scope.n,
        level_adjusted=level,
        difference=None,
        difference_adjusted=None,
        difference_without_failed=None,
        non_inferiority=None,
        matched=(),
        win=None,
        savings=(),
        target_ratios=(),
        test=None if isinstance(test, str) else test,
        test_withheld=test if isinstance(test, str) else "",
        sub_boxes=(),
        depends_on_space="",
        paired=evidence.paired,
        verdict=verdict(case),
    )
    if evidence.gap is None or base is None:
        return refused
    ratios = evidence.ratios
    savings = tuple(_saving(evidence, evidence.gap, base, unit, adjusted, scope) for unit in ratios)
    primary = next(saving for saving in savings if saving.primary)
    matched = _matched(evidence, evidence.gap, scope)
    win = _win(evidence, matched[0], scope)
    non_inferiority = _non_inferiority(evidence, evidence.gap, adjusted, scope)
    difference_adjusted = difference_estimate(evidence.gap, adjusted.worse_level)
    sub_boxes = _sub_boxes(evidence, scope)
    independent = not evidence.paired and "adaptive" not in (arm.sampling, base.sampling)
    case = replace(
        case,
        saving=primary.ratio_adjusted,
        matched=matched[0].trials,
        searched_to=matched[0].searched_to,
        matched_reached=matched[0].trials.censored != "at_least",
        difference=difference_adjusted,
        non_inferiority=non_inferiority,
        win=win,
        settle=_settle(evidence, level, scope),
    )
    return replace(
        refused,
        difference=difference_estimate(evidence.gap, scope.level),
        difference_adjusted=difference_adjusted,
        difference_without_failed=_without_failed(evidence, base, scope),
        non_inferiority=non_inferiority,
        matched=matched,
        win=win,
        savings=savings,
        target_ratios=tuple(target_ratios(base, arm, targets, list(ratios), scope)) if independent else (),
        sub_boxes=sub_boxes,
        depends_on_space=_space_sentence(primary.ratio, sub_boxes, base.method),
        verdict=verdict(case),
    )


def _without_failed(evidence: Evidence, baseline: Arm, scope: Scope) -> Estimate | None:
    """The difference at equal n over finished trials only: what failures contribute to it."""
    arms = baseline, evidence.method.arm
    if evidence.paired or any(arm.sampling != "iid" for arm in arms):
        return None
    if not any(arm.failed.any() for arm in arms):
        return difference_estimate(evidence.gap, scope.level) if evidence.gap else None
    base, method = (arm.taken(~arm.failed) for arm in arms)
    if min(base.trials, method.trials) < max(2 * scope.n, FEWEST_TRIALS):
        return Estimate(None, note="too few trials finished")
    return difference_estimate(
        gap(arm_track(method, scope.n_set), arm_track(base, scope.n_set), scope.n), scope.level
    )


def _saving(
    evidence: Evidence, gap_: Gap, baseline: Arm, unit: str, adjusted: Adjusted, scope: Scope
) -> Saving:
    ratio = evidence.ratios[unit]
    level = adjusted.saving_level.get(unit, scope.level)
    ours, theirs = unit_costs(baseline, unit), unit_costs(evidence.method.arm, unit)
    mean = float(theirs.mean())
    # Cost to match, m* C_B, is the inverse of a "saving" with n C_A set to 1.
    spread = float(theirs.std(ddof=1) / (mean * np.sqrt(theirs.size))) if theirs.size > 1 else 0.0
    inverted = np.asarray(-np.log(mean) - np.log(gap_.n))
    own = CostRatio(inverted, np.asarray(spread), np.asarray(max(theirs.size - 1.0, 1.0)))
    return Saving(
        unit=unit,
        ratio=saving_estimate(gap_, ratio, scope.level),
        ratio_adjusted=saving_estimate(gap_, ratio, level),
        p_value=adjusted.saving_p_plain.get(unit),
        p_holm=adjusted.saving_p.get(unit),
        cost_to_match=inverse(saving_estimate(gap_, own, scope.level)),
        baseline_cost=gap_.n * float(ours.mean()),
        primary=unit == scope.cost,
    )


def _matched(evidence: Evidence, gap_: Gap, scope: Scope) -> tuple[Matched, ...]:
    method, baseline = evidence.method, evidence.baseline
    if baseline is None or method.track is None or baseline.track is None:
        raise ValueError("a refusal matches nothing")
    rest = [n for n in scope.n_set if n != scope.n and n in baseline.track.m and not evidence.paired]
    others = [gap(method.track, baseline.track, n) for n in rest]
    return tuple(matched_estimate(each, scope.level) for each in (gap_, *others))


def _non_inferiority(evidence: Evidence, gap_: Gap, adjusted: Adjusted, scope: Scope) -> NonInferiority:
    value, se, df = gap_.at(scope.n)

    def limit(level: float) -> float:
        return value - float(special.stdtrit(df, level)) * se

    bar = limit(adjusted.par_level)
    return NonInferiority(
        margin=evidence.margin,
        margin_source=scope.margin_rule,
        limit=bar,
        limit_unadjusted=limit(scope.level),
        shown=bar > -evidence.margin,
        p_value=evidence.p_par,
        p_holm=adjusted.par_p,
    )


def _win(evidence: Evidence, matched: Matched, scope: Scope) -> WinGrid | None:
    method, baseline = evidence.method, evidence.baseline
    if baseline is None or method.ranking is None or baseline.ranking is None:
        return None
    if method.arm.sampling != "iid" or baseline.arm.sampling != "iid":
        return None
    ours, theirs = (method.ranking, method.arm.test), (baseline.ranking, baseline.arm.test)
    trials = baseline.arm.trials, method.arm.trials
    margin = evidence.margin
    rows = tuple(shown_trials(min(trials[0] // 2, MAP_TRIALS)))
    columns = tuple(shown_trials(min(trials[1] // 2, MAP_TRIALS)))
    search = trial_grid(min(trials[1] // 2, MAP_TRIALS))
    even = search[win_grid(ours, theirs, (scope.n,), search, margin)[0] >= 0.5]
    value = matched.trials.value
    m = scope.n if value is None else int(min(max(round(value), 1), trials[1] // 2))
    chance, se = win_probability(ours, theirs, scope.n, m, margin)
    chance = min(max(chance, 0.0), 1.0)
    interval, note = None, "limits are given from 50 trials an arm, and for unpaired arms"
    if min(trials) >= WIN_TRIALS and not evidence.paired:
        low, high = win_limits(chance, se, trials, scope.n, m, scope.level)
        interval, note = Interval(low, high, scope.level, method="logit t, jackknife"), ""
    grid = win_grid(ours, theirs, rows, np.array(columns), margin)
    return WinGrid(
        n=rows,
        m=columns,
        probability=tuple(tuple(map(float, row)) for row in grid),
        margin=margin,
        headline_n=scope.n,
        headline_m=m,
        headline=Estimate(chance, interval, note=note),
        even_trials=int(even[0]) if even.size else None,
    )


def _sub_boxes(evidence: Evidence, scope: Scope) -> tuple[SubBox, ...]:
    if evidence.baseline is None or evidence.baseline.arm.sampling != "iid" or evidence.paired:
        return ()
    found = []
    for result in box_savings(evidence.method, evidence.baseline, scope):
        estimate = Estimate(None, note=result.note)
        if result.gap is not None and result.ratio is not None:
            estimate = saving_estimate(result.gap, result.ratio, scope.level)
        count = int(result.box.inside.sum())
        found.append(SubBox(result.box.label, result.box.bounds, count, scope.cost, estimate, result.note))
    return tuple(found)


def _space_sentence(saving: Estimate, boxes: tuple[SubBox, ...], baseline: str) -> str:
    """Whether a saving (or loss) against the whole space survives in the parts of it that could be judged."""
    judged = [box for box in boxes if box.saving.value is not None and box.saving.interval is not None]
    if not judged or saving.value is None:
        return ""
    values = [box.saving.value for box in judged if box.saving.value is not None]
    if not _is_clear(saving):
        return (
            f"Against parts of {baseline}'s search space the saving runs from {number(min(values))}× to "
            f"{number(max(values))}×, against the whole of it {number(saving.value)}× (exploratory)."
        )
    gone = [box for box in judged if not _same_side(saving, box.saving)]
    side = "saving" if saving.value > 1 else "loss"
    if not gone:
        return (
            f"The {side} has the same direction against {baseline} in each of {len(judged)} parts of its "
            "search space (exploratory)."
        )
    farthest = min if saving.value > 1 else max
    worst = farthest(gone, key=lambda box: box.saving.value or 0.0)
    return (
        f"The answer depends on the space searched: against {baseline} searched only in the {worst.label} "
        f"({worst.baseline_trials} trials), the {side} is gone: {number(worst.saving.value)}× "
        f"({len(gone)} of {len(judged)} parts; exploratory)."
    )


def _is_clear(saving: Estimate) -> bool:
    """Whether the plain interval excludes 1."""
    limits = saving.interval
    if limits is None:
        return False
    above = limits.low is not None and limits.low > 1
    return above or (limits.high is not None and limits.high < 1 and not limits.high_censored)


def _same_side(whole: Estimate, part: Estimate) -> bool:
    if whole.value is None or part.value is None:
        return False
    return (whole.value > 1) == (part.value > 1)


def _settle(evidence: Evidence, level: float, scope: Scope) -> Settle:
    if evidence.baseline is None:
        raise ValueError("a refusal cannot be settled by more trials")
    present = min(evidence.method.arm.trials, evidence.baseline.arm.trials)
    factor, shown = factor_to_settle(evidence, scope.cost, level)
    if factor is None:
        return Settle(
            None,
            f"Even 100 times as many trials would not settle it if the estimates stay where they are; about "
            f"{4 * present:,} trials per arm would halve this interval.",
        )
    wanted = _rounded(factor * present)
    return Settle(
        wanted, f"About {wanted:,} trials per arm would show {shown} if the estimates stay where they are."
    )


def _rounded(value: float) -> int:
    """Up to two significant digits: nobody plans 143 trials."""
    step = 10 ** max(int(np.floor(np.log10(value))) - 1, 0)
    return int(np.ceil(value / step) * step)
