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
from reports.cost_units import unit_name
from reports.results.estimate import Estimate, Interval, finite
from reports.results.replay_result import ReplayResult
from reports.scope import FEWEST_TRIALS, Scope
from reports.statistics.arrays import Floats
from reports.statistics.replay import MOST_EXHAUSTED, ORDERS, Pool, Spending, spending
from reports.statistics.stopping import Curves
from reports.wording import ScoreWords

EPOCHS = "epochs"
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
    pool = _pool(arm, histories, unit, scope)
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
    return _Lines(replay, arm, unit, pruned, unpruned, gap, primary)


def _pool(arm: Arm, histories: pd.DataFrame, unit: str, scope: Scope) -> Pool | str:
    """The arm's trials as replays take them, or why they cannot be."""
    place = (histories["dataset"] == arm.dataset) & (histories["architecture"] == arm.architecture)
    own = histories[place & (histories["method"] == arm.method)].sort_values("epoch", kind="stable")
    by_trial = {str(name): part for name, part in own.groupby("trial_id")}
    names = [str(name) for name in arm.facts["trial_id"]]
    longest = int(own["epoch"].max()) if len(own) else 1
    shape = len(names), max(1, longest)
    scores, best, tests, costs = np.full((4, *shape), np.nan)
    lengths, totals = np.zeros(shape[0], dtype=np.intp), np.zeros(shape[0])
    for row, name in enumerate(names):
        part = by_trial.get(name)
        total = float(arm.costs[unit][row]) if unit in arm.costs else float(0 if part is None else len(part))
        if part is not None:
            # An epoch in which a trial diverged reported no score; its cost is in the total.
            reported = part[part["val_score"].notna()]
            count = lengths[row] = len(reported)
            scores[row, :count] = reported["val_score"]
            sealed = reported["best_test_score"].to_numpy(dtype=np.float64)
            best[row, :count] = _carried(np.where(np.isnan(sealed), np.nan, scores[row, :count]))
            tests[row, :count] = _carried(sealed)
            spent = reported["epoch"] if unit == EPOCHS else reported[unit]
            costs[row, :count] = spent.to_numpy(dtype=np.float64)
            if np.isnan(costs[row, :count]).any():
                return f"the records hold no {unit_name(unit)} along the way"
        if not arm.failed[row] and (not lengths[row] or np.isnan(best[row, lengths[row] - 1])):
            return (
                f"the records of {arm.method} hold no test scores along the way: they were made before the "
                "study asked for a replay"
            )
        totals[row] = total if not lengths[row] else max(total, costs[row, lengths[row] - 1])
    if not np.isfinite(totals).all():
        return f"the table holds no {unit_name(unit)} of every trial"
    costs[np.isnan(costs)] = np.inf
    tests[np.isnan(tests)] = scope.sign * arm.failed_score
    curves = Curves(scores, lengths, arm.failed, higher_is_better=scope.sign > 0)
    return Pool(curves, best, tests, costs, totals, scope.sign * arm.failed_score)


def _carried(values: Floats) -> Floats:
    """Each value until the next one."""
    return np.asarray(pd.Series(values).ffill(), dtype=np.float64)


def _judged(lines: _Lines, family: int, scope: Scope, score: ScoreWords) -> ReplayResult:
    replay, at, gap = lines.replay, lines.primary, lines.gap
    has_limits = lines.arm.sampling != "design"
    kept = np.flatnonzero(gap.exhausted <= MOST_EXHAUSTED)
    level = 1 - scope.alpha / max(1, family)
    low, high = gap.limits(level)
    low, high = (low[at], high[at]) if scope.sign > 0 else (-high[at], -low[at])
    value = float(scope.sign * gap.value[at])
    interval = Interval(finite(low), finite(high), level, method=_METHOD) if has_limits else None
    margin = scope.margin or 0.0
    if not has_limits:
        verdict, said = "described", "a design has no limits, so this only describes"
    elif low > 0:
        verdict, said = "better", "the pruned search is better"
    elif high < -margin:
        verdict, said = "worse", "the pruned search is worse by more than the margin"
    elif low > -margin:
        verdict, said = "on par", "the pruned search is not worse by more than the margin"
    else:
        verdict, said = "inconclusive", "the trials allow a gain and a loss"
    limits = f" ({score.difference(finite(low))} to {score.difference(finite(high))})" if has_limits else ""
    sentence = (
        f"{replay.method} on {replay.dataset} / {replay.architecture}: for what {scope.n} full trials of "
        f"{replay.replay_of} cost, the incumbent's expected test {score.name} differs by "
        f"{score.difference(value)}{limits} from that without a pruner, {lines.pruned.begun[at]:.1f} trials "
        f"begun in place of {lines.unpruned.begun[at]:.1f}: {said}."
    )
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
        cautions=_cautions(lines, has_limits),
    )


def _cautions(lines: _Lines, has_limits: bool) -> tuple[str, ...]:
    found = []
    fewest = min(lines.pruned.begun[lines.primary], lines.unpruned.begun[lines.primary])
    if has_limits and fewest < SURE_FROM_TRIALS:
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
