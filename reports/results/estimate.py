"""One number with its interval, finite or openly without an end."""

from dataclasses import dataclass
from typing import Literal

import numpy as np


def finite(value: float) -> float | None:
    """None for what has no finite value."""
    return float(value) if np.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Args:
        low: lower limit; `None` if open below.
        high: upper limit; `None` if open above.
        level: confidence level, e.g. .95 (two-sided unless `method` says one-sided).
        low_censored: the data do not reach below `low` ("at most low").
        high_censored: the data do not reach above `high`, or the end is open ("at least high").
        method: how the limits were computed, in a few words.
    """

    low: float | None
    high: float | None
    level: float
    low_censored: bool = False
    high_censored: bool = False
    method: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One number with its interval.

    `censored`: "" an ordinary estimate; "at_most" / "at_least": `value` is only a bound of the estimate.
    """

    value: float | None
    interval: Interval | None = None
    censored: Literal["", "at_most", "at_least"] = ""
    note: str = ""
