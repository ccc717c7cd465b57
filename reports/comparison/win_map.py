"""The chance that the method's best of m is on par with or better than the baseline's best of n, as a map."""

import numpy as np

from reports.comparison.evidence import Evidence
from reports.results.contrast import Matched, WinGrid
from reports.results.estimate import Estimate, Interval
from reports.scope import Scope
from reports.statistics.best_of_n import trial_grid
from reports.statistics.winning import win_grid, win_limits, win_probability

#: Largest number of trials per side of the win-probability map, and to look for even chances.
MAP_TRIALS = 1_000
#: W's jackknife limits were calibrated from this many trials an arm.
WIN_TRIALS = 50


def win_map(evidence: Evidence, matched: Matched, scope: Scope) -> WinGrid | None:
    """W(n, m) over a grid, with limits at n and the matched m; None unless both arms are independent."""
    method, baseline = evidence.method, evidence.baseline
    if baseline is None or method.ranking is None or baseline.ranking is None:
        return None
    if not (method.arm.is_independent and baseline.arm.is_independent):
        return None
    ours, theirs = (method.ranking, method.arm.test), (baseline.ranking, baseline.arm.test)
    trials = baseline.arm.trials, method.arm.trials
    margin = evidence.margin
    rows = tuple(shown_trials(min(trials[0] // 2, MAP_TRIALS)))
    columns = tuple(shown_trials(min(trials[1] // 2, MAP_TRIALS)))
    search = trial_grid(min(trials[1] // 2, MAP_TRIALS))
    even = search[win_grid(ours, theirs, (scope.n,), search, margin)[0] >= 0.5]
    value = matched.trials.value
    m = scope.n if value is None else int(min(max(round(value), 1), trials[1] // 2))
    chance, se = win_probability(ours, theirs, scope.n, m, margin)
    chance = min(max(chance, 0.0), 1.0)
    interval, note = None, "limits are given from 50 trials an arm, and for unpaired arms"
    if min(trials) >= WIN_TRIALS and not evidence.paired:
        low, high = win_limits(chance, se, trials, scope.n, m, scope.level)
        interval, note = Interval(low, high, scope.level, method="logit t, jackknife"), ""
    grid = win_grid(ours, theirs, rows, np.array(columns), margin)
    return WinGrid(
        n=rows,
        m=columns,
        probability=tuple(tuple(map(float, row)) for row in grid),
        margin=margin,
        headline_n=scope.n,
        headline_m=m,
        headline=Estimate(chance, interval, note=note),
        even_trials=int(even[0]) if even.size else None,
    )


def shown_trials(limit: int) -> list[int]:
    """A few numbers of trials for maps: 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, ..."""
    steps = [1, 2, 3, 5, 7]
    wanted = steps + [10 * step for step in (1.0, 1.5, 2, 3, 5, 7)] + [100 * step for step in (1, 2, 5, 10)]
    return [int(m) for m in wanted if m <= limit and int(m) in trial_grid(limit)]
