"""How many trials of a method match n trials of the baseline.

Matched trials m*(n) = inf{m : E[best of m, method] >= E[best of n, baseline]}, linear between whole numbers.
Limits come from inverting what is known of the difference D(m), with failures not yet seen
(`reports.statistics.unseen`); an end beyond half of the method's trials is
open, never replaced by a number. Leading axes are batches, as in `reports.statistics.best_of_n`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from reports.statistics.arrays import Floats, Integers, settled
from reports.statistics.best_of_n import (
    Ranking,
    best_of_n_df,
    expected_best,
    jackknife_se,
    leave_one_out,
)
from reports.statistics.unseen import MASSES, Failed, Unseen, unseen

#: Standard normal quantiles are told up to here.
_SURE = 35.0
#: Halvings when a chance is inverted into a limit: to 1e-11 of the spread of its parts.
_HALVINGS = 36


def t_quantile(level: float | Floats, df: Floats) -> Floats:
    """Two-sided quantile of Student's t: t.ppf((1 + level) / 2, df), without scipy's checks."""
    quantile: Floats = special.stdtrit(df, (1 + np.asarray(level)) / 2)
    return quantile


def chance_below(value: npt.ArrayLike, se: npt.ArrayLike, df: npt.ArrayLike) -> Floats:
    """P(T < value / se); without any spread a value of 0 decides nothing, another one all. Broadcasts."""
    value, se = np.asarray(value, dtype=np.float64), np.asarray(se, dtype=np.float64)
    ratio = value / np.where(se > 0, se, 1.0)
    chance: Floats = np.where(
        se > 0, special.stdtr(np.asarray(df, dtype=np.float64), ratio), np.where(value < 0, 0.0, 1.0)
    )
    return chance


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Expected score of the best of m, for growing m, with standard errors.

    Shapes: m [K]; value, se, scale [..., K]; df broadcastable to them; left_out [K, N] in the table's order,
    where kept (paired arms need it). unseen: by failure rate, None where trials depend on each other.
    scale: size of the scores behind a value, i.e. their expected magnitude.
    """

    m: Integers
    value: Floats
    se: Floats
    df: Floats
    scale: Floats
    left_out: Floats | None = None
    unseen: Unseen | None = None

    def at(self, n: int) -> "Track":
        """The track at one number of trials, shapes [..., 1].

        Raises:
            ValueError: the track does not hold n.
        """
        where = np.flatnonzero(self.m == n)
        if where.size == 0:
            raise ValueError(f"the curve has no value at n={n}")
        keep = slice(where[0], where[0] + 1)
        return Track(
            self.m[keep],
            self.value[..., keep],
            self.se[..., keep],
            np.broadcast_to(self.df, self.value.shape)[..., keep],
            self.scale[..., keep],
            None if self.left_out is None else self.left_out[keep],
            None
            if self.unseen is None
            else Unseen(self.unseen.value[..., keep, :], self.unseen.se[..., keep]),
        )


def independent_track(
    ranking: Ranking, test: Floats, m: Integers, keep: bool = False, failed: Failed | None = None
) -> Track:
    """Best-of-m of independent trials by exact weights and jackknife; m up to N / 2 is meaningful.

    failed: which trials failed; None: failures not seen are left out of account.
    """
    values, errors, scales, kept = [], [], [], []
    one_sign = bool((test >= 0).all() or (test <= 0).all())
    for number in m:
        left_out = leave_one_out(ranking, test, int(number))
        values.append(expected_best(ranking, test, int(number)))
        scales.append(np.abs(values[-1] if one_sign else expected_best(ranking, np.abs(test), int(number))))
        errors.append(jackknife_se(left_out, scales[-1]))
        if keep:
            kept.append(left_out)
    return Track(
        m,
        np.stack(values, axis=-1),
        np.stack(errors, axis=-1),
        best_of_n_df(ranking.trials, m),
        np.stack(scales, axis=-1),
        np.stack(kept) if keep else None,
        None if failed is None else unseen(ranking, test, m, failed),
    )


def incumbents(validation: Floats) -> npt.NDArray[np.intp]:
    """Place of the best trial so far in the order of drawing; shape [M], ties keep the earlier."""
    best = np.maximum.accumulate(validation)
    is_new = np.concatenate(([True], validation[1:] > best[:-1]))
    return np.maximum.accumulate(np.where(is_new, np.arange(validation.size), 0))


def replicated_track(paths: Floats) -> Track:
    """Mean over whole searches, t with R - 1 degrees of freedom.

    Args:
        paths: score of the best so far in each search, shape [R, M]; one search alone has no finite error.
    """
    searches = paths.shape[0]
    scale = np.abs(paths).mean(axis=0)
    error = np.full(paths.shape[1], np.inf)
    if searches > 1:
        error = settled(paths.std(axis=0, ddof=1) / np.sqrt(searches), scale)
    df = np.full(paths.shape[1], float(max(searches - 1, 1)))
    return Track(np.arange(1, paths.shape[1] + 1), paths.mean(axis=0), error, df, scale)


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """A difference by failure rate of one arm: value [..., K, Q], Q as `MASSES`; se and df [..., K]."""

    value: Floats
    se: Floats
    df: Floats

    def below(self, bar: float | Floats = 0.0, sign: float = 1.0) -> Floats:
        """Chance that sign times the difference is not above sign times the bar, shape [..., K].

        bar: a number, or shape [..., K].
        """
        away = sign * (np.asarray(bar)[..., None] - self.value)
        chances: Floats = chance_below(away, self.se[..., None], self.df[..., None]) @ MASSES
        return chances

    def at(self, index: int) -> "Mixed":
        """At one place of the track, shapes [..., 1]."""
        keep = slice(index, index + 1)
        return Mixed(self.value[..., keep, :], self.se[..., keep], self.df[..., keep])

    def limit(self, level: float, sign: float) -> Floats:
        """The bar that the difference is above (sign 1) or below (-1) with chance `level`, shape [..., K]."""
        # The quantile of a mixture lies between those of its parts.
        reach = sign * t_quantile(2 * level - 1, self.df) * self.se
        low, high = self.value.min(axis=-1) - reach, self.value.max(axis=-1) - reach
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            beyond = self.below(middle, sign) > 1 - level
            low, high = (
                np.where(beyond == (sign > 0), low, middle),
                np.where(beyond == (sign > 0), middle, high),
            )
        found: Floats = (low + high) / 2
        return found


def _normal(chance: Floats) -> Floats:
    """How sure the opposite is, as a standard normal quantile."""
    with np.errstate(divide="ignore"):
        sure: Floats = np.clip(-special.ndtri(chance), -_SURE, _SURE)
    return sure


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """D(m) = E[best of m, method] - E[best of n, baseline] for growing m. Shapes as in `Track`.

    Differences and errors are exactly 0 where they are 0 but for rounding (`settled`).
    method, baseline: the difference by failure rate of that arm, None where its trials depend on each other.
    is_above, is_below: how sure it is that D(m) is above (below) 0, as standard normal quantiles: each with
    failures not yet seen in the arm that is ahead.
    """

    n: int
    m: Integers
    value: Floats
    se: Floats
    df: Floats
    method: Mixed | None = None
    baseline: Mixed | None = None
    is_above: Floats | None = None
    is_below: Floats | None = None

    def at(self, m: int) -> tuple[float, float, float]:
        """Difference, standard error and degrees of freedom at m trials of the method (no batch axes)."""
        index = self._place(m)
        return float(self.value[index]), float(self.se[index]), float(self.df[index])

    def reaches(self, m: int) -> bool:
        """Whether the method has trials enough for the best of m."""
        return bool(m <= self.m[-1])

    def _place(self, m: int) -> int:
        return int(np.argmin(np.abs(self.m - m)))

    def chance_above(self, m: int, bar: float) -> Floats:
        """One-sided p-value of "D(m) is at least the bar", shape [...]: small if it is clearly below."""
        place = self._place(m)
        if self.baseline is None:
            away = self.value[..., place] - bar
            return chance_below(away, self.se[..., place], self.df[..., place])
        return self.baseline.at(place).below(bar, -1.0)[..., 0]

    def chance_below(self, m: int, bar: float) -> Floats:
        """One-sided p-value of "D(m) is at most the bar", shape [...]: small if it is clearly above."""
        place = self._place(m)
        if self.method is None:
            away = bar - self.value[..., place]
            return chance_below(away, self.se[..., place], self.df[..., place])
        return self.method.at(place).below(bar)[..., 0]

    def limits(self, m: int, level: float) -> tuple[float, float]:
        """Lower and upper limit of D(m), each at the one-sided level (no batch axes), around the estimate."""
        value, se, df = self.at(m)
        half = float(special.stdtrit(df, level)) * se
        low, high = value - half, value + half
        if self.method is not None:
            low = min(value, float(self.method.at(self._place(m)).limit(level, 1.0)[0]))
        if self.baseline is not None:
            high = max(value, float(self.baseline.at(self._place(m)).limit(level, -1.0)[0]))
        return low, high


def gap(method: Track, baseline: Track, n: int, paired: bool = False) -> Gap:
    """The difference between a method's track and the baseline's best of n.

    Args:
        method: of the method, shapes [..., K].
        baseline: of the baseline; must hold n.
        n: trials of the baseline.
        paired: the arms' trials correspond one to one, in order: joint jackknife over pairs.
    """
    base = baseline.at(n)
    scale = np.maximum(method.scale, base.scale)
    value = settled(method.value - base.value, scale)
    if paired and method.left_out is not None and base.left_out is not None:
        se = jackknife_se(method.left_out - base.left_out, scale)
        df = np.minimum(np.broadcast_to(method.df, value.shape), base.df)
        return Gap(n, method.m, value, se, df)
    se, df = _joint(method.se, method.df, base.se, base.df)
    theirs = ours = is_above = is_below = None
    if method.unseen is not None:
        by_rate = settled(method.unseen.value - base.value[..., None], scale[..., None])
        theirs = Mixed(by_rate, *_joint(method.unseen.se, method.df, base.se, base.df))
        is_above = _normal(theirs.below())
    if base.unseen is not None:
        by_rate = settled(method.value[..., None] - base.unseen.value, scale[..., None])
        ours = Mixed(by_rate, *_joint(method.se, method.df, base.unseen.se, base.df))
        is_below = _normal(ours.below(sign=-1.0))
    return Gap(n, method.m, value, se, df, theirs, ours, is_above, is_below)


def _joint(se: Floats, df: Floats, other_se: Floats, other_df: Floats) -> tuple[Floats, Floats]:
    """Standard error and Satterthwaite's degrees of freedom of a difference, shapes [..., K].

    Where neither arm varies the errors are 0 and the degrees of freedom do not matter.
    """
    squares = se**2, other_se**2
    smallest = np.minimum(np.broadcast_to(df, se.shape), other_df)
    whole = squares[0] + squares[1]
    scatter = squares[0] ** 2 / df + squares[1] ** 2 / other_df
    usual = (scatter > 0) & np.isfinite(scatter)
    found = np.where(usual, np.where(usual, whole, 1.0) ** 2 / np.where(usual, scatter, 1.0), smallest)
    return np.sqrt(whole), np.maximum(found, 1.0)


def first_crossing(m: Integers, curve: Floats, strict: bool = False) -> Floats:
    """Smallest m (linear between whole numbers) where a curve reaches 0; infinity where it does not.

    Args:
        m: shape [K].
        curve: shape [..., K].
        strict: it must exceed 0.

    Returns:
        Shape [...]; m[0] where the curve starts above.
    """
    above = curve > 0 if strict else curve >= 0
    index = np.argmax(above, axis=-1)
    reached = np.take_along_axis(above, index[..., None], axis=-1)[..., 0]
    before = np.maximum(index - 1, 0)
    right = np.take_along_axis(curve, index[..., None], axis=-1)[..., 0]
    left = np.take_along_axis(curve, before[..., None], axis=-1)[..., 0]
    rise = np.where(right > left, right - left, 1.0)
    share = np.where(index > 0, np.clip(-left / rise, 0.0, 1.0), 0.0)
    crossing = m[before] + share * (m[index] - m[before])
    return np.where(reached, crossing, np.inf)


def matched_trials(gap_: Gap, level: float | Floats) -> tuple[Floats, Floats, Floats]:
    """m*(n) with limits by inversion: where D(m) is first not clearly below 0, and where first clearly above.
    Without failure rates that is where D(m) + t se first reaches 0, and D(m) - t se first exceeds it.

    Asking the lower curve to *stay* above 0 would lose power, as t se grows with m, and gain no coverage.

    Args:
        gap_: shapes [..., K].
        level: two-sided level, shape [...] or a number.

    Returns:
        Point, lower and upper limit, shape [...]; infinite where not reached within the track; the first m
        (usually 1) where that already suffices.
    """
    point = first_crossing(gap_.m, np.maximum.accumulate(gap_.value, axis=-1))
    asked = special.ndtri((1 + np.asarray(level)) / 2)[..., None]
    if gap_.is_below is None or gap_.is_above is None:
        half = t_quantile(np.asarray(level)[..., None], gap_.df) * gap_.se
    low = first_crossing(gap_.m, gap_.value + half if gap_.is_below is None else asked - gap_.is_below)
    high = first_crossing(
        gap_.m, gap_.value - half if gap_.is_above is None else gap_.is_above - asked, strict=True
    )
    # A dip of the curves between whole numbers must not turn the interval inside out.
    return point, np.minimum(low, point), np.maximum(high, point)
