"""Ways of choosing a network's size. `base` holds the contract, `methods` the shipped ones, one file each."""

from harness.search.space import Choice, Float, Int
from harness.sizing.base import Cell, Phase, Schedule, Situation, SizingMethod
from harness.sizing.methods.fixed import Fixed
from harness.sizing.origin import OriginEdit, OriginOutcome

__all__ = [
    "Cell",
    "Choice",
    "Fixed",
    "Float",
    "Int",
    "OriginEdit",
    "OriginOutcome",
    "Phase",
    "Schedule",
    "Situation",
    "SizingMethod",
]
