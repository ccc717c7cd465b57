"""Methods whose trials are cheap: what n of them cost, over what n trials of the baseline cost."""

import numpy as np

from reports.comparison.evidence import Evidence
from reports.results.estimate import Estimate, Interval
from reports.scope import Scope
from reports.statistics.matching import t_quantile

#: Share of alpha that the costs of equally many trials may spend, beside all other words. Costs are known
#: far better than scores, so little of it is enough.
SHARE = 0.1


def cost_at_n(evidence: Evidence, comparisons: int, scope: Scope) -> Estimate | None:
    """Cost of n trials of the method over that of n of the baseline, in the claim's unit; None for a refusal.

    Args:
        evidence: of one method in one cell.
        comparisons: how many share alpha.
        scope: names n, the unit and the level.
    """
    if evidence.refusal or scope.cost not in evidence.ratios:
        return None
    ratio = evidence.ratios[scope.cost].at(np.asarray(scope.n, dtype=np.float64))
    level = 1 - 2 * SHARE * scope.alpha / max(comparisons, 1)
    half = float(t_quantile(level, ratio.df) * ratio.se) if ratio.se > 0 else 0.0
    log = -float(ratio.log)
    low, high = float(np.exp(log - half)), float(np.exp(log + half))
    return Estimate(float(np.exp(log)), Interval(low, high, level, method="t on the log of mean costs"))
