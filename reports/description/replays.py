"""Replayed arms: a family of its own, judged at the cost of n full trials, with and without the pruner.

Both searches are replayed in the same orders of the same trials, so their difference is surer than either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.design import ReplayDesign, StudyDesign
from reports.arms.arm import Arm
from reports.cost_units import EPOCHS
from reports.description.replay_pool import pool_in_plan_order
from reports.results.estimate import Estimate, Interval, finite
from reports.results.replay_result import PlanOrder, ReplayResult
from reports.scope import FEWEST_TRIALS, Scope
from reports.statistics.replay import MOST_EXHAUSTED, ORDERS, Search, Spending, spending, whole_search
from reports.wording import ScoreWords, amount

#: Below, limits were seen to cover less than they say (`tests.calibration.replays`).
SURE_FROM_TRIALS = 10
#: Orders times trials squared that a report has the time for.
_MOST_WORK = 4_000_000
_MOST_BUDGETS = 20
_NO_PRUNER: dict[str, Any] = {"name": "NopPruner", "options": {}}
_METHOD = "t, jackknife over the trials in the same orders"


@dataclass(frozen=True, slots=True)
class _Lines:
    replay: ReplayDesign
    arm: Arm
    unit: str
    pruned: Spending
    unpruned: Spending
    gap: Spending
    primary: int
    as_planned: Search
    as_planned_unpruned: Search


def describe_replays(
    histories: pd.DataFrame | None,
    arms: Sequence[Arm],
    design: StudyDesign | None,
    scope: Scope,
    score: ScoreWords,
) -> tuple[ReplayResult, ...]:
    """Every replay that the study asked for, in its order."""
    wanted = design.replays if design else ()
    found: list[_Lines | tuple[ReplayDesign, str]] = []
    for replay in wanted:
        place = replay.dataset, replay.architecture, replay.replay_of
        arm = next((arm for arm in arms if arm.name == place), None)
        found.append(_lines(replay, arm, histories, scope))
    family = sum(isinstance(each, _Lines) for each in found)
    return tuple(
        _judged(each, family, scope, score) if isinstance(each, _Lines) else _refused(each[0], each[1], scope)
        for each in found
    )


def _lines(
    replay: ReplayDesign, arm: Arm | None, histories: pd.DataFrame | None, scope: Scope
) -> _Lines | tuple[ReplayDesign, str]:
    if arm is None or arm.trials < FEWEST_TRIALS:
        return replay, f"{replay.replay_of} has fewer than {FEWEST_TRIALS} trials"
    if histories is None or "best_test_score" not in histories:
        return replay, "the table holds no learning curves with test scores along the way"
    unit = EPOCHS if scope.cost not in ("train_flops", "train_seconds") else scope.cost
    pool = pool_in_plan_order(arm, histories, unit, scope)
    if isinstance(pool, str):
        return replay, pool
    full = float(pool.totals.mean())
    multiples = np.unique(np.round(np.linspace(1, 2 * scope.n, min(2 * scope.n, _MOST_BUDGETS))))
    multiples = np.union1d(multiples, [scope.n])
    orders = max(100, min(ORDERS, _MOST_WORK // arm.trials**2))
    (pruned, unpruned), gap = spending(
        pool, (replay.pruner, _NO_PRUNER), full * multiples, scope.seed, orders
    )
    assert gap is not None, "there are two pruners"
    primary = int(np.flatnonzero(multiples == scope.n)[0])
    if gap.exhausted[primary] > MOST_EXHAUSTED:
        return replay, (
            f"in {gap.exhausted[primary]:.0%} of the orders all {arm.trials} trials are used up before the "
            f"cost of {scope.n} full trials is spent; more trials of {replay.replay_of} are needed, or a "
            "smaller n"
        )
    plan_order = np.arange(arm.trials)
    as_planned = (whole_search(pool, pruner, plan_order) for pruner in (replay.pruner, _NO_PRUNER))
    return _Lines(replay, arm, unit, pruned, unpruned, gap, primary, *as_planned)


def _judged(lines: _Lines, family: int, scope: Scope, score: ScoreWords) -> ReplayResult:
    replay, at, gap = lines.replay, lines.primary, lines.gap
    has_limits = lines.arm.sampling != "design"
    kept = np.flatnonzero(gap.exhausted <= MOST_EXHAUSTED)
    level = 1 - scope.alpha / max(1, family)
    lows, highs = gap.limits(level)
    ends = (lows[at], highs[at]) if scope.sign > 0 else (-highs[at], -lows[at])
    # Adding 0 takes the sign from a zero that was turned.
    value, low, high = (float(each) + 0.0 for each in (scope.sign * gap.value[at], *ends))
    interval = Interval(finite(low), finite(high), level, method=_METHOD) if has_limits else None
    verdict, said = _verdict(low, high, scope.margin or 0.0) if has_limits else (
        "described", "a design has no limits, so this only describes"
    )  # fmt: skip
    place = f"{replay.method} on {replay.dataset} / {replay.architecture}"
    full = f"{scope.n} full trials of" if scope.n > 1 else "one full trial of"
    spent = f"for what {full} {replay.replay_of} {'cost' if scope.n > 1 else 'costs'}"
    limits = f" ({score.difference(finite(low))} to {score.difference(finite(high))})" if has_limits else ""
    sentence = (
        f"{place}: {spent}, the incumbent's expected test {score.name} differs by "
        f"{score.difference(value)}{limits} from that without a pruner, {lines.pruned.begun[at]:.1f} trials "
        f"begun in place of {lines.unpruned.begun[at]:.1f}: {said}."
    )
    if low == high == 0:
        sentence = f"{place}: {spent}, {_same(lines, score)}."
    return ReplayResult(
        **_named(replay),
        unit=lines.unit,
        n=scope.n,
        trials=lines.arm.trials,
        budgets=tuple(map(float, gap.budgets[kept])),
        pruned=_estimates(lines.pruned, kept, scope.level, has_limits),
        unpruned=_estimates(lines.unpruned, kept, scope.level, has_limits),
        begun_pruned=tuple(map(float, lines.pruned.begun[kept])),
        begun_unpruned=tuple(map(float, lines.unpruned.begun[kept])),
        budget=float(gap.budgets[at]),
        difference=Estimate(value, interval),
        verdict=verdict,
        sentence=sentence,
        plan_order=_plan_order(lines, score),
        cautions=_cautions(lines, has_limits),
    )


def _verdict(low: float, high: float, margin: float) -> tuple[str, str]:
    if low > 0:
        return "better", "the pruned search is better"
    if high < -margin:
        return "worse", "the pruned search is worse by more than the margin"
    if low >= -margin:
        return "on par", "the pruned search is not worse by more than the margin"
    return "inconclusive", "the trials allow a gain and a loss"


def _same(lines: _Lines, score: ScoreWords) -> str:
    """Of a difference that is 0 in every order, whichever trial is left out."""
    if lines.pruned.stopped[lines.primary] == 0:
        return "nothing was stopped by then: the two searches are one"
    return (
        f"the pruner changes nothing: the incumbent has the same test {score.name} with and without it, "
        "whatever the order"
    )


def _plan_order(lines: _Lines, score: ScoreWords) -> PlanOrder:
    pruned, unpruned = lines.as_planned, lines.as_planned_unpruned
    failed = f", {pruned.failed} failed" if pruned.failed else ""
    sentence = (
        f"In plan order the {lines.arm.trials} trials of {lines.replay.replay_of} under the pruner end with "
        f"an incumbent of test {score.name} {score.level(pruned.test)} and cost "
        f"{amount(pruned.cost, lines.unit)} ({pruned.stopped} stopped, {pruned.finished} finished{failed}); "
        f"without it {score.level(unpruned.test)} and {amount(unpruned.cost, lines.unit)}."
    )
    return PlanOrder(
        test=pruned.test,
        cost=pruned.cost,
        stopped=pruned.stopped,
        finished=pruned.finished,
        failed=pruned.failed,
        unpruned_test=unpruned.test,
        unpruned_cost=unpruned.cost,
        sentence=sentence,
    )


def _cautions(lines: _Lines, has_limits: bool) -> tuple[str, ...]:
    found = []
    fewest = min(lines.pruned.begun[lines.primary], lines.unpruned.begun[lines.primary])
    if not has_limits:
        found.append(
            f"The trials of {lines.replay.replay_of} are a design, whose points are chosen and not drawn: "
            "there are no limits, and this describes these trials alone."
        )
    elif fewest < SURE_FROM_TRIALS:
        found.append(
            f"Limits are rough where fewer than {SURE_FROM_TRIALS} trials are begun (here {fewest:.1f}): "
            "95 % limits were seen to cover less there, least where excellent trials are rare and slow."
        )
    beyond = int((lines.gap.exhausted > MOST_EXHAUSTED).sum())
    if beyond:
        found.append(
            f"{beyond} larger budgets are left out: more than {MOST_EXHAUSTED:.0%} of the orders run out of "
            "trials before them."
        )
    return tuple(found)


def _estimates(line: Spending, kept: Any, level: float, has_limits: bool) -> tuple[Estimate, ...]:
    low, high = line.limits(level)
    return tuple(
        Estimate(
            float(line.value[i]),
            Interval(finite(low[i]), finite(high[i]), level, method=_METHOD) if has_limits else None,
        )
        for i in kept
    )


def _refused(replay: ReplayDesign, why: str, scope: Scope) -> ReplayResult:
    place = f"{replay.method} on {replay.dataset} / {replay.architecture}"
    return ReplayResult(
        **_named(replay), unit=scope.cost, n=scope.n, trials=0, budgets=(), pruned=(), unpruned=(),
        begun_pruned=(), begun_unpruned=(), budget=None, difference=None, verdict="refused",
        sentence=f"{place}: refused, because {why}.", refusal=why,
    )  # fmt: skip


def _named(replay: ReplayDesign) -> dict[str, Any]:
    return {
        "dataset": replay.dataset,
        "architecture": replay.architecture,
        "method": replay.method,
        "replay_of": replay.replay_of,
        "pruner": replay.pruner_text,
    }
