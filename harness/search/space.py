"""Search spaces without a sampler: what may be drawn, and nothing of how."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.design import space_text

Scalar = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Float:
    """A real number in [low, high], uniform or, with `log`, uniform in its logarithm."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self)

    def contains(self, value: object) -> bool:
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high
        )


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number in [low, high], both ends included; `log` as in `Float`."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self)

    def contains(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values without an order; with a single option, a constant."""

    options: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.options:
            raise ValueError("a choice needs at least one option")

    def contains(self, value: object) -> bool:
        return value in self.options


Domain = Float | Int | Choice
Space = Mapping[str, Domain]


def _check_range(domain: Float | Int) -> None:
    if not (math.isfinite(domain.low) and math.isfinite(domain.high)):
        raise ValueError(f"low {domain.low} and high {domain.high} must be finite")
    if domain.low > domain.high:
        raise ValueError(f"low {domain.low} is above high {domain.high}")
    if domain.log and domain.low <= 0:
        raise ValueError(f"a logarithmic range needs a low above 0, found {domain.low}")


def domain_to_json(domain: Domain) -> dict[str, Any]:
    """A plain dictionary, the form that plans and study files use."""
    if isinstance(domain, Choice):
        return {"choice": list(domain.options)}
    kind = "float" if isinstance(domain, Float) else "int"
    return {"type": kind, "low": domain.low, "high": domain.high, "log": domain.log}


def domain_from_json(data: Mapping[str, Any]) -> Domain:
    """The inverse of `domain_to_json`."""
    if "choice" in data:
        return Choice(tuple(data["choice"]))
    kind = Float if data["type"] == "float" else Int
    return kind(data["low"], data["high"], data["log"])


def domain_text(domain: Domain) -> str:
    """A search range as a reader wants it: '16-4096 (log)'."""
    return space_text(domain_to_json(domain))
