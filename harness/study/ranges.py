"""Ranges as studies write them, of sizes and of values, and made into domains of the kind that is needed."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from harness.search.space import Choice, Domain, Float, Int, Scalar
from harness.study.limits import MOST_UNITS
from harness.study.parts import Part, Size, Value


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


class Range(Part):
    """A range to draw from; `log` for uniform in the logarithm."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> "Range":
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range needs a low above 0, found {self.low:g}")
        return self


class SizeRange(Part):
    """A range of layer sizes."""

    low: int = Field(ge=1)
    high: int = Field(le=MOST_UNITS)
    log: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> "SizeRange":
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class MultiplierRange(Range):
    """A range of one number that all widths of a network are multiplied by, as its code has them."""

    low: float = Field(gt=0, le=1)
    high: float = Field(gt=0, le=1)


class LayerRange(SizeRange):
    """A range of one layer's sizes; from 0 if the layer is a block, which may be left out."""

    low: int = Field(ge=0)


# A field that may be written in several forms is told apart by a look at it, so that an error speaks of the
# form that was meant and not of all. Tags stand in angle brackets to be told from field names in locations.
SpaceEntry = Annotated[
    Annotated[Range, Tag("<range>")]
    | Annotated[list[Value], Field(min_length=1), Tag("<choice>")]
    | Annotated[Value, Tag("<value>")],
    Discriminator(lambda v: {dict: "<range>", Range: "<range>", list: "<choice>"}.get(type(v), "<value>")),
]


def _form_of_widths(value: Any) -> str:
    """A low below 1 is no size."""
    if isinstance(value, MultiplierRange):
        return "<multiplier>"
    if not isinstance(value, dict) or not {"low", "high", "log"} & value.keys():
        return "<each>" if isinstance(value, dict) else "<all>"
    low = value.get("low")
    return "<multiplier>" if isinstance(low, float) and 0 < low < 1 else "<all>"


Widths = Annotated[
    Annotated[SizeRange, Tag("<all>")]
    | Annotated[MultiplierRange, Tag("<multiplier>")]
    | Annotated[dict[str, LayerRange], Tag("<each>")],
    Discriminator(_form_of_widths),
]


Start = Annotated[
    Annotated[Size, Tag("<all>")] | Annotated[dict[str, Size], Tag("<each>")],
    Discriminator(lambda v: "<each>" if isinstance(v, dict) else "<all>"),
]
