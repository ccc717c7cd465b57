"""Prints every bar beside what was measured; exits with 1 if one fails. Within an hour on two cores.

`python -m tests.calibration` runs all; names of modules or functions run a part: `tests_of_arms`,
`claims.whole_reports`.
"""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.calibration import (
    claims,
    drifting,
    exact,
    failures,
    intervals,
    large,
    looking,
    lopsided,
    pooled,
    powers,
    replays,
    tests_of_arms,
    ties,
)
from tests.calibration.rows import Row
from tests.calibration.worlds import D1, D2, D3, POWER_POOLS, WORLDS

SEED = 7
STUDIES = 2_000
PROCESSES = 2

Job = tuple[Callable[..., Row | list[Row]], tuple[object, ...]]


def jobs() -> list[Job]:
    """All simulations, the longest first."""
    found: list[Job] = []
    for trials, n_set in ((200, (3, 5, 10, 20, 40)), (100, (3, 5, 10, 20)), (50, (3, 5, 10))):
        found += [(intervals.best_of_n, (world, trials, n_set, STUDIES, SEED)) for world in WORLDS]
    found += [(tests_of_arms.unequal_spread, (sizes, STUDIES, SEED)) for sizes in tests_of_arms.SPREAD_SIZES]
    found += [
        (tests_of_arms.equal_arms, (world, sizes, STUDIES, SEED + place))
        for place, (world, sizes) in enumerate(tests_of_arms.settings_of_bar_1())
    ]
    for trials in (200, 100, 50):
        found += [(claims.matching, (rival, n, trials, STUDIES, SEED)) for rival, n in claims.PAIRS]
        found += [(claims.equal_arms, (world, n, trials, STUDIES, SEED)) for world in WORLDS for n in (5, 10)]
        found += [
            (claims.non_inferiority, (world, margin, n, trials, STUDIES, SEED))
            for world, margin in ((D1, 0.0025), (D2, 0.0025), (D3, 0.01))
            for n in (3, 5, 10)
        ]
    for trials, n in ((50, 5), (100, 10)):
        found += [(claims.whole_reports, (trials, n, unit, STUDIES, SEED)) for unit in (True, False)]
    found += [
        (drifting.coverage, (rate, drift, STUDIES // 2, SEED))
        for rate in (0.1, 0.2)
        for drift in drifting.DRIFTS
    ]
    found += [
        (failures.matching, (base, method, trials, n, STUDIES // 2, SEED, setting))
        for trials, n in failures.SIZES
        for setting, base, method in failures.settings()
    ]
    found += [
        (ties.whole_reports, (world, trials, n, STUDIES // 2, SEED))
        for world in ties.TIED
        for trials, n in ((20, 2), (50, 5), (100, 10))
    ]
    found += [
        (lopsided.whole_reports, (sizes, failing, STUDIES, SEED))
        for sizes in lopsided.SIZES
        for failing in lopsided.FAILURES
    ]
    found += [
        (pooled.coverage, (name, trials, n, in_trials, STUDIES // 2, SEED))
        for trials, n in ((100, 10), (50, 5), (20, 2))
        for name in pooled.CELLS
        for in_trials in (True, False)
    ]
    found += [(looking.six_looks, (world, n, STUDIES, SEED)) for world in WORLDS for n in (2, 5)]
    found += [(powers.plain, (*sizes, STUDIES, SEED)) for sizes in powers.BEFORE]
    found += [
        (powers.announced, (world, saving, *sizes, STUDIES, SEED))
        for sizes in powers.BEFORE
        for world in POWER_POOLS
        for saving in (2, 4)
    ]
    found.append((claims.adjusted_power, (STUDIES, SEED)))
    found += [
        (intervals.cost_ratios, (rates, trials, 5 * STUDIES, SEED))
        for rates in intervals.RATES
        for trials in intervals.SIZES
    ]
    found += [(intervals.pooling, (k, tau, 5 * STUDIES, SEED)) for k in (3, 6) for tau in (0.0, 0.3, 0.6)]
    found += [(intervals.medians, (world, 50, n, STUDIES, SEED)) for world in WORLDS for n in (1, 5)]
    found += [
        (intervals.win, (world, trials, 5, 5, STUDIES, SEED)) for world in (D1, D3) for trials in (50, 200)
    ]
    found += [(intervals.hypervolumes, (trials, 5, STUDIES, SEED)) for trials in (50, 200)]
    found += [
        (replays.coverage, (pruner, slow, STUDIES // 8, SEED))
        for pruner in replays.PRUNERS
        for slow in (False, True)
    ]
    found.append((large.seconds, (20, 5, 100, SEED)))
    found.append((tests_of_arms.adaptive, (STUDIES, SEED)))
    found.append((exact.largest_error, (200, SEED)))
    return found


def name_of(job: Job) -> str:
    """Module and function of a simulation, as named on the command line."""
    return f"{job[0].__module__.rsplit('.', 1)[-1]}.{job[0].__name__}"


def main() -> int:
    """Runs all bars, or those named, in two processes."""
    wanted = [job for job in jobs() if not sys.argv[1:] or name_of(job).startswith(tuple(sys.argv[1:]))]
    if not wanted:
        sys.exit(f"no such simulation; there are: {', '.join(sorted({name_of(job) for job in jobs()}))}")
    started = time.monotonic()
    # Two processes are meant to take two cores; threads of the linear algebra would take all of them.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    rows: list[Row] = []
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        for outcome in [pool.submit(function, *arguments) for function, arguments in wanted]:
            result = outcome.result()
            rows += result if isinstance(result, list) else [result]
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if any(row.bar == "1" for row in rows):
        rows.append(tests_of_arms.pooled(rows))
    if any(row.bar == "14" for row in rows):
        rows.append(lopsided.pooled(rows))
    rows.sort(key=lambda row: (row.bar == "+", len(row.bar.rstrip("b")), row.bar))
    for row in rows:
        print(row)
    failed = [row for row in rows if not row.holds()]
    asked = [row for row in rows if row.at_least is not None or row.at_most is not None]
    seconds = time.monotonic() - started
    held = f"{len(asked) - len(failed)} of {len(asked)} bars hold"
    print(f"{held}; seed {SEED}, {STUDIES} studies, {seconds:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
