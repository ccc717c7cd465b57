"""How many more trials would settle an open question."""

from dataclasses import replace

import numpy as np

from reports.comparison.evidence import Evidence
from reports.results.contrast import Settle
from reports.scope import Scope
from reports.statistics.matching import Gap, chance_below
from reports.statistics.savings import CostRatio, log_saving

#: Largest multiple of the present number of trials that "how many more would settle it" looks at.
SETTLE_FACTOR = 100.0


def grown(evidence: Evidence, unit: str, factor: float) -> tuple[Gap, CostRatio]:
    """The evidence as it would stand with `factor` times the trials if no estimate moved.

    Raises:
        ValueError: there is no evidence (a refusal).
    """
    if evidence.gap is None:
        raise ValueError("a refusal has no evidence to grow")
    difference, ratio = evidence.gap, evidence.ratios[unit]
    shrink = 1 / np.sqrt(factor)
    more = replace(
        difference,
        se=difference.se * shrink,
        df=difference.df * factor,
        method=None,
        baseline=None,
        is_above=None if difference.is_above is None else difference.is_above / shrink,
        is_below=None if difference.is_below is None else difference.is_below / shrink,
    )
    return more, replace(ratio, se=ratio.se * shrink, df=ratio.df * factor)


def factor_to_settle(evidence: Evidence, unit: str, level: float) -> tuple[float | None, str]:
    """Smallest growth of both arms that would exclude "no saving" or show "on par", if no estimate moved.

    Returns:
        The factor (None if not even `SETTLE_FACTOR` times would do), and what it would show.
    """
    factor = 1.0
    while factor <= SETTLE_FACTOR:
        factor *= 1.1
        difference, ratio = grown(evidence, unit, factor)
        _, low, high = log_saving(difference, ratio, level)
        if low > 0:
            return factor, "a saving"
        if high < 0:
            return factor, "a loss"
        if not difference.reaches(difference.n):
            continue
        value, se, df = difference.at(difference.n)
        if evidence.margin > 0 and chance_below(-(value + evidence.margin), se, df) <= (1 - level):
            return factor, "that it is on par"
    return None, ""


def settle(evidence: Evidence, level: float, scope: Scope) -> Settle:
    """What it would take to settle the claim if the estimates stay where they are.

    Raises:
        ValueError: there is no evidence (a refusal).
    """
    if evidence.baseline is None:
        raise ValueError("a refusal cannot be settled by more trials")
    present = min(evidence.method.arm.trials, evidence.baseline.arm.trials)
    factor, shown = factor_to_settle(evidence, scope.cost, level)
    if factor is None:
        return Settle(
            None,
            f"Even 100 times as many trials would not settle it if the estimates stay where they are; about "
            f"{4 * present:,} trials per arm would halve this interval.",
        )
    wanted = _rounded(factor * present)
    return Settle(
        wanted, f"About {wanted:,} trials per arm would show {shown} if the estimates stay where they are."
    )


def _rounded(value: float) -> int:
    """Up to two significant digits: nobody plans 143 trials."""
    step = 10 ** max(int(np.floor(np.log10(value))) - 1, 0)
    return int(np.ceil(value / step) * step)
