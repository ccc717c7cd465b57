"""Ranges as studies write them, made into domains of the kind that is needed."""

from typing import Any

from harness.search.space import Choice, Domain, Float, Int, Scalar
from harness.study.schema import Range


def domain_like(default: Domain, written: Any) -> Domain:
    """The range a study writes in place of another one; its kind stays that one's. Raises ValueError."""
    if isinstance(written, Range):
        if isinstance(default, Choice):
            raise ValueError("a range was found where only a list of values fits")
        if isinstance(default, Float):
            return Float(written.low, written.high, written.log)
        if written.low != int(written.low) or written.high != int(written.high):
            raise ValueError(f"whole numbers are needed, found low {written.low:g}, high {written.high:g}")
        return Int(int(written.low), int(written.high), written.log)
    options: list[Scalar] = written if isinstance(written, list) else [written]
    if isinstance(default, Choice):
        return Choice(tuple(options))
    fits, kind = ((int, float), "a number") if isinstance(default, Float) else ((int,), "a whole number")
    for option in options:
        if isinstance(option, bool) or not isinstance(option, fits):
            raise ValueError(f"{kind} is needed, found {option!r}")
    return Choice(tuple(float(option) if isinstance(default, Float) else option for option in options))
