"""From contrasts to the answer of the first screen: the one object that page and terminal show."""

from collections import Counter
from collections.abc import Sequence

from reports.comparison.cards import card
from reports.cost_units import unit_name
from reports.results.answer import Answer, Tally
from reports.results.contrast import VERDICT_KINDS, Contrast
from reports.results.results import Pooled
from reports.scope import Scope
from reports.wording import ScoreWords


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
        cards=tuple(card(contrast, score) for contrast in contrasts),
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
    counts: dict[str, int] = {kind: given[kind] for kind in VERDICT_KINDS if given[kind]}
    total = sum(given.values())
    cells = f"{total} cell" if total == 1 else f"{total} cells"
    first, *rest = counts.items()
    said = ", ".join([f"{first[0]} in {first[1]} of {cells}", *(f"{kind} in {n}" for kind, n in rest)])
    over = next((p.sentence for p in pooled if p.method == method and p.unit == scope.cost), "")
    return Tally(method, counts, f"{method}: {said}." + (f" {over}" if over and total > 1 else ""))


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
    """What would tell the cost of a method that is on par, or anything of one that was refused."""
    verdict = contrast.verdict
    if verdict.kind == "refused":
        return "It needs what its card says is missing."
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
