"""Best of m with the rate of failures integrated over what N trials leave open.

The jackknife knows nothing of failures that it has not seen: 20 trials without one are likely even where one
in ten fails. So the failure rate q keeps its whole posterior after f failures of N under Jeffreys' prior,
Beta(f + 1/2, N - f + 1/2), and given q the best of m is the best of k successes, k binomial:
V(m; q) = sum_k C(m, k) (1 - q)^k q^(m - k) mu_k, with mu_k the U-statistic among the successes (k up to
N - f - 1) and mu_0 the score of a failed trial. Always, at f = 0 too.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from reports.statistics.arrays import Floats, Integers
from reports.statistics.best_of_n import DENSE_TRIALS, Ranking, expected_best, jackknife_se, leave_one_out

#: Edges of the parts that the posterior is cut into, in logits of its quantiles: fine where rates are high.
_EDGES = special.expit(np.linspace(-5.0, 16.0, 64))
#: Quantiles of the posterior that stand for the parts, and the parts' probabilities.
QUANTILES: Floats = (np.concatenate(([0.0], _EDGES)) + np.concatenate((_EDGES, [1.0]))) / 2
MASSES: Floats = np.diff(np.concatenate(([0.0], _EDGES, [1.0])))


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """How many of an arm's trials failed (they rank worst), shape [...], and the score that they count as."""

    count: Integers
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Unseen:
    """Expected best of m by failure rate, shape [..., K, Q], Q as `MASSES`; its standard error from the
    successes alone, at the rate seen, shape [..., K]."""

    value: Floats
    se: Floats


def unseen(ranking: Ranking, test: Floats, m: Integers, failed: Failed) -> Unseen:
    """The expected best of m for each of the failure rates that stand for the posterior.

    Arms with fewer than three successes tell nothing of the spread among them: there the whole
    arm's jackknife is all that is known.

    Args:
        ranking: shapes [..., N].
        test: shapes [..., N].
        m: numbers of trials, shape [K].
        failed: what failed.
    """
    if ranking.order.ndim == 1:
        return _of_one_count(ranking, test, m, int(failed.count), failed.score)
    value = np.empty((*ranking.order.shape[:-1], m.size, MASSES.size))
    se = np.empty((*ranking.order.shape[:-1], m.size))
    for count in np.unique(failed.count):
        rows = failed.count == count
        part = Ranking(ranking.order[rows], ranking.first[rows], ranking.last[rows])
        found = _of_one_count(part, test[rows], m, int(count), failed.score)
        value[rows], se[rows] = found.value, found.se
    return Unseen(value, se)


def _of_one_count(ranking: Ranking, test: Floats, m: Integers, failures: int, score: float) -> Unseen:
    trials = ranking.trials
    successes = trials - failures
    shape = ranking.order.shape[:-1]
    if successes < 3:
        whole = np.stack([expected_best(ranking, test, int(number)) for number in m], axis=-1)
        errors = [jackknife_se(leave_one_out(ranking, test, int(number))) for number in m]
        return Unseen(np.repeat(whole[..., None], MASSES.size, axis=-1), np.stack(errors, axis=-1))
    ranked = ranking.sorted(test)[..., failures:]
    places = np.broadcast_to(np.arange(successes), ranked.shape)
    best = Ranking(places, ranking.first[..., failures:] - failures, ranking.last[..., failures:] - failures)
    dense = min(int(m.max()), DENSE_TRIALS)
    k = np.concatenate((np.arange(1, dense + 1), m[m > dense]))
    capped = np.minimum(k, successes - 1)
    means = {number: expected_best(best, ranked, number) for number in map(int, np.unique(capped))}
    left = {number: leave_one_out(best, ranked, number) for number in means}
    mu = np.stack([np.full(shape, score), *(means[int(number)] for number in capped)], axis=-1)
    lost = np.stack([np.full(ranked.shape, score), *(left[int(number)] for number in capped)], axis=-2)
    rates = special.betaincinv(failures + 0.5, successes + 0.5, QUANTILES)
    mixing = _mixing(rates, m, k)
    value = np.moveaxis((mu @ mixing.reshape(-1, k.size + 1).T).reshape(*shape, MASSES.size, m.size), -2, -1)
    at_seen = _mixing(np.array([failures / trials]), m, k)[0] @ lost
    return Unseen(value, jackknife_se(at_seen, np.abs(at_seen).max(axis=-1)))


def _mixing(rates: Floats, m: Integers, k: Integers) -> Floats:
    """Weights of the best of 0, k[0], k[1], ... successes in the best of m trials, shape [Q, K, len(k) + 1].

    Binomial up to `DENSE_TRIALS`; beyond, the best of m (1 - q) successes: there the curve is so flat that
    the spread of their number does not matter.
    """
    dense = int((k <= DENSE_TRIALS).sum())
    found = np.zeros((rates.size, m.size, k.size + 1))
    chance = np.zeros((rates.size, dense + 1))
    chance[:, 0] = 1.0
    rows = {int(number): row for row, number in enumerate(m)}
    for number in range(1, dense + 1):
        chance[:, 1:] = rates[:, None] * chance[:, 1:] + (1 - rates[:, None]) * chance[:, :-1]
        chance[:, 0] *= rates
        if number in rows:
            found[:, rows[number], : dense + 1] = chance
    for number in m[m > dense]:
        at = np.clip(number * (1 - rates), 1.0, None)
        right = np.clip(np.searchsorted(k, at), 1, k.size - 1)
        share = np.clip((at - k[right - 1]) / (k[right] - k[right - 1]), 0.0, 1.0)
        each = np.arange(rates.size)
        found[each, rows[int(number)], right] = 1 - share
        found[each, rows[int(number)], right + 1] = share
    return found
