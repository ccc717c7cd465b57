"""The verdict on a method in one cell: eight kinds, tried in a fixed order, the first that matches wins.

`refused` stands for preconditions and is asked first; `inconclusive` is the default. All limits are those of
the primary family's Holm procedure.
"""

from dataclasses import dataclass

from reports.cost_units import TRIALS, unit_name
from reports.results.contrast import NonInferiority, Settle, Verdict, VerdictKind, WinGrid
from reports.results.estimate import Estimate
from reports.wording import ScoreWords, number


@dataclass(frozen=True, slots=True)
class Case:
    """All that a verdict rests on. Estimates carry Holm-adjusted limits.

    matched_reached: the matched number of trials has a point estimate within half of the method's trials.
    """

    cell: str
    method: str
    baseline: str
    n: int
    trials_method: int
    trials_baseline: int
    unit: str
    refusal: str
    family: int
    level: float
    score: ScoreWords
    look: str = ""
    saving: Estimate | None = None
    matched: Estimate | None = None
    searched_to: int = 0
    matched_reached: bool = False
    difference: Estimate | None = None
    non_inferiority: NonInferiority | None = None
    win: WinGrid | None = None
    settle: Settle | None = None
    cost_at_n: Estimate | None = None


#: What each rule asks, in words, by kind and in the order of asking.
RULES: dict[VerdictKind, str] = {
    "refused": "a precondition of every formula does not hold",
    "saves": "the lower Holm-adjusted limit of the saving is above 1",
    "costs more": "the baseline was matched, and the upper Holm-adjusted limit of the saving is below 1",
    "cheaper": "on par at equal n, and the upper limit of what n of its trials cost is below the baseline's",
    "on par": "at equal n the one-sided Holm-adjusted limit of the difference is above minus the margin",
    "worse": "at equal n the upper Holm-adjusted limit of the difference is below minus the margin",
    "censored": "the baseline's score was not matched within half of the method's trials",
    "inconclusive": "none of the other rules matched",
}


#: Kinds that leave the question open: the sentence says what would settle it.
OPEN_KINDS: tuple[VerdictKind, ...] = ("censored", "inconclusive")


def judge(case: Case) -> VerdictKind:
    """The first rule that matches."""
    limits = case.saving.interval if case.saving else None
    if case.refusal or case.saving is None or limits is None:
        return "refused"
    if limits.low is not None and limits.low > 1:
        return "saves"
    if case.matched_reached and limits.high is not None and limits.high < 1 and not limits.high_censored:
        return "costs more"
    if case.non_inferiority is not None and case.non_inferiority.shown:
        return "cheaper" if _is_cheap(case) else "on par"
    if case.difference is not None and case.difference.interval is not None:
        margin = case.non_inferiority.margin if case.non_inferiority else 0.0
        high = case.difference.interval.high
        if high is not None and high < -margin:
            return "worse"
    if not case.matched_reached:
        return "censored"
    return "inconclusive"


def _is_cheap(case: Case) -> bool:
    limits = case.cost_at_n.interval if case.cost_at_n else None
    return limits is not None and limits.high is not None and limits.high < 1


def verdict(case: Case) -> Verdict:
    """The verdict with its sentence."""
    kind = judge(case)
    return Verdict(
        kind=kind,
        rule=RULES[kind],
        sentence=_SENTENCES[kind](case),
        estimate=None if kind == "refused" else case.saving,
        unit=case.unit,
        n=case.n,
        trials_baseline=case.trials_baseline,
        trials_method=case.trials_method,
        settle=case.settle,
        cost_at_n=case.cost_at_n,
    )


def _per_cent(level: float) -> str:
    return f"{100 * level:.3g} %"


def _limits(estimate: Estimate | None, unit: str = "") -> str:
    """Limits in words: "1.4 to 4.6", "more than 11", "at most 1 to 4.6"."""
    if estimate is None or estimate.interval is None:
        return "no interval"
    low, high = estimate.interval.low, estimate.interval.high
    start = number(low) if low is not None else "no lower limit"
    if low is not None and estimate.interval.low_censored:
        start = f"at most {start}"
    end = f"{number(high)}{unit}" if high is not None else "not reached"
    if high is not None and estimate.interval.high_censored:
        end = f"at least {end}"
    return f"{start}{unit if low is not None else ''} to {end}"


def _value(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "unknown"
    lead = {"": "", "at_most": "at most ", "at_least": "at least "}[estimate.censored]
    return lead + number(estimate.value)


def _adjusted(case: Case) -> str:
    family = f", Holm-adjusted over {case.family} comparisons" if case.family > 1 else ""
    look = f", {case.look}" if case.look else ""
    return f"{_per_cent(case.level)} limits{family}{look}"


def _sizes(case: Case) -> str:
    return f"N = {case.trials_method} and {case.trials_baseline}"


def _needs(case: Case) -> str:
    trials = _value(case.matched)
    word = "trial" if trials in ("1", "1.00", "at most 1", "at most 1.00") else "trials"
    return (
        f"On {case.cell}, {case.method} needs {trials} {word} "
        f"({_per_cent(case.level)} CI {_limits(case.matched)}) to match {case.baseline}'s best of {case.n} "
        f"({_sizes(case)})"
    )


def _win(case: Case) -> str:
    if case.win is None or case.win.headline.value is None:
        return ""
    limits = f" ({_limits(case.win.headline)})" if case.win.headline.interval else ""
    chance = number(case.win.headline.value)
    return (
        f" The best of {case.win.headline_m} of {case.method} is on par with or better than the best of "
        f"{case.win.headline_n} of {case.baseline} with probability {chance}{limits}."
    )


def _saves(case: Case) -> str:
    limits = f"({_limits(case.saving)}; {_adjusted(case)})"
    if case.unit == TRIALS:
        return f"{_needs(case)}: {_value(case.saving)} times fewer {limits}.{_win(case)}"
    cheaper = f"{_value(case.saving)} times cheaper"
    return f"{_needs(case)}; in {unit_name(case.unit)} that is {cheaper} {limits}.{_win(case)}"


def _costs_more(case: Case) -> str:
    saving = case.saving
    if saving is None or saving.value is None or saving.interval is None:
        raise ValueError("a loss is told from a saving with limits")
    high = saving.interval.high
    least = number(1 / high) if high else "unknown"
    most = number(1 / saving.interval.low) if saving.interval.low else "not reached"
    limits = f"({least} to {most}; {_adjusted(case)})"
    if case.unit == TRIALS:
        return f"{_needs(case)}: {number(1 / saving.value)} times as many {limits}."
    dearer = f"{number(1 / saving.value)} times dearer"
    return f"{_needs(case)}; in {unit_name(case.unit)} that is {dearer} {limits}."


def _at_equal_n(case: Case) -> str:
    shown = case.non_inferiority
    if shown is None or shown.limit is None:
        raise ValueError("on par is told from a limit of the difference")
    than = (
        f"not worse than {case.baseline} by more than {case.score.difference(shown.margin).lstrip('+')}"
        if shown.margin > 0
        else f"better than {case.baseline}"
    )
    return (
        f"On {case.cell}, {case.method} is {than} at n = {case.n} (one-sided {_per_cent(shown.level)} limit "
        f"of the difference {case.score.difference(shown.limit)}{case.score.sign}; "
        f"{_sizes(case)})"
    )


def _cheaper(case: Case) -> str:
    return (
        f"{_at_equal_n(case)}, and {case.n} of its trials cost {_value(case.cost_at_n)} times as much in "
        f"{unit_name(case.unit)} ({_limits(case.cost_at_n)}); a saving at equal score is not shown "
        f"({_limits(case.saving, '×')}; {_adjusted(case)})."
    )


def _on_par(case: Case) -> str:
    return (
        f"{_at_equal_n(case)}, but a saving in "
        f"{unit_name(case.unit)} is not shown ({_limits(case.saving, '×')}; {_adjusted(case)})."
    )


def _worse(case: Case) -> str:
    gap = case.difference
    if gap is None or gap.value is None or gap.interval is None:
        raise ValueError("worse is told from a difference with limits")
    low, high = (case.score.difference(end) for end in (gap.interval.low, gap.interval.high))
    return (
        f"On {case.cell}, the best of {case.n} of {case.method} is worse than that of {case.baseline}: "
        f"{case.score.difference(gap.value)} ({low} to {high}; {_adjusted(case)}; {_sizes(case)})."
    )


def _censored(case: Case) -> str:
    limits = case.matched.interval if case.matched else None
    least = (
        f"; it needs more than {number(limits.low)} ({_per_cent(case.level)})"
        if limits and limits.low
        else ""
    )
    return (
        f"On {case.cell}, {case.method} did not reach {case.baseline}'s best of {case.n} within "
        f"{case.searched_to} trials{least} ({_sizes(case)}).{_settle(case)}"
    )


def _inconclusive(case: Case) -> str:
    limits = case.saving.interval if case.saving else None
    best = "a saving without a known limit"
    worst = "a loss without a known limit"
    if limits and limits.high is not None:
        beyond = "at least " if limits.high_censored else ""
        best = f"a saving of {beyond}{number(limits.high)}×" if limits.high > 1 else f"{number(limits.high)}×"
    if limits and limits.low is not None and limits.low > 0:
        worst = f"a loss of {number(1 / limits.low)}×"
    unit = unit_name(case.unit)
    return (
        f"On {case.cell}, {case.method} against {case.baseline} at n = {case.n}: the data allow anything "
        f"from {best} to {worst} in {unit} ({_adjusted(case)}; {_sizes(case)}).{_settle(case)}"
    )


def _settle(case: Case) -> str:
    return f" {case.settle.reason}" if case.settle else ""


def _refused(case: Case) -> str:
    reason = case.refusal or "no interval of the saving could be computed"
    return f"On {case.cell}, no verdict on {case.method}: {reason}."


_SENTENCES = {
    "saves": _saves,
    "costs more": _costs_more,
    "cheaper": _cheaper,
    "on par": _on_par,
    "worse": _worse,
    "censored": _censored,
    "inconclusive": _inconclusive,
    "refused": _refused,
}
