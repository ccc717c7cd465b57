"""How likely the best of m trials of one arm is on par with or better than the best of n of another.

Selection on validation, comparison on test; exact weights, so no trial is drawn.
"""

import numpy as np
from scipy import special

from reports.statistics.arrays import ROUNDING, Floats, Integers
from reports.statistics.best_of_n import (
    Ranking,
    best_of_n_df,
    expected_best,
    jackknife_se,
    leave_one_out,
    trial_weights,
)
from reports.statistics.matching import t_quantile


def win_scores(method_test: Floats, baseline_test: Floats, baseline_weights: Floats, margin: float) -> Floats:
    """For each trial of the method, the chance to be on par with or better than the baseline's best.

    Sum over j of weight_j [1{T_i > T_j - margin} + 1/2 1{T_i = T_j - margin}], by sorting: O(N log N).
    """
    order = np.argsort(baseline_test, kind="stable")
    bar = baseline_test[order] - margin
    reach = np.concatenate(([0.0], np.cumsum(baseline_weights[order])))
    # A difference of exactly the margin is a tie, though rounding may have moved it off.
    slack = ROUNDING * np.abs(method_test)
    below = reach[np.searchsorted(bar, method_test - slack, side="left")]
    up_to = reach[np.searchsorted(bar, method_test + slack, side="right")]
    scores: Floats = (below + up_to) / 2
    return scores


def win_probability(
    method: tuple[Ranking, Floats], baseline: tuple[Ranking, Floats], n: int, m: int, margin: float
) -> tuple[float, float]:
    """Probability W(n, m) that the method's best of m is on par with or better than the baseline's best of n.

    Unbiased two-sample U-statistic. Selection on validation, comparison on test.

    Args:
        method: ranking and test scores, shape [N_B].
        baseline: ranking and test scores, shape [N_A].
        n: trials of the baseline.
        m: trials of the method.
        margin: how much worse is still on par.

    Returns:
        The estimate and its jackknife standard error over both arms.
    """
    theirs = win_scores(method[1], baseline[1], trial_weights(baseline[0], n), margin)
    value = float(expected_best(method[0], theirs, m))
    error = float(jackknife_se(leave_one_out(method[0], theirs, m)))
    # Seen from the baseline: its trial j loses to the method's best with this probability.
    mine = 1.0 - win_scores(baseline[1], method[1], trial_weights(method[0], m), -margin)
    other = float(jackknife_se(leave_one_out(baseline[0], mine, n)))
    return value, float(np.hypot(error, other))


def win_limits(
    value: float, se: float, trials: tuple[int, int], n: int, m: int, level: float
) -> tuple[float, float]:
    """Logit-t limits of W; at 0 or 1 the exact limit for as many independent searches as the arms hold.

    Args:
        value: W.
        se: its standard error.
        trials: N of the baseline and of the method.
        n: trials of the baseline in one search.
        m: trials of the method in one search.
        level: two-sided level.
    """
    searches = max(1, min(trials[0] // n, trials[1] // m))
    edge = ((1 - level) / 2) ** (1 / searches)
    if value <= ROUNDING:
        return 0.0, 1 - edge
    if value >= 1 - ROUNDING:
        return edge, 1.0
    df = np.minimum(best_of_n_df(trials[0], n), best_of_n_df(trials[1], m))
    half = float(t_quantile(level, df)) * se / (value * (1 - value))
    return float(special.expit(special.logit(value) - half)), float(
        special.expit(special.logit(value) + half)
    )


def win_grid(
    method: tuple[Ranking, Floats],
    baseline: tuple[Ranking, Floats],
    n: tuple[int, ...],
    m: Integers,
    margin: float,
) -> Floats:
    """W(n, m) over grids, shape [len(n), len(m)]."""
    grid = np.empty((len(n), m.size))
    for row, number in enumerate(n):
        scores = win_scores(method[1], baseline[1], trial_weights(baseline[0], number), margin)
        grid[row] = [float(expected_best(method[0], scores, int(k))) for k in m]
    return np.clip(grid, 0.0, 1.0)
