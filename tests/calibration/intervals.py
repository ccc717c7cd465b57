"""Bars 3, 4, 7b (width) and 8: intervals of best-of-n, cost ratios and pooled savings."""

import numpy as np

from reports.statistics.best_of_n import (
    best_of_n_df,
    bootstrap_best,
    expected_best,
    hull_limits,
    jackknife_se,
    leave_one_out,
    median_best,
    rank,
)
from reports.statistics.fronts import expected_hypervolume, field
from reports.statistics.matching import t_quantile
from reports.statistics.meta_analysis import paule_mandel, pool_new
from reports.statistics.restarts import cost_to_target, log_cost_ratio
from reports.statistics.winning import win_limits, win_probability
from tests.calibration.rows import Row
from tests.calibration.worlds import D4, World, true_best

LEVEL = 0.95
RESAMPLES = 1_000
RATES = ((0.7, 0.9), (0.3, 0.3), (0.1, 0.3), (0.05, 0.10), (0.02, 0.30))
SIZES = (20, 50, 200)


def best_of_n(world: World, trials: int, n_set: tuple[int, ...], studies: int, seed: int) -> list[Row]:
    """Bars 3 and 7b: coverage of E[best of n] and width against the percentile bootstrap."""
    generator = np.random.default_rng([seed, 3, trials])
    validation, test = world.draw(studies, trials, generator)
    ranking = rank(validation)
    numbers = np.array(n_set)
    values = np.stack([expected_best(ranking, test, n) for n in n_set], axis=-1)
    errors = np.stack([jackknife_se(leave_one_out(ranking, test, n)) for n in n_set], axis=-1)
    df = best_of_n_df(trials, numbers)
    truth = np.array([true_best(world, n) for n in n_set])
    covered, percentile = np.zeros(len(n_set)), np.zeros(len(n_set))
    widths, narrow = np.zeros(len(n_set)), np.zeros(len(n_set))
    for study in range(studies):
        replicates = bootstrap_best(rank(validation[study]), test[study], numbers, RESAMPLES, generator)
        low, high = hull_limits(values[study], errors[study], df, replicates, LEVEL)
        ends = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
        covered += (low <= truth) & (truth <= high)
        percentile += (ends[0] <= truth) & (truth <= ends[1])
        widths += high - low
        narrow += ends[1] - ends[0]
    rows = []
    for i, n in enumerate(n_set):
        name = f"{world.name} N={trials} n={n}"
        rate = float(covered[i] / studies)
        rows.append(Row("3", f"coverage of E[best of n], {name}", rate, 0.90 if world == D4 else 0.935, None))
        rows.append(Row("7b", f"that coverage is not bought by width, {name}", rate, None, 0.98))
        rows.append(Row("7b", f"width over percentile's, {name}", float(widths[i] / narrow[i]), None, 1.4))
        if (trials, n) == (50, 10):
            control = float(percentile[i] / studies)
            rows.append(Row("3", f"control: percentile alone must fail, {name}", control, None, 0.92))
    return rows


def medians(world: World, trials: int, n: int, studies: int, seed: int) -> Row:
    """Coverage of the exact limits of the median best validation score (at least the level, by theory)."""
    generator = np.random.default_rng([seed, 30, trials, n])
    validation, _ = world.draw(studies, trials, generator)
    sample = world.draw(1, 400_000, generator)[0][0]
    truth = float(np.quantile(sample, 0.5 ** (1 / n)))
    limits = [median_best(row, n, LEVEL)[1:] for row in validation]
    rate = float(np.mean([low <= truth <= high for low, high in limits]))
    return Row("+", f"coverage of the median best of n, {world.name} N={trials} n={n}", rate, 0.94, None)


def win(world: World, trials: int, n: int, m: int, studies: int, seed: int) -> Row:
    """Coverage of the logit-t limits of W(n, m) under equal arms."""
    generator = np.random.default_rng([seed, 31, trials])
    ours, theirs = world.draw(studies, trials, generator), world.draw(studies, trials, generator)
    big = [world.draw(1, 200_000, generator) for _ in range(2)]
    truth, _ = win_probability(
        (rank(big[0][0][0]), big[0][1][0]), (rank(big[1][0][0]), big[1][1][0]), n, m, 0.0
    )
    covered = 0
    for study in range(studies):
        sides = [(rank(v[study]), t[study]) for v, t in (ours, theirs)]
        value, se = win_probability(sides[0], sides[1], n, m, 0.0)
        low, high = win_limits(value, se, (trials, trials), n, m, LEVEL)
        covered += low <= truth <= high
    name = f"coverage of W({n}, {m}), {world.name} N={trials}"
    return Row("+", name, covered / studies, 0.935, None)


def hypervolumes(trials: int, n: int, studies: int, seed: int) -> Row:
    """Coverage of the jackknife limits of the expected hypervolume (from no paper)."""
    generator = np.random.default_rng([seed, 32, trials])

    def draw(size: int) -> tuple[np.ndarray, np.ndarray]:
        x = generator.random(size)
        return x, np.clip(0.9 * generator.beta(5, 1.5, size) * (1 - 0.4 * x**2), 0, 1)

    truth = float(np.mean([expected_hypervolume(field(*draw(2_000)), 2_000, n)[0] for _ in range(20)]))
    covered = 0
    half_factor = float(t_quantile(LEVEL, np.asarray(best_of_n_df(trials, n))))
    for _ in range(studies):
        value, se = expected_hypervolume(field(*draw(trials)), trials, n)
        covered += abs(value - truth) <= half_factor * se
    return Row("+", f"coverage of expected hypervolume, N={trials} n={n}", covered / studies, 0.93, None)


def cost_ratios(rates: tuple[float, float], trials: int, studies: int, seed: int) -> Row:
    """Bar 4: coverage of the ratio of expected costs to target; costs go with success."""
    generator = np.random.default_rng([seed, 4, trials, int(1000 * rates[0]), int(1000 * rates[1])])
    sides, truths = [], []
    for rate in rates:
        reached = generator.random((studies, trials)) < rate
        costs = generator.lognormal(0.0, 0.5, (studies, trials)) * np.where(reached, 1.3, 1.0)
        sides.append(cost_to_target(costs, reached, LEVEL))
        truths.append(np.exp(0.125) * (1.3 * rate + 1 - rate) / rate)
    value, low, high = log_cost_ratio(*sides)
    if np.isnan([value, low, high]).any():
        return Row("4", f"p={rates} N={trials}: NaN", 0.0, 0.935, None)
    truth = np.log(truths[0] / truths[1])
    covered = float(np.mean((low <= truth) & (truth <= high)))
    return Row(
        "4", f"coverage of the cost-to-target ratio, p={rates[0]}, {rates[1]} N={trials}", covered, 0.935
    )


def pooling(cells: int, spread: float, studies: int, seed: int) -> list[Row]:
    """Bar 8: the pooled saving for new data sets, cells with unequal errors, spread between cells."""
    generator = np.random.default_rng([seed, 8, cells, int(10 * spread)])
    truth = 0.4
    errors = generator.uniform(0.1, 0.5, (studies, cells))
    logs = (
        truth
        + spread * generator.normal(size=(studies, cells))
        + errors * generator.normal(size=errors.shape)
    )
    middle, half = pool_new(logs, LEVEL)
    rate = float(np.mean(np.abs(middle - truth) <= half))
    some = min(studies, 2_000)
    other = [paule_mandel(logs[i], errors[i], LEVEL) for i in range(some)]
    sensitivity = float(np.mean([abs(mean - truth) <= reach for mean, reach, _ in other]))
    name = f"k={cells} tau={spread}"
    return [
        Row("8", f"coverage of the pooled saving, {name}", rate, 0.94, None),
        Row("+", f"the same, Paule-Mandel with Knapp-Hartung, {name}", sensitivity, 0.94, None),
    ]
