"""How numbers become text: the page, the Markdown report and the terminal all say them the same way."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.cost_units import EPOCHS, TRIALS, unit_symbol
from reports.size_axes import SIZE_AXES

NOTHING = "–"
_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float | None, digits: int = 3) -> str:
    """A plain number with so many significant digits; whole numbers from 1000 up with thin separators."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    if abs(value) < 1e-3:
        return f"{value:.{digits - 1}e}"
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:.{places}f}"


def count(value: float | None) -> str:
    """A number of things: 1,234. A median or mean of them may be broken: 2.5, but 1,234 for 1,234.5."""
    if value is None:
        return NOTHING
    return f"{value:.1f}" if abs(value) < 100 and not float(value).is_integer() else f"{value:,.0f}"


def share(value: float | None) -> str:
    """A share from 0 to 1: 12.3 %."""
    return NOTHING if value is None else f"{100 * value:.1f} %"


def amount(value: float | None, unit: str) -> str:
    """A cost in its unit: 12.3 s, 4.56 GFLOP, 12 trials."""
    if value is None:
        return NOTHING
    symbol = unit_symbol(unit)
    if unit.endswith("_seconds"):
        return duration(value)
    if unit == TRIALS:
        return f"{number(value)} {symbol}"
    if unit == EPOCHS:
        return f"{count(value)} {symbol}"
    for limit, prefix in _PREFIXES:
        if abs(value) >= limit:
            return f"{value / limit:.3g} {prefix}{symbol}"
    return f"{value:.3g} {symbol}"


def size(value: float, column: str) -> str:
    """What a network has of an axis: 1,234 parameters, 0.042 ms, 512 MiB."""
    axis = SIZE_AXES[column]
    return f"{number(value / axis.in_unit)} {axis.symbol}" if axis.symbol else f"{count(value)} {axis.name}"


def duration(seconds: float) -> str:
    """A span of time in the unit that fits: 0.42 s, 12.3 s, 4.5 min, 2.1 h."""
    if abs(seconds) < 120:
        return f"{seconds:.3g} s"
    if abs(seconds) < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"


def chance(value: float) -> str:
    """A simulated probability, no finer than it is known: about .45, under .05, over .95."""
    if not 0.05 <= value <= 0.95:
        return "under .05" if value < 0.05 else "over .95"
    return f"about {round(20 * value) / 20:.2f}".replace("0.", ".")


def p_value(value: float | None) -> str:
    """A p-value, never "0.000"."""
    if value is None:
        return NOTHING
    return "< .0001" if value < 1e-4 else f"{value:.4f}".removeprefix("0")


def ratio(value: float | None) -> str:
    """A ratio of costs: 2.5×."""
    if value is None:
        return NOTHING
    return f"{value:.2f}×" if value < 10 else f"{value:,.0f}×"


@dataclass(frozen=True, slots=True)
class ScoreWords:
    """How scores are said: accuracies in per cent, other scores as they are.

    Attributes:
        name: "accuracy", or the score's own name.
        is_accuracy: a share from 0 to 1.
        lower_is_better: as for a loss.
    """

    name: str
    is_accuracy: bool
    lower_is_better: bool

    @property
    def scale(self) -> float:
        """Factor from the table's score to the page's."""
        return 100.0 if self.is_accuracy else 1.0

    @property
    def unit(self) -> str:
        """ " %" after an accuracy, else nothing."""
        return " %" if self.is_accuracy else ""

    @property
    def axis(self) -> str:
        """The score in an axis label."""
        return f"{self.name} (%)" if self.is_accuracy else self.name

    def level(self, value: float | None) -> str:
        """A score: 97.31 % or .0421."""
        if value is None:
            return NOTHING
        return f"{value * 100:.2f} %" if self.is_accuracy else number(value, 4)

    def bare(self, value: float | None) -> str:
        """A score without its unit, for a table whose header has it."""
        if value is None:
            return NOTHING
        return f"{value * 100:.2f}" if self.is_accuracy else number(value, 4)

    @property
    def points(self) -> str:
        """ ", points" behind a difference of accuracies in the head of a table, else nothing."""
        return ", points" if self.is_accuracy else ""

    @property
    def sign(self) -> str:
        """ ", above 0 better" behind a difference of scores of which lower ones are better, else nothing."""
        return ", above 0 is better" if self.lower_is_better else ""

    def points_only(self, value: float | None) -> str:
        """A difference of scores with its sign but without its unit, for a table whose header has it."""
        return NOTHING if value is None else self.difference(value).removesuffix(" points")

    def difference(self, value: float | None) -> str:
        """A difference of scores with its sign: +0.42 points."""
        if value is None:
            return NOTHING
        return (
            f"{value * 100:+.2f} points"
            if self.is_accuracy
            else f"{'+' if value > 0 else ''}{number(value, 4)}"
        )


def interval(estimate: Mapping[str, Any] | None, say: Any) -> str:
    """An estimate's limits in brackets, open and censored ends said in words.

    Args:
        estimate: an `Estimate` as plain data.
        say: turns one number into text.
    """
    if not estimate or not estimate["interval"]:
        return ""
    limits = estimate["interval"]
    low, high = limits["low"], limits["high"]
    lower = "no lower limit" if low is None else ("≤ " if limits["low_censored"] else "") + say(low)
    upper = "not reached" if high is None else ("≥ " if limits["high_censored"] else "") + say(high)
    return f"{lower} to {upper}"


def estimate(value: Mapping[str, Any] | None, say: Any) -> str:
    """An estimate with its bound's sign: 2.5, ≤ 1, > 25."""
    if not value or value["value"] is None:
        return NOTHING
    sign = {"": "", "at_most": "≤ ", "at_least": "≥ "}[value["censored"]]
    return f"{sign}{say(value['value'])}"
