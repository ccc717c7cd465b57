"""Methods beside their controls: a family of its own, so that controls cost the claims no power.

A control's trials begin from those of the method (`of:` in a study). What a method has over its control is
the method's; what the control has over the baseline as well is not.
"""

from collections.abc import Mapping, Sequence

from harness.design import ArmDesign, StudyDesign
from reports.comparison.contrasts import conclude
from reports.comparison.distribution_tests import distribution_test
from reports.comparison.estimates import difference_estimate
from reports.comparison.evidence import Evidence, Prepared, weigh
from reports.comparison.families import adjust
from reports.results.contrast import Contrast, Test
from reports.results.control_result import ControlResult
from reports.results.estimate import Estimate
from reports.scope import Scope
from reports.wording import ScoreWords

CellName = tuple[str, str]

#: Registered control -> what stands between a method and it.
_ASKS = {
    "gates-only": "would gates alone do, without a penalty and without removal?",
    "no-removal": "would as much training alone do, with nothing removed?",
    "oversized-l2": "would the starting size with weight decay do?",
    "random-removal": "does it matter what is removed, or would any do?",
    "restart-schedule-only": "would its learning rates and lengths alone do?",
    "scratch-b": "would the size that it found do, trained anew for as much computation?",
    "scratch-e": "would the size that it found do, trained anew for as long?",
    "scratch-elsewhere": "would a size found on other data do?",
    "stochastic-depth": "would dropping blocks in training alone do?",
}
_OTHER = "would this do as well?"


def control_arms(design: StudyDesign | None) -> dict[tuple[str, str, str], ArmDesign]:
    """The design's arms that begin from another's trials, by name."""
    arms = design.arms if design else ()
    return {(a.dataset, a.architecture, a.method): a for a in arms if a.origin is not None}


def judge_controls(
    cells: Mapping[CellName, Sequence[Prepared]],
    design: StudyDesign | None,
    scope: Scope,
    score: ScoreWords,
    paired: bool,
) -> tuple[ControlResult, ...]:
    """Every control in every cell against the method that it begins from, there."""
    controls = control_arms(design)
    pairs: list[tuple[Evidence, Test | str]] = []
    asked: list[ArmDesign] = []
    for name, sides in cells.items():
        by_method = {side.arm.method: side for side in sides}
        for side in sides:
            arm = controls.get((*name, side.arm.method))
            method = by_method.get(arm.origin.rpartition("/")[2]) if arm and arm.origin else None
            if arm is None or method is None:
                continue
            evidence = weigh(method, side, scope, paired)
            test: Test | str = evidence.refusal
            if evidence.baseline is not None and not (evidence.paired and evidence.refusal):
                test = distribution_test(evidence.method, evidence.baseline, scope, evidence.paired)
            pairs.append((evidence, test))
            asked.append(arm)
    found = []
    for arm, (evidence, _), (levels, test) in zip(asked, pairs, adjust(pairs, scope), strict=True):
        contrast = conclude(evidence, levels, test, [], scope, score)
        base = _baseline(cells[arm.dataset, arm.architecture], scope)
        asks = _ASKS.get(arm.registered, _OTHER)
        found.append(
            ControlResult(
                control=arm.method,
                asks=asks,
                contrast=contrast,
                method_gain=_gain(evidence.method, base, scope, paired),
                control_gain=_gain(evidence.baseline, base, scope, paired),
                sentence=_sentence(contrast, asks, score),
            )
        )
    return tuple(found)


def _baseline(sides: Sequence[Prepared], scope: Scope) -> Prepared | None:
    return next((side for side in sides if side.arm.method == scope.baseline), None)


def _gain(side: Prepared | None, base: Prepared | None, scope: Scope, paired: bool) -> Estimate | None:
    """How much better a side's best of n is than the baseline's; None if that cannot be told."""
    if side is None or base is None or side.arm.method == base.arm.method:
        return None
    evidence = weigh(side, base, scope, paired)
    return None if evidence.gap is None else difference_estimate(evidence.gap, scope.level)


def _sentence(contrast: Contrast, asks: str, score: ScoreWords) -> str:
    """The answer to what the control asks, in words."""
    place = f"{contrast.method} beside {contrast.baseline} on {contrast.dataset} / {contrast.architecture}"
    gap = contrast.difference_adjusted
    if gap is None or gap.value is None or gap.interval is None:
        return f"{place}: {contrast.verdict.sentence}"
    low, high = gap.interval.low, gap.interval.high
    limits = f"{score.difference(gap.value)} ({score.difference(low)} to {score.difference(high)})"
    if low is not None and low > 0:
        answer = "the method is better than that"
    elif high is not None and high < 0:
        answer = "that is better than the method"
    else:
        answer = "that cannot be told from the method"
    return f"{place}, best of {contrast.n}: {limits}; {asks} {answer[:1].upper()}{answer[1:]}."
