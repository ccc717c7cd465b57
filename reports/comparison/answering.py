"""From contrasts to the answer of the first screen: score and cost apart, each in words that a student knows.

The words add no claim. "on par or better", "better" and "worse" hold by the limits of the verdicts' rules,
"cheaper" and "dearer" are the verdicts "saves" and "costs more", and what no rule shows is "not settled".
"""

from collections import Counter
from collections.abc import Sequence

from reports.comparison.estimates import inverse
from reports.cost_units import unit_name
from reports.results.answer import Answer, Card, Reading, Tally
from reports.results.contrast import VERDICT_KINDS, Contrast
from reports.results.estimate import Estimate
from reports.results.results import Pooled
from reports.scope import Scope
from reports.wording import ScoreWords

#: Shares of a cost that have a name, told for what is within 4 % of them.
_SHARES = {0.5: "half the cost", 1 / 3: "a third of the cost", 0.25: "a quarter of the cost"}
NO_LIMIT = "no limit known"


def answer(
    contrasts: Sequence[Contrast],
    pooled: Sequence[Pooled],
    unlike: Sequence[str],
    scope: Scope,
    score: ScoreWords,
) -> Answer:
    """The answer, with methods and cells in the order of the contrasts.

    unlike: what is to be known of the arms before any verdict, as sentences.
    """
    baseline = scope.baseline or ""
    question = f"Does it save search cost against {baseline}?" if baseline else "What do the trials show?"
    several = len({(c.dataset, c.architecture) for c in contrasts}) > 1
    methods = list(dict.fromkeys(contrast.method for contrast in contrasts))
    return Answer(
        question=question,
        setting=_setting(contrasts, scope, score),
        tallies=tuple(_tally(name, contrasts, pooled, scope) for name in methods) if several else (),
        cards=tuple(_card(contrast, score) for contrast in contrasts),
        reading=_reading(contrasts, scope, score),
        unlike=tuple(unlike),
        open=_open(contrasts),
        turns=_turns(contrasts),
        baseline=baseline,
    )


def _setting(contrasts: Sequence[Contrast], scope: Scope, score: ScoreWords) -> str:
    if not contrasts:
        return ""
    sizes = sorted({n for c in contrasts for n in (c.verdict.trials_method, c.verdict.trials_baseline) if n})
    arm = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}" if sizes else "no"
    parts = [f"Best of n = {scope.n} trials", f"cost in {unit_name(scope.cost)}", f"{arm} trials an arm"]
    if scope.margin is not None:
        width = score.difference(scope.margin).lstrip("+") if scope.margin else "none"
        parts.append(f"margin {width}, {scope.margin_rule}")
    return " · ".join(parts)


def _tally(method: str, contrasts: Sequence[Contrast], pooled: Sequence[Pooled], scope: Scope) -> Tally:
    """How often each verdict was given, as it was given."""
    given = Counter(contrast.verdict.kind for contrast in contrasts if contrast.method == method)
    counts = {kind: given[kind] for kind in VERDICT_KINDS if given[kind]}
    total = sum(given.values())
    cells = f"{total} cell" if total == 1 else f"{total} cells"
    first, *rest = counts.items()
    said = ", ".join([f"{first[0]} in {first[1]} of {cells}", *(f"{kind} in {n}" for kind, n in rest)])
    over = next((p.sentence for p in pooled if p.method == method and p.unit == scope.cost), "")
    return Tally(method, counts, f"{method}: {said}." + (f" {over}" if over and total > 1 else ""))


def _card(contrast: Contrast, score: ScoreWords) -> Card:
    margin = contrast.non_inferiority.margin if contrast.non_inferiority else 0.0
    of_score, of_cost = _score(contrast, score), _cost(contrast, score)
    return Card(
        dataset=contrast.dataset,
        architecture=contrast.architecture,
        method=contrast.method,
        kind=contrast.verdict.kind,
        sentence=_sentence(contrast, of_score, of_cost, margin, score),
        score=of_score,
        cost=of_cost,
        margin=margin,
    )


def _score(contrast: Contrast, score: ScoreWords) -> Reading:
    """The difference at equal n, with the limits that "on par" and "worse" are judged by."""
    label = f"{score.name}, best of {contrast.n} trial{'' if contrast.n == 1 else 's'} each"
    gap, par = contrast.difference_adjusted, contrast.non_inferiority
    if gap is None or gap.value is None or gap.interval is None or par is None:
        return Reading(label, "not compared", None, None, None, "", "")
    low, high = (gap.interval.low if par.limit is None else par.limit), gap.interval.high
    word = "not settled"
    if high is not None and high < -par.margin:
        word = "worse"
    elif par.shown:
        word = "on par or better" if par.margin > 0 else "better"
    said = (score.difference(end) if end is not None else NO_LIMIT for end in (low, high))
    words = f"{score.difference(gap.value)} ({' to '.join(said).replace(' points to', ' to')})"
    return Reading(label, word, gap.value, low, high, "", words)


def _cost(contrast: Contrast, score: ScoreWords) -> Reading:
    """What the method spends to match the baseline's best of n, over what that costs the baseline."""
    label = f"cost of the same {score.name}"
    kind = contrast.verdict.kind
    found = contrast.verdict.estimate
    if found is None:
        return Reading(label, "not told", None, None, None, "", "")
    cost = inverse(found)
    reached = cost.censored != "at_least"
    word = {"saves": "cheaper", "costs more": "dearer"}.get(kind, "not settled" if reached else "not matched")
    limits = cost.interval
    low, high = (None, None) if limits is None else (limits.low, limits.high)
    fewest = limits is not None and limits.low_censored
    return Reading(label, word, cost.value, low, high, cost.censored, _cost_words(cost, low, high, fewest))


def _cost_words(cost: Estimate, low: float | None, high: float | None, fewest: bool) -> str:
    """fewest: no search can cost less than the low end, which is the limit of what one trial costs."""
    if cost.value is None:
        return ""
    lead = {"": "about ", "at_most": "about ", "at_least": "more than "}[cost.censored]
    one = ", as a single trial suffices" if cost.censored == "at_most" else ""
    start = f"{_factor(low)}{', the price of one trial,' if fewest and not one else ''}"
    if low is None and high is None:
        limits = "no limit known on either side"
    elif high is None:
        limits = f"{start} or more, no upper limit known"
    elif low is None:
        limits = f"{_factor(high)} or less, no lower limit known"
    else:
        limits = f"{start} to {_factor(high)}"
    return f"{lead}{_factor(cost.value)}{one} ({limits})"


def _factor(ratio: float | None) -> str:
    """A multiple of the baseline's cost: 0.53×, 4.1×, 12×."""
    return "unknown" if ratio is None else f"{ratio:.2g}×" if ratio < 10 else f"{ratio:,.0f}×"


def _times(ratio: float) -> str:
    """A multiple of the baseline's cost in words."""
    for share, name in _SHARES.items():
        if abs(ratio / share - 1) < 0.04:
            return name
    if ratio < 0.95:
        return f"{100 * ratio:.2g} % of the cost"
    if ratio < 1.05:
        return "the same cost"
    if abs(ratio / 2 - 1) < 0.04:
        return "twice the cost"
    return f"{ratio:.2g} times the cost" if ratio < 10 else f"{ratio:,.0f} times the cost"


def _sentence(contrast: Contrast, of: Reading, cost: Reading, margin: float, score: ScoreWords) -> str:
    base, kind = contrast.baseline, contrast.verdict.kind
    even, less, more = (
        (f"As accurate as {base}", f"Less accurate than {base}", f"More accurate than {base}")
        if score.is_accuracy
        else (f"As good as {base}", f"Worse than {base}", f"Better than {base}")
    )
    told = "more than " if cost.bound == "at_least" else "about "
    worth = f"{told}{_times(cost.value)}" if cost.value is not None else "an unknown cost"
    if kind == "saves":
        most = "" if cost.high is None else f" (at most {_times(cost.high)})"
        return f"Reaches {base}'s {score.name} for {worth}{most}."
    if kind == "costs more":
        least = "" if cost.low is None else f" (at least {_times(cost.low)})"
        return f"Reaches {base}'s {score.name} for {worth}{least}."
    if kind == "on par":
        width = f"{even} to within {score.difference(margin).lstrip('+')}, or more so" if margin > 0 else more
        return f"{width}; whether it costs less or more is not settled{_perhaps(cost)}."
    if kind == "worse" and of.value is not None and of.high is not None:
        gap, least = (score.difference(end).lstrip("+-") for end in (of.value, of.high))
        return f"{less}: by about {gap} (at least {least})."
    if kind == "censored":
        return f"Did not reach {base}'s {score.name} in {_tried(contrast)} trials; more might, or never."
    if kind == "refused":
        place = f"On {contrast.dataset} / {contrast.architecture}, no verdict on {contrast.method}: "
        reason = contrast.verdict.sentence.removeprefix(place)
        return reason[:1].upper() + reason[1:]
    return f"Too few trials to say: they allow that it saves and that it costs more{_perhaps(cost)}."


def _perhaps(cost: Reading) -> str:
    if cost.value is None or cost.bound == "at_least":
        return ""
    return f" (the best guess is {_times(cost.value)})"


def _tried(contrast: Contrast) -> int:
    return contrast.matched[0].searched_to if contrast.matched else contrast.verdict.trials_method


def _reading(contrasts: Sequence[Contrast], scope: Scope, score: ScoreWords) -> tuple[str, ...]:
    if not contrasts:
        return ()
    family = len(contrasts)
    adjusted = f", widened for {family} comparisons" if family > 1 else ""
    more = "more accurate" if score.is_accuracy else f"a better {score.name}"
    limits = f"{100 * scope.level:.3g} % limits{adjusted}"
    said = [
        f"Right of the middle line is in the method's favour: {more}, or cheaper.",
        f"The dot is the estimate (hollow: only a bound), the bar its {limits}; an arrow goes on beyond the "
        "picture, or has no known end.",
    ]
    if any(c.non_inferiority and c.non_inferiority.margin for c in contrasts):
        said.append(
            "The band is the margin: a bar whose left end lies in it, or right of it, is on par or better."
        )
    return tuple(said)


def _open(contrasts: Sequence[Contrast]) -> tuple[str, ...]:
    """What would settle what is not settled, each sentence once, with the cells that it holds for."""
    places: dict[str, list[str]] = {}
    for c in contrasts:
        reason = c.verdict.settle.reason if c.verdict.settle else _open_cost(c)
        if reason:
            places.setdefault(reason, []).append(f"{c.method} on {c.dataset} / {c.architecture}")
    return tuple(f"{'; '.join(named)}: {reason}" for reason, named in places.items())


def _open_cost(contrast: Contrast) -> str:
    """What would tell the cost of a method that is on par."""
    verdict = contrast.verdict
    if verdict.kind != "on par" or verdict.estimate is None:
        return ""
    if verdict.estimate.censored == "at_least":
        return (
            f"At n = {contrast.n} a single trial is enough, so that nothing smaller can be told of its cost; "
            "a study with more trials and a larger n would."
        )
    trials = 4 * min(verdict.trials_baseline, verdict.trials_method)
    return f"Some {trials:,} trials an arm would about halve the limits of its cost."


def _turns(contrasts: Sequence[Contrast]) -> tuple[str, ...]:
    seen = [c.across for c in contrasts if c.across is not None]
    turns = tuple(found.sentence for found in seen if found.sentence)
    if turns or not seen:
        return turns
    return (
        f"From n = 1 to {max(found.n[-1] for found in seen)} it turns nowhere, as far as the trials show.",
    )
