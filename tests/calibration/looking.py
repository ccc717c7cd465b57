"""Bar 18: arms that are alike, looked at six times as their trials come."""

import numpy as np

from reports.statistics.arrays import Floats
from reports.statistics.best_of_n import rank
from reports.statistics.looks import spending
from reports.statistics.matching import gap, independent_track
from reports.statistics.savings import EVEN
from reports.statistics.unseen import Failed
from tests.calibration.claims import ALPHA, claims
from tests.calibration.rows import Row
from tests.calibration.worlds import World

LOOKS = (20, 30, 40, 50, 75, 100)


def six_looks(world: World, n: int, studies: int, seed: int) -> list[Row]:
    """Any claim at any look: with the error spent as declared, and as if each look were the only one."""
    generator = np.random.default_rng([seed, 18, n])
    ours, theirs = (world.draw(studies, LOOKS[-1], generator) for _ in range(2))
    found = []
    for alphas in (spending(LOOKS, ALPHA), np.full(len(LOOKS), ALPHA)):
        claimed = [
            _claimed(ours, theirs, trials, n, float(alpha))
            for trials, alpha in zip(LOOKS, alphas, strict=True)
        ]
        found.append(float(np.mean(np.any(claimed, axis=0))))
    name = f"any claim in six looks at A/A arms, {world.name} n={n}"
    return [Row("18", f"{name}, declared", found[0], None, 0.06), Row("+", f"{name}, not declared", found[1])]


def _claimed(
    ours: tuple[Floats, Floats], theirs: tuple[Floats, Floats], trials: int, n: int, alpha: float
) -> np.ndarray:
    none = Failed(np.zeros(len(ours[0]), dtype=np.int64), 0.0)
    most = np.arange(1, min(trials // 2, 3 * n) + 1)
    tracks = [
        independent_track(rank(validation[:, :trials]), test[:, :trials], m, failed=none)
        for (validation, test), m in ((theirs, most), (ours, np.array([n])))
    ]
    said: np.ndarray = claims([gap(tracks[0], tracks[1], n)], [EVEN], alpha=alpha)[:, 0] != 0
    return said
