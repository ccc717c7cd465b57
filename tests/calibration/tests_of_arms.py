"""Bars 1, 2 and 9: error rates of the tests between arms."""

import numpy as np
from scipy import stats

from reports.arms.arm import DependentTrialsError
from reports.statistics.arrays import Floats
from reports.statistics.best_of_n import expected_best, rank
from reports.statistics.two_samples import brunner_munzel_p, search_p
from tests.calibration.rows import Row
from tests.calibration.worlds import WORLDS, World
from tests.reports.helpers import arm_of

ALPHA = 0.05
PERMUTATIONS = 999  # a multiple of 20 less one: the level .05 is attainable exactly
EQUAL_SIZES = ((20, 20), (50, 50), (20, 50))
SPREAD_SIZES = ((20, 20), (50, 50), (50, 20), (20, 50), (200, 200), (200, 50), (50, 200))
SPREAD = 3.3


def _rejections(first: Floats, second: Floats, generator: np.random.Generator) -> int:
    return sum(
        brunner_munzel_p(b, a, PERMUTATIONS, generator) <= ALPHA for a, b in zip(first, second, strict=True)
    )


def equal_arms(world: World, sizes: tuple[int, int], studies: int, seed: int) -> Row:
    """Bar 1, one setting: both arms drawn from one world. Bounds: 3.5 standard errors about the level."""
    generator = np.random.default_rng([seed, 1])
    first = world.draw(studies, sizes[0], generator)[1]
    second = world.draw(studies, sizes[1], generator)[1]
    rate = _rejections(first, second, generator) / studies
    half = 3.5 * float(np.sqrt(ALPHA * (1 - ALPHA) / studies))
    return Row("1", f"A/A rejections, {world.name} {sizes[0]} v {sizes[1]}", rate, ALPHA - half, ALPHA + half)


def pooled(rows: list[Row]) -> Row:
    """Bar 1 over all its settings."""
    rates = [row.measured for row in rows if row.bar == "1"]
    return Row("1", f"A/A rejections, pooled over {len(rates)} settings", float(np.mean(rates)), 0.045, 0.055)


def unequal_spread(sizes: tuple[int, int], studies: int, seed: int) -> list[Row]:
    """Bar 2: P(B > A) = 1/2, but B is 3.3 times as wide; with the control that must fail."""
    generator = np.random.default_rng([seed, 2, *sizes])
    first = generator.normal(size=(studies, sizes[0]))
    second = SPREAD * generator.normal(size=(studies, sizes[1]))
    name = f"{sizes[0]} v {sizes[1]}"
    rate = _rejections(first, second, generator) / studies
    rows = [Row("2", f"unequal spread, default test, {name}", rate, None, 0.065)]
    if sizes == (50, 20):
        naive = np.mean(
            [stats.mannwhitneyu(a, b).pvalue <= ALPHA for a, b in zip(first, second, strict=True)]
        )
        rows.append(Row("2", f"control: Mann-Whitney must fail, {name}", float(naive), 0.10, None))
    return rows


def _climbs(searches: int, trials: int, generator: np.random.Generator) -> Floats:
    """Adaptive searches: after 10 random points each next one is drawn near the best so far."""
    points = generator.random((searches, trials))
    noise = generator.normal(0, 0.02, (searches, trials))
    scores = np.empty((searches, trials))
    for step in range(trials):
        if step >= 10:
            best = np.take_along_axis(points, scores[:, :step].argmax(axis=1)[:, None], axis=1)[:, 0]
            points[:, step] = np.clip(best + generator.normal(0, 0.1, searches), 0, 1)
        scores[:, step] = 0.9 - (points[:, step] - 0.7) ** 2 + noise[:, step]
    return scores


def adaptive(studies: int, seed: int) -> list[Row]:
    """Bar 9: formulas for independent trials refuse adaptive ones; searches are permuted whole."""
    generator = np.random.default_rng([seed, 9])
    trials, searches = 40, 5
    scores = _climbs(2 * searches * studies, trials, generator)
    outcomes = scores.max(axis=1).reshape(studies, 2, searches)
    rejected = sum(search_p(second, first, 999, generator) <= ALPHA for first, second in outcomes)
    refused = sum(_refuses(scores[0], sampling) for sampling in ("adaptive", "design")) / 2
    # What the refusal is for: the formula on the whole search against what its first 10 trials really give.
    some = scores[:500]
    formula = float(expected_best(rank(some), some, 10).mean())
    truth = float(scores[:, :10].max(axis=1).mean())
    return [
        Row("9", "formulas for independent trials raise on dependent ones", refused, 1.0, None),
        Row("9", "A/A rejections, permutation of whole searches, 5 v 5", rejected / studies, None, 0.06),
        Row("9", "independent formula minus truth, adaptive best of 10", formula - truth),
    ]


def _refuses(scores: Floats, sampling: str) -> bool:
    try:
        arm_of(scores, sampling=sampling).require_independent()
    except DependentTrialsError:
        return True
    return False


def settings_of_bar_1() -> list[tuple[World, tuple[int, int]]]:
    """All settings of bar 1."""
    return [(world, sizes) for world in WORLDS for sizes in EQUAL_SIZES]
