"""Bar 12: arms that diverge now and then: coverage of m* and of the best of n, false savings."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reports.statistics.arrays import Floats, Integers
from reports.statistics.best_of_n import Ranking, best_of_n_df, rank, weights
from reports.statistics.matching import (
    Gap,
    Mixed,
    Track,
    gap,
    independent_track,
    matched_trials,
    t_quantile,
)
from reports.statistics.unseen import Failed
from tests.calibration.rows import Row
from tests.calibration.worlds import D1, NEAR, STEEP, World

LEVEL = 0.95
#: Shares of trials that fail; which arms do; the score that a failed trial counts as.
RATES = (0.0, 0.02, 0.05, 0.10, 0.30)
#: Trials with the n asked: a tenth of them, and the default.
SIZES = ((20, 2), (30, 3), (50, 5), (100, 10))
#: Methods beside D1 as the baseline: alike, a bit better, much better.
METHODS = (D1, STEEP, NEAR)
TRUTH_TRIALS = 200_000


@dataclass(frozen=True, slots=True)
class Failing:
    """A world of which a share fails: never selected, and counted as `score`.

    dead: those trials score as chance does instead, which no status tells.
    """

    world: World
    rate: float
    score: float = 0.0
    dead: bool = False

    def draw(
        self, studies: int, trials: int, generator: np.random.Generator
    ) -> tuple[Floats, Floats, Failed]:
        """Validation and test scores, shape [studies, trials], and what failed."""
        validation, test = self.world.draw(studies, trials, generator)
        gone = generator.random((studies, trials)) < self.rate
        if self.dead:
            chance = generator.binomial(5_000, 0.1, (2, studies, trials)) / 5_000
            none = Failed(np.zeros(studies, dtype=np.int64), self.score)
            return np.where(gone, chance[0], validation), np.where(gone, chance[1], test), none
        validation, test = np.where(gone, -np.inf, validation), np.where(gone, self.score, test)
        return validation, test, Failed(gone.sum(axis=1), self.score)

    def track(self, studies: int, trials: int, m: Integers, generator: np.random.Generator) -> Track:
        validation, test, failed = self.draw(studies, trials, generator)
        return independent_track(rank(validation), test, m, failed=failed)

    def best(self, n: int) -> float:
        """The true expected best of n."""
        ranking, means = _sample(self)
        return float(means @ weights(ranking.trials, n))


@lru_cache(maxsize=4)
def _sample(world: Failing) -> tuple[Ranking, Floats]:
    """A large sample's ranking, with the test scores in its order averaged over ties."""
    validation, test, _ = world.draw(1, TRUTH_TRIALS, np.random.default_rng(98))
    ranking = rank(validation[0])
    return ranking, ranking.tie_means(ranking.sorted(test[0]))


@lru_cache(maxsize=256)
def true_match(method: Failing, baseline: Failing, n: int, most: int = 60) -> float:
    """m*(n), linear between whole numbers; infinity if not reached within `most` trials."""
    goal, before = baseline.best(n), -np.inf
    for m in range(1, most + 1):
        value = method.best(m)
        if value >= goal:
            return 1.0 if m == 1 else m - 1 + (goal - before) / (value - before)
        before = value
    return float(np.inf)


def matching(
    baseline: Failing, method: Failing, trials: int, n: int, studies: int, seed: int, setting: str
) -> list[Row]:
    """Coverage of m*, of the best of n of the method, and savings found that are not true."""
    generator = np.random.default_rng([seed, 12, trials, n])
    truth = true_match(method, baseline, n)
    track = method.track(studies, trials, np.arange(1, trials // 2 + 1), generator)
    difference: Gap = gap(track, baseline.track(studies, trials, np.array([n]), generator), n)
    _, low, high = matched_trials(difference, LEVEL)
    # Beyond half of the trials an upper end is open and a lower one says so much only.
    low = np.where(np.isfinite(low), low, trials // 2)
    covered = float(np.mean((low <= truth + 1e-9) & (truth <= high + 1e-9)))
    name = f"{setting}, {method.world.name}, n={n} N={trials}"
    rows = [Row("12", f"coverage of m*={truth:.2f}, {name}", covered, 0.93, None)]
    saved = float(np.mean(high < n))
    if truth >= n:
        rows.append(Row("12", f"false savings, {name}", saved, None, 0.03))
    else:
        rows.append(Row("12", f"savings found, {name}", saved))
    rows.append(Row("12", f"coverage of best of n, {name}", _best_of_n(track, method, n, trials), 0.93, None))
    return rows


def _best_of_n(track: Track, method: Failing, n: int, trials: int) -> float:
    at = track.at(n)
    if at.unseen is None:
        raise ValueError("the world's tracks know what failed")
    df = np.broadcast_to(best_of_n_df(trials, n), at.se.shape)
    mixed = Mixed(at.unseen.value, at.unseen.se, df)
    half = t_quantile(LEVEL, df) * at.se
    low = np.minimum(at.value - half, mixed.limit((1 + LEVEL) / 2, 1.0))
    high = np.maximum(at.value + half, mixed.limit((1 + LEVEL) / 2, -1.0))
    truth = method.best(n)
    return float(np.mean((low <= truth) & (truth <= high)))


def settings() -> list[tuple[str, Failing, Failing]]:
    """Where failures are, with the baseline and the method."""
    found = []
    for method in METHODS:
        found.append(("no failures", Failing(D1, 0.0), Failing(method, 0.0)))
        found.append(("2 % dead networks, method", Failing(D1, 0.0), Failing(method, 0.02, dead=True)))
        found.append(("10 % fail at .8, both", Failing(D1, 0.1, 0.8), Failing(method, 0.1, 0.8)))
        for rate in RATES[1:]:
            found.append((f"{rate:.0%} fail, method", Failing(D1, 0.0), Failing(method, rate)))
            found.append((f"{rate:.0%} fail, baseline", Failing(D1, rate), Failing(method, 0.0)))
            found.append((f"{rate:.0%} fail, both", Failing(D1, rate), Failing(method, rate)))
    return found
