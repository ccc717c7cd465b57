"""Limits that hold for every number of trials at once: the supremum over n, calibrated.

Best of 5 and best of 6 come from the same trials, so limits at each n fail together. The jackknife gives the
correlation of the estimates at all n; of normal draws with it the largest one is what limits for all n must
hold (Montiel Olea and Plagborg-Møller 2019, "Simultaneous confidence bands", sup-t). Exact bands, as opda's,
are trivial from n of N / 10 on.
"""

from collections.abc import Sequence

import numpy as np
from scipy import special

from reports.statistics.arrays import Floats, settled

#: Normal draws that the supremum is taken from.
DRAWS = 10_000


def covariance(left_out: Floats) -> Floats:
    """Jackknife covariance of estimates, from their leave-one-out values: shape [K, N] -> [K, K]."""
    units = left_out.shape[-1]
    away = settled(left_out - left_out.mean(axis=-1, keepdims=True), np.abs(left_out).max())
    found: Floats = (units - 1) / units * (away @ away.T)
    return found


def simultaneous_level(covariances: Sequence[Floats], level: float, seed: int) -> float:
    """The level of pointwise limits that hold at all K places at once with chance `level`.

    Between `level` (all places as one) and Bonferroni's.

    Args:
        covariances: of independent parts of the estimates, shape [K, K] each; they add up.
        level: two-sided.
        seed: of the draws.
    """
    whole = np.sum(covariances, axis=0)
    errors = np.sqrt(np.diag(whole))
    varies = errors > 0
    if not varies.any():
        return level
    scaled = whole[np.ix_(varies, varies)] / np.outer(errors[varies], errors[varies])
    generator = np.random.default_rng(seed)
    draws = generator.multivariate_normal(np.zeros(len(scaled)), scaled, DRAWS, method="eigh")
    most = float(np.quantile(np.abs(draws).max(axis=1), level))
    return float(np.clip(2 * special.ndtr(most) - 1, level, 1 - (1 - level) / errors.size))
