"""The trials of an arm as a pool for replays, made of the recorded epochs."""

import numpy as np
import pandas as pd

from reports.arms.arm import Arm
from reports.cost_units import EPOCHS, unit_name
from reports.scope import Scope
from reports.statistics.arrays import Floats
from reports.statistics.recorded import Curves
from reports.statistics.replay import Pool


def pool_in_plan_order(arm: Arm, histories: pd.DataFrame, unit: str, scope: Scope) -> Pool | str:
    """The arm's trials as replays take them, in the order they were drawn in, or why they cannot be.

    Args:
        arm: without repeats. Several replicates follow each other.
        histories: one row an epoch, of any arms.
        unit: of the costs.
    """
    if arm.position is None:
        return f"the table holds no index of the trials of {arm.method}, so their plan order is unknown"
    replicate = arm.facts["replicate"].fillna(0) if "replicate" in arm.facts else np.zeros(arm.trials)
    arm = arm.taken(np.lexsort((arm.position, replicate)))
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
