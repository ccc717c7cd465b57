"""One card of the first screen: score and cost apart, each in words that a student knows.

The words add no claim. "on par or better", "better" and "worse" hold by the limits of the verdicts' rules,
"cheaper" is the verdict "saves" or "cheaper", "dearer" is "costs more", what no rule shows is "not settled".
"""

from reports.comparison.estimates import inverse
from reports.results.answer import Card, Reading
from reports.results.contrast import Contrast
from reports.results.estimate import Estimate
from reports.wording import ScoreWords

#: Shares of a cost that have a name, told for what is within 4 % of them.
_SHARES = {0.5: "half the cost", 1 / 3: "a third of the cost", 0.25: "a quarter of the cost"}
NO_LIMIT = "no limit known"


def card(contrast: Contrast, score: ScoreWords) -> Card:
    """A method in one cell, in short."""
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
    kind = contrast.verdict.kind
    if kind == "cheaper":
        return _cost_at_n(contrast)
    label = f"cost of the same {score.name}"
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


def _cost_at_n(contrast: Contrast) -> Reading:
    """What n trials of the method cost over n of the baseline."""
    found = contrast.verdict.cost_at_n
    if found is None or found.interval is None:
        raise ValueError("cheaper is told from the cost of equally many trials")
    low, high = found.interval.low, found.interval.high
    words = _cost_words(found, low, high, fewest=False)
    label = f"cost of {contrast.n} trial{'' if contrast.n == 1 else 's'} each"
    return Reading(label, "cheaper", found.value, low, high, "", words)


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
    if kind in ("cheaper", "on par"):
        width = f"{even} to within {score.difference(margin).lstrip('+')}, or more so" if margin > 0 else more
        if kind == "cheaper":
            most = "" if cost.high is None else f" (at most {_times(cost.high)})"
            return f"{width}, after as many trials, for {worth}{most}."
        return f"{width}; whether it costs less or more is not settled{_perhaps(cost)}."
    if kind == "worse" and of.value is not None and of.high is not None:
        gap, least = (score.difference(end).lstrip("+-") for end in (of.value, of.high))
        return f"{less}: by about {gap} (at least {least})."
    if kind == "censored":
        return f"Did not reach {base}'s {score.name} in {_tried(contrast)} trials; more might, or never."
    if kind == "refused":
        place = f"On {contrast.dataset} / {contrast.architecture}, no verdict on {contrast.method}: "
        return f"No verdict: {contrast.verdict.sentence.removeprefix(place)}"
    return f"Too few trials to say: they allow that it saves and that it costs more{_perhaps(cost)}."


def _perhaps(cost: Reading) -> str:
    if cost.value is None or cost.bound == "at_least":
        return ""
    return f" (the best guess is {_times(cost.value)})"


def _tried(contrast: Contrast) -> int:
    return contrast.matched[0].searched_to if contrast.matched else contrast.verdict.trials_method
