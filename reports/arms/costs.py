"""Costs of an arm by its independent units, which are trials or whole searches."""

import numpy as np

from reports.arms.arm import Arm
from reports.arms.tracks import in_order
from reports.cost_units import TRIALS
from reports.statistics.arrays import Floats, settled
from reports.statistics.savings import EVEN, CostRatio, log_ratio_of_means, log_ratio_of_paired_means


def cost_ratio(baseline: Arm, method: Arm, unit: str, n: int, paired: bool = False) -> CostRatio:
    """Cost per trial of the baseline's first n over that of the method; by m where the method is a search.

    The unit of replication is the trial, or the search. A search's trials may get cheaper or dearer as it
    goes on, so its cost up to the m-th trial is its own and not m times a mean.
    """
    if unit == TRIALS:
        return EVEN
    ours = costs_up_to(baseline, unit, n)
    if method.search is None:
        theirs = method.costs[unit]
        return log_ratio_of_paired_means(ours, theirs) if paired else log_ratio_of_means(ours, theirs)
    running = running_costs(method, unit)
    by_m = log_ratio_of_means(ours, running.T)
    return CostRatio(by_m.log, by_m.se, by_m.df, np.arange(1, running.shape[1] + 1))


def own_cost(method: Arm, unit: str) -> CostRatio:
    """One over the cost per trial of the method, by m where it is a search."""
    theirs = method.costs[unit] if method.search is None else running_costs(method, unit).T
    size, mean = theirs.shape[-1], theirs.mean(axis=-1)
    spread = theirs.std(axis=-1, ddof=1) / (mean * np.sqrt(size)) if size > 1 else np.zeros_like(mean)
    df = np.full_like(mean, max(size - 1.0, 1.0))
    m = None if method.search is None else np.arange(1, theirs.shape[0] + 1)
    return CostRatio(-np.log(mean), settled(spread, 1.0), df, m)


def running_costs(arm: Arm, unit: str) -> Floats:
    """Mean cost of the first m trials of each whole search, shape [R, M], M the shortest search's length."""
    spent = np.cumsum(np.stack([arm.costs[unit][row] for row in in_order(arm)]), axis=1)
    return spent / np.arange(1, spent.shape[1] + 1)


def costs_up_to(arm: Arm, unit: str, n: int) -> Floats:
    """Cost per trial of each independent unit: of each trial, or of each search over its first n trials."""
    return arm.costs[unit] if arm.search is None else running_costs(arm, unit)[:, n - 1]


def unit_costs(arm: Arm, unit: str) -> Floats:
    """Cost per trial of each independent unit of an arm: each trial, or the mean over each whole search."""
    costs = arm.costs[unit]
    if arm.search is None:
        return costs
    return np.array([costs[arm.search == number].mean() for number in np.unique(arm.search)])
