"""From evidence to contrasts: families adjusted, estimates worded, verdicts given."""

from dataclasses import replace

import numpy as np

from reports.arms.arm import Arm
from reports.arms.costs import costs_up_to, own_cost
from reports.arms.tracks import arm_track
from reports.comparison.across import across
from reports.comparison.cheap import cost_at_n
from reports.comparison.estimates import (
    bounded_ratio,
    difference_estimate,
    inverse,
    matched_estimate,
    saving_estimate,
    target_ratios,
)
from reports.comparison.evidence import Evidence, share_of, sides_of
from reports.comparison.families import Adjusted
from reports.comparison.settling import settle
from reports.comparison.sub_spaces import space_sentence, sub_boxes
from reports.comparison.verdicts import OPEN_KINDS, Case, judge, verdict
from reports.comparison.win_map import win_map
from reports.results.contrast import Contrast, Matched, NonInferiority, Saving, Test, Verdict
from reports.results.estimate import Estimate
from reports.scope import FEWEST_TRIALS, Scope
from reports.statistics.matching import Gap, gap
from reports.wording import ScoreWords


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
    case = _case(evidence, adjusted, scope, score)
    level = adjusted.saving_level.get(scope.cost, scope.level)
    refused = _refused(evidence, test, level, scope, verdict(case))
    if evidence.gap is None or base is None:
        return refused
    ratios = evidence.ratios
    savings = tuple(_saving(evidence, evidence.gap, base, unit, adjusted, scope) for unit in ratios)
    primary = next(saving for saving in savings if saving.primary)
    matched = _matched(evidence, evidence.gap, scope)
    win = win_map(evidence, matched[0], scope)
    non_inferiority = _non_inferiority(evidence, evidence.gap, adjusted, scope)
    worse_level = 1 - (1 - adjusted.worse_level) / share_of(evidence.margin)
    difference_adjusted = difference_estimate(evidence.gap, worse_level)
    boxes = sub_boxes(evidence, scope)
    independent = not evidence.paired and not (arm.is_search or base.is_search)
    case = replace(
        case,
        saving=primary.ratio_adjusted,
        matched=matched[0].trials,
        searched_to=matched[0].searched_to,
        matched_reached=matched[0].trials.censored != "at_least",
        difference=difference_adjusted,
        non_inferiority=non_inferiority,
        win=win,
        cost_at_n=cost_at_n(evidence, adjusted.size, scope),
    )
    if judge(case) in OPEN_KINDS:
        case = replace(case, settle=settle(evidence, adjusted.size, scope))
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
        sub_boxes=boxes,
        depends_on_space=space_sentence(primary.ratio, boxes, base.method),
        verdict=verdict(case),
        across=across(evidence, adjusted.size, scope),
    )


def _case(evidence: Evidence, adjusted: Adjusted, scope: Scope, score: ScoreWords) -> Case:
    """What is known of a comparison before any estimate."""
    arm = evidence.method.arm
    base = evidence.baseline.arm if evidence.baseline else None
    return Case(
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
        score=score,
        look=scope.look,
    )


def _refused(evidence: Evidence, test: Test | str, level: float, scope: Scope, said: Verdict) -> Contrast:
    """A contrast without estimates."""
    arm = evidence.method.arm
    return Contrast(
        dataset=arm.dataset,
        architecture=arm.architecture,
        method=arm.method,
        baseline=evidence.baseline.arm.method if evidence.baseline else (scope.baseline or ""),
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
        verdict=said,
    )


def _without_failed(evidence: Evidence, baseline: Arm, scope: Scope) -> Estimate | None:
    """The difference at equal n over finished trials only: what failures contribute to it."""
    arms = baseline, evidence.method.arm
    if evidence.paired or not all(arm.is_independent for arm in arms):
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
    # Cost to match, m* C_B, is the inverse of a "saving" with n C_A set to 1.
    own = own_cost(evidence.method.arm, unit)
    own = replace(own, log=own.log - np.log(gap_.n))
    return Saving(
        unit=unit,
        ratio=saving_estimate(gap_, ratio, scope.level),
        ratio_adjusted=saving_estimate(gap_, ratio, level),
        bounded=bounded_ratio(gap_, ratio, scope.level),
        p_value=adjusted.saving_p_plain.get(unit),
        p_holm=adjusted.saving_p.get(unit),
        cost_to_match=inverse(saving_estimate(gap_, own, scope.level)),
        baseline_cost=gap_.n * float(costs_up_to(baseline, unit, gap_.n).mean()),
        primary=unit == scope.cost,
    )


def _matched(evidence: Evidence, gap_: Gap, scope: Scope) -> tuple[Matched, ...]:
    method, baseline = evidence.method, evidence.baseline
    if baseline is None or method.track is None or baseline.track is None:
        raise ValueError("a refusal matches nothing")
    rest = [n for n in scope.n_set if n != scope.n and n in baseline.track.m and not evidence.paired]
    others = [gap(method.track, baseline.track, n) for n in rest]
    return tuple(matched_estimate(each, scope.level) for each in (gap_, *others))


def _non_inferiority(
    evidence: Evidence, gap_: Gap, adjusted: Adjusted, scope: Scope
) -> NonInferiority | None:
    if not gap_.reaches(scope.n):
        return None
    parts = sides_of(evidence.margin) * share_of(evidence.margin)
    bar = gap_.limits(scope.n, 1 - (1 - adjusted.par_level) / parts)[0]
    level = 1 - scope.alpha / parts
    return NonInferiority(
        margin=evidence.margin,
        margin_source=scope.margin_rule,
        level=level,
        limit=bar,
        limit_unadjusted=gap_.limits(scope.n, level)[0],
        shown=bar > -evidence.margin,
        p_value=evidence.p_par,
        p_holm=adjusted.par_p,
    )
