"""Costs of an arm by its independent units, which are trials or whole searches."""

import numpy as np

from reports.arms.arm import Arm
from reports.cost_units import TRIALS
from reports.statistics.arrays import Floats
from reports.statistics.savings import EVEN, CostRatio, log_ratio_of_means, log_ratio_of_paired_means


def cost_ratio(baseline: Arm, method: Arm, unit: str, paired: bool = False) -> CostRatio:
    """Ratio of mean costs of two arms; the unit of replication is the trial, or the search if adaptive."""
    if unit == TRIALS:
        return EVEN
    ours, theirs = unit_costs(baseline, unit), unit_costs(method, unit)
    return log_ratio_of_paired_means(ours, theirs) if paired else log_ratio_of_means(ours, theirs)


def unit_costs(arm: Arm, unit: str) -> Floats:
    """Cost per trial of each independent unit of an arm: each trial, or the mean over each whole search."""
    costs = arm.costs[unit]
    if arm.search is None:
        return costs
    return np.array([costs[arm.search == number].mean() for number in np.unique(arm.search)])
