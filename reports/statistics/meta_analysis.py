"""One saving from several: over the cells at hand, and for data sets yet to come. Logarithms throughout."""

import numpy as np
import numpy.typing as npt
from scipy import stats

from reports.statistics.arrays import Floats, settled
from reports.statistics.matching import t_quantile
from reports.statistics.savings import BoundedSaving

#: Mean of two half normals over the difference of their .975 quantiles: 1 / (sqrt(2 pi) 1.96).
UNEVEN = 0.2


def pool_bounded(cells: BoundedSaving) -> tuple[Floats, Floats, Floats]:
    """Mean over the cells at hand of savings as far as they can be shown, last axis [..., k].

    Distances of independent limits are rooted after squaring (MOVER). Those of limits that are held are
    added: the estimates of such cells err all to one side, which no averaging takes out. Where limits lie
    unevenly the estimates err to the nearer side on average, by `UNEVEN` of the difference; the limit on the
    farther side reaches so much farther.

    Returns:
        Mean, lower and upper limit at the level of the cells' limits, shape [...].
    """
    size = cells.log.shape[-1]
    mean = cells.log.mean(axis=-1)
    down, up = cells.log - cells.low, cells.high - cells.log
    off = UNEVEN * (up - down).mean(axis=-1)

    def together(distance: Floats, held: npt.NDArray[np.bool_]) -> Floats:
        free = np.sqrt((np.where(held, 0.0, distance) ** 2).sum(axis=-1))
        whole: Floats = (free + np.where(held, distance, 0.0).sum(axis=-1)) / size
        return whole

    low = mean - together(down, cells.at_least) + np.minimum(off, 0.0)
    return mean, low, mean + together(up, cells.at_most) + np.maximum(off, 0.0)


def pool_new(logs: Floats, level: float) -> tuple[Floats, Floats]:
    """Mean log saving over data sets with the half width for data sets yet to come: t on the means, k - 1 df.

    Shapes [..., k], k >= 2. With few cells the usual normal limits after DerSimonian and Laird err in up to a
    third of the cases (IntHout et al. 2014).
    """
    size = logs.shape[-1]
    spread = settled(logs.std(axis=-1, ddof=1), np.maximum(np.abs(logs).max(axis=-1), 1.0))
    half = t_quantile(level, np.asarray(size - 1.0)) * spread / np.sqrt(size)
    return logs.mean(axis=-1), half


def paule_mandel(logs: Floats, errors: Floats, level: float) -> tuple[float, float, float]:
    """Random-effects mean with Paule-Mandel variance and modified Knapp-Hartung limits (Roever et al. 2015).

    Args:
        logs: shape [k], k >= 2.
        errors: standard errors, shape [k], above 0.
        level: two-sided.

    Returns:
        Mean, half width, between-cell standard deviation.
    """
    size = logs.size

    def spread(variance: float) -> tuple[float, float, Floats]:
        w = 1 / (errors**2 + variance)
        mean = float((w * logs).sum() / w.sum())
        return float((w * (logs - mean) ** 2).sum()), mean, w

    low, high = 0.0, 1.0
    if spread(0.0)[0] > size - 1:
        while spread(high)[0] > size - 1:
            high *= 2
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if spread(middle)[0] > size - 1 else (low, middle)
    else:
        high = 0.0
    q, mean, w = spread(high)
    scale = max(1.0, q / (size - 1))
    half = float(t_quantile(level, np.asarray(size - 1.0))) * np.sqrt(scale / w.sum())
    return mean, float(half), float(np.sqrt(high))


def median_limits(values: Floats, level: float) -> tuple[float, float, float]:
    """Median with sign-test limits; infinite values may enter, limits are infinite where none exists.

    Returns:
        Median, lower and upper limit.
    """
    ranked = np.sort(values)
    size = ranked.size
    middle = (size - 1) / 2
    lower_middle, upper_middle = ranked[int(np.floor(middle))], ranked[int(np.ceil(middle))]
    same = lower_middle == upper_middle
    median = float(lower_middle) if same else float((lower_middle + upper_middle) / 2)
    reach = int(stats.binom.ppf((1 - level) / 2, size, 0.5))
    if stats.binom.cdf(reach, size, 0.5) > (1 - level) / 2:
        reach -= 1
    if reach < 0:
        return median, -np.inf, np.inf
    return median, float(ranked[reach]), float(ranked[size - 1 - reach])
