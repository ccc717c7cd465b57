"""Bar 14: whole reports of arms that are alike and of very unlike sizes, with and without failures."""

import numpy as np

from reports.statistics.matching import gap
from reports.statistics.savings import EVEN
from tests.calibration.claims import claims
from tests.calibration.failures import Failing
from tests.calibration.rows import Row
from tests.calibration.worlds import D1, D2, D3, D4

#: Trials of the baseline and of the method.
SIZES = ((200, 10), (50, 10), (50, 20), (100, 20), (10, 200))
WORLDS = (D1, D2, D3, D4, D1, D3)
#: Shares of trials that fail in the six cells.
FAILURES = {
    "none fail": (0.0,) * 6,
    "30 % fail": (0.3,) * 6,
    "0, 29 and 44 % fail": (0.0, 0.0, 0.29, 0.44, 0.29, 0.0),
}
#: Beyond this m no claim at these n changes.
MOST = 30


def whole_reports(sizes: tuple[int, int], failing: str, studies: int, seed: int) -> Row:
    """Six cells in which both arms are alike: any favourable or unfavourable word."""
    base, method = sizes
    n = max(2, min(sizes) // 10)
    generator = np.random.default_rng([seed, 14, base, method, len(failing)])
    gaps = []
    for world, rate in zip(WORLDS, FAILURES[failing], strict=True):
        cell = Failing(world, rate)
        track = cell.track(studies, method, np.arange(1, min(method // 2, MOST) + 1), generator)
        gaps.append(gap(track, cell.track(studies, base, np.array([n]), generator), n))
    rate = float(np.mean((claims(gaps, [EVEN] * len(gaps)) != 0).any(axis=1)))
    name = f"any claim over six A/A cells, {base} v {method}, {failing}, n={n}"
    return Row("14", name, rate, None, 0.06)


def pooled(rows: list[Row]) -> Row:
    """All of the worlds of this bar together."""
    rates = [row.measured for row in rows if row.bar == "14"]
    return Row("14", "any claim over six A/A cells, all lopsided worlds", float(np.mean(rates)), None, 0.06)
