"""Who is ahead at which number of trials."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Across:
    """Best of n of the method against best of n of the baseline, for growing n.

    difference, low, high: at each n, positive = method better; the limits hold at all these n and for all
    comparisons of the report at once. ahead: 1 the method, -1 the baseline, 0 not settled. level: of the
    limits at a single n. sentence: where the answer turns, "" if it does not.
    """

    n: tuple[int, ...]
    difference: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    ahead: tuple[int, ...]
    level: float
    sentence: str
