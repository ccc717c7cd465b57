"""Chooses the test of two arms' distributions that their sampling allows, or says why there is none."""

import numpy as np
from scipy import stats

from reports.arms.arm import Arm
from reports.arms.tracks import search_paths
from reports.comparison.evidence import Prepared
from reports.results.contrast import Test
from reports.results.estimate import Estimate, Interval
from reports.scope import Scope
from reports.statistics.arrays import Floats
from reports.statistics.best_of_n import expected_best, rank
from reports.statistics.two_samples import a12_limits, brunner_munzel_p, hodges_lehmann, paired_p, search_p

#: Quantiles, counted from the worse end, whose differences describe the arms.
QUANTILES = (0.5, 0.9)


def distribution_test(first: Prepared, second: Prepared, scope: Scope, paired: bool) -> Test | str:
    """The test that the sampling of both arms allows, or why there is none.

    `first` is the arm in whose favour positive numbers speak.
    """
    a, b = second.arm, first.arm
    if "design" in (a.sampling, b.sampling):
        return "an arm was sampled by a design: described, not tested"
    if a.is_search or b.is_search:
        return _search_test(first, second, scope)
    if min(a.trials, b.trials) < 2:
        return "an arm has fewer than 2 trials"
    generator = b.generator(scope.seed, f"permutations against {a.method}")
    if paired:
        name = "paired permutation of studentised midranks, as the arms share draws"
        p = paired_p(first.scores, second.scores, scope.permutations, generator)
    else:
        name = "Brunner-Munzel, studentised permutation: right for unequal spreads, defined under separation"
        p = brunner_munzel_p(first.scores, second.scores, scope.permutations, generator)
    return _described(first.scores, second.scores, (b, a), name, p, scope, inferred=not paired)


def _described(
    ours: Floats, theirs: Floats, arms: tuple[Arm, Arm], name: str, p: float, scope: Scope, inferred: bool
) -> Test:
    """The test with its effect sizes; intervals only where their formulas hold."""
    first, second = arms
    a12, low, high = a12_limits(ours, theirs, scope.level)
    whole = first.search is not None or second.search is not None
    levels = (ours, theirs) if whole else (first.test, second.test)
    shift, shift_low, shift_high = hodges_lehmann(*levels, scope.level)
    chance = Interval(low, high, scope.level, method="logit t") if inferred else None
    moved = Interval(shift_low, shift_high, scope.level, method="quantiles of U") if inferred else None
    shape = None
    if inferred and not whole:
        shape = float(stats.ks_2samp(levels[0], levels[1], method="asymp").pvalue)
    return Test(
        first=first.method,
        second=second.method,
        test=name,
        p_value=p,
        p_adjusted=None,
        adjustment="none",
        a12=Estimate(a12, chance),
        shift=Estimate(shift, moved),
        quantile_differences={
            str(q): float(np.quantile(levels[0], q) - np.quantile(levels[1], q)) for q in QUANTILES
        },
        kolmogorov_smirnov_p=shape,
    )


def _search_outcomes(side: Prepared, length: int) -> Floats:
    """One outcome a whole search of `length` trials; independent trials are cut up as they come."""
    arm = side.arm
    if arm.search is not None:
        return search_paths(arm, arm.test)[:, length - 1]
    order = np.arange(arm.trials) if arm.position is None else np.argsort(arm.position, kind="stable")
    outcomes = []
    for start in range(0, arm.trials - length + 1, length):
        part = order[start : start + length]
        outcomes.append(float(expected_best(rank(arm.validation[part]), arm.test[part], length)))
    return np.array(outcomes)


def _search_test(first: Prepared, second: Prepared, scope: Scope) -> Test | str:
    for side in (first, second):
        if side.problem:
            return side.problem
        if side.arm.is_independent and side.arm.position is None:
            return f"the table lacks the order of {side.arm.method}'s trials (column index)"
    searches = [side.track for side in (first, second) if side.arm.search is not None]
    length = min(int(track.m[-1]) for track in searches if track is not None)
    ours, theirs = _search_outcomes(first, length), _search_outcomes(second, length)
    if min(ours.size, theirs.size) < 2:
        return f"fewer than 2 whole searches of {length} trials in an arm"
    generator = first.arm.generator(scope.seed, f"searches against {second.arm.method}")
    p = search_p(ours, theirs, scope.permutations, generator)
    name = (
        f"permutation between whole searches of {length} trials ({ours.size} against {theirs.size}), as the "
        "trials of a search depend on each other"
    )
    return _described(ours, theirs, (first.arm, second.arm), name, p, scope, inferred=True)
