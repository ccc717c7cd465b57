"""How the error is spent over the looks at trials that a study declares."""

from collections.abc import Sequence

import numpy as np
from scipy import special

from reports.statistics.arrays import Floats


def spending(looks: Sequence[int], alpha: float) -> Floats:
    """The error that claims may spend at each look.

    O'Brien and Fleming's shape (Lan & DeMets 1983): by the share t of the trials 2 - 2 Phi(z / sqrt(t)) of
    alpha = 2 - 2 Phi(z) is spent, little at first. Each look has what came since the one before. The
    errors of all looks are added (Bonferroni), so the whole is kept whatever they have to do with each other.

    Args:
        looks: trials of an arm at each look, growing.
        alpha: of all looks together.

    Returns:
        Shape [looks], sums to alpha.

    Raises:
        ValueError: the looks do not grow.
    """
    trials = np.asarray(looks, dtype=np.float64)
    if trials.size == 0 or trials[0] <= 0 or (np.diff(trials) <= 0).any():
        raise ValueError("looks are numbers of trials that grow")
    z = special.ndtri(1 - alpha / 2)
    total = 2 * special.ndtr(-z / np.sqrt(trials / trials[-1]))
    found: Floats = np.diff(total, prepend=0.0)
    return found
