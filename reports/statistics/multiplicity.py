"""Several comparisons at once: familywise errors (Holm), false discoveries (Benjamini and Hochberg)."""

import numpy as np
from scipy import stats

from reports.statistics.arrays import Floats


def holm(p_values: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Holm's step-down procedure over the last axis.

    Args:
        p_values: shape [..., F].
        alpha: familywise level.

    Returns:
        Adjusted p-values, and for each hypothesis the level (1 - alpha share) of the limits that agree with
        the procedure: alpha / (F - rank + 1) as long as everything before was rejected; from the first one
        kept on, its share. Shapes [..., F].
    """
    size = p_values.shape[-1]
    order = np.argsort(p_values, axis=-1, kind="stable")
    ranked = np.take_along_axis(p_values, order, axis=-1)
    factors = np.arange(size, 0, -1)
    stepped = np.minimum(np.maximum.accumulate(ranked * factors, axis=-1), 1.0)
    kept = ranked * factors > alpha
    first_kept = np.where(kept.any(axis=-1), np.argmax(kept, axis=-1), size - 1)
    place = np.minimum(np.arange(size), first_kept[..., None])
    shares = alpha / factors[place]
    adjusted, levels = np.empty_like(stepped), np.empty_like(stepped)
    np.put_along_axis(adjusted, order, stepped, axis=-1)
    np.put_along_axis(levels, order, 1 - shares, axis=-1)
    return adjusted, levels


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Adjusted p-values that control the false discovery rate; shape [F]."""
    if p_values.size == 0:
        return p_values
    adjusted: Floats = stats.false_discovery_control(p_values)
    return adjusted
