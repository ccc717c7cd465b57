"""Bars 5, 6, 7 and 7b (power): matched trials, savings, non-inferiority and whole reports."""

from dataclasses import replace

import numpy as np
from scipy import special

from reports.comparison.evidence import share_of, sides_of
from reports.statistics.arrays import Floats
from reports.statistics.best_of_n import rank
from reports.statistics.matching import (
    Gap,
    gap,
    independent_track,
    matched_trials,
)
from reports.statistics.multiplicity import holm
from reports.statistics.savings import EVEN, CostRatio, log_ratio_of_means, log_saving, saving_p_value
from reports.statistics.unseen import Failed
from tests.calibration.rows import Row
from tests.calibration.worlds import D1, D2, D3, D4, FAR, NEAR, STEEP, World, true_best, true_match

LEVEL, ALPHA = 0.95, 0.05
#: Rivals of D1 with the baseline's n.
PAIRS = ((NEAR, 3), (NEAR, 5), (NEAR, 10), (FAR, 5), (FAR, 10), (STEEP, 10))


def _gaps(
    baseline: World, method: World, trials: int, n: int, studies: int, generator: np.random.Generator
) -> Gap:
    m = np.arange(1, trials // 2 + 1)
    ours, theirs = baseline.draw(studies, trials, generator), method.draw(studies, trials, generator)
    none = Failed(np.zeros(studies, dtype=np.int64), 0.0)
    track = independent_track(rank(theirs[0]), theirs[1], m, failed=none)
    base = independent_track(rank(ours[0]), ours[1], np.array([n]), failed=none)
    return gap(track, base, n)


def _costs(studies: int, trials: int, price: float, generator: np.random.Generator) -> CostRatio:
    ours = generator.gamma(3.0, 1.0, (studies, trials))
    return log_ratio_of_means(ours, price * generator.gamma(3.0, 1.0, (studies, trials)))


def matching(method: World, n: int, trials: int, studies: int, seed: int) -> list[Row]:
    """Bar 5: coverage of m* and of the saving in cost; 7b: savings found."""
    generator = np.random.default_rng([seed, 5, trials, n, int(100 * method.a)])
    truth = true_match(method, D1, n)
    difference = _gaps(D1, method, trials, n, studies, generator)
    _, low, high = matched_trials(difference, LEVEL)
    covered = float(np.mean((low <= truth) & (truth <= high)))
    name = f"{method.name} m*={truth:.2f} n={n} N={trials}"
    ratio = _costs(studies, trials, 1.2, generator)
    _, low_s, high_s = log_saving(difference, ratio, LEVEL)
    saving = np.log(n / truth / 1.2)
    covered_s = float(np.mean((low_s <= saving) & (saving <= high_s)))
    found = float(np.mean(log_saving(difference, EVEN, LEVEL)[1] > 0))
    asked = 0.70 if (method, n, trials) == (NEAR, 10, 100) else None
    return [
        Row("5", f"coverage of matched trials, {name}", covered, 0.93, None),
        Row("5", f"coverage of the saving in cost, {name}", covered_s, 0.93, None),
        Row("7b", f"saving found, {name}", found, asked, None),
    ]


def equal_arms(world: World, n: int, trials: int, studies: int, seed: int) -> list[Row]:
    """Bar 5: A/A studies: false savings with plain limits."""
    generator = np.random.default_rng([seed, 51, trials, n])
    difference = _gaps(world, world, trials, n, studies, generator)
    false = float(np.mean(log_saving(difference, EVEN, LEVEL)[1] > 0))
    _, low, high = matched_trials(difference, LEVEL)
    name = f"{world.name} n={n} N={trials}"
    return [
        Row("5", f"A/A false savings, plain limits, {name}", false, None, 0.04),
        Row(
            "5",
            f"A/A coverage of matched trials, {name}",
            float(np.mean((low <= n) & (n <= high))),
            0.93,
            None,
        ),
    ]


def non_inferiority(world: World, margin: float, n: int, trials: int, studies: int, seed: int) -> Row:
    """Bar 6: the method is worse by exactly the margin, and called on par."""
    generator = np.random.default_rng([seed, 6, trials, n])
    worse = replace(world, name=f"{world.name}-", shift=-margin)
    exact = true_best(world, n) - true_best(worse, n)
    difference = _gaps(world, worse, trials, n, studies, generator)
    value, se, df = difference.value[:, n - 1], difference.se[:, n - 1], difference.df[:, n - 1]
    limit = value - special.stdtrit(df, LEVEL) * se
    rate = float(np.mean(limit > -exact))
    return Row("6", f"false non-inferiority at the margin, {world.name} n={n} N={trials}", rate, None, 0.065)


def claims(gaps: list[Gap], ratios: list[CostRatio], margin: float = 0.0, alpha: float = ALPHA) -> np.ndarray:
    """Words of whole studies as the report gives them, by the p-values that its limits invert.

    Args:
        gaps: one a cell, shapes [studies, K].
        ratios: one a cell, shapes [studies] or ().
        margin: below minus this a difference counts as worse.
        alpha: that the words may spend.

    Returns:
        +1 saves, -1 costs more, +2 on par (with a margin of 0: better), -2 worse, 0 none of these. Shape
        [studies, cells].
    """
    outcomes = [saving_p_value(g, r) for g, r in zip(gaps, ratios, strict=True)]
    direction = np.stack([way for _, way in outcomes], axis=-1)
    matched = np.stack([np.isfinite(matched_trials(g, LEVEL)[0]) for g in gaps], axis=-1)
    clear = holm(np.stack([p for p, _ in outcomes], axis=-1), alpha)[0] <= alpha
    at_n = [g for g in gaps if g.reaches(g.n)]
    better, worse = np.zeros(clear.shape, dtype=bool), np.zeros(clear.shape, dtype=bool)
    if at_n:
        where = [cell for cell, g in enumerate(gaps) if g.reaches(g.n)]
        ahead = np.stack(
            [sides_of(margin) * share_of(margin) * g.chance_below(g.n, -margin) for g in at_n], axis=-1
        )
        behind = np.stack([2 * share_of(margin) * g.chance_above(g.n, -margin) for g in at_n], axis=-1)
        better[:, where] = holm(np.minimum(ahead, 1.0), alpha)[0] <= alpha
        worse[:, where] = holm(np.minimum(behind, 1.0), alpha)[0] <= alpha
    rules = [clear & (direction > 0), clear & (direction < 0) & matched, better, worse]
    return np.select(rules, [1, -1, 2, -2], 0)


def whole_reports(trials: int, n: int, in_trials: bool, studies: int, seed: int) -> Row:
    """Bar 7: six cells in which the arms are alike, Holm-adjusted: any favourable or unfavourable word."""
    generator = np.random.default_rng([seed, 7, trials, n, in_trials])
    worlds = (D1, D2, D3, D4, D1, D3)
    gaps = [_gaps(world, world, trials, n, studies, generator) for world in worlds]
    ratios = [EVEN if in_trials else _costs(studies, trials, 1.0, generator) for _ in worlds]
    any_claim = float(np.mean((claims(gaps, ratios) != 0).any(axis=1)))
    unit = "trials" if in_trials else "seconds"
    return Row("7", f"any claim over six A/A cells, {unit}, n={n} N={trials}", any_claim, None, 0.06)


def adjusted_power(studies: int, seed: int) -> Row:
    """The price of Holm: a true 3.3-fold saving at n=5, N=50 in all six cells, found in one of them."""
    generator = np.random.default_rng([seed, 71])
    gaps = [_gaps(D1, NEAR, 50, 5, studies, generator)]
    gaps += [_gaps(world, world, 50, 5, studies, generator) for world in (D1, D2, D3, D4, D1)]
    found = float(np.mean(claims(gaps, [EVEN] * 6)[:, 0] == 1))
    return Row("7", "a true 3.3-fold saving found beside five A/A cells, n=5 N=50", found)


def drawn_table(seed: int, trials: int, method: World) -> list[tuple[str, str, Floats, Floats]]:
    """One six-cell study as arms, to hold the shortcut `claims` against the whole analysis.

    Returns:
        Cell, method, validation and test scores; baseline and method in turn; one cell in two has a saving.
    """
    generator = np.random.default_rng([seed, 72])
    arms = []
    for cell, world in enumerate((D1, D2, D1, D3, D1, D4)):
        for name, source in (("base", world), ("new", method if world == D1 else world)):
            validation, test = source.draw(1, trials, generator)
            arms.append((f"cell {cell}", name, validation[0], test[0]))
    return arms


def gap_of(baseline: tuple[str, str, Floats, Floats], method: tuple[str, str, Floats, Floats], n: int) -> Gap:
    """The gap of one cell of `drawn_table`, with a batch axis of 1."""
    trials = baseline[2].size
    none = Failed(np.zeros(1, dtype=np.int64), 0.0)
    m = np.arange(1, trials // 2 + 1)
    track = independent_track(rank(method[2][None]), method[3][None], m, failed=none)
    base = independent_track(rank(baseline[2][None]), baseline[3][None], np.array([n]), failed=none)
    return gap(track, base, n)
