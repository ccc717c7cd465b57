"""The size of a network."""

from dataclasses import dataclass

#: Two per multiply-accumulate forward, twice that backward; the first layer's unneeded input gradient is
#: counted too, as is usual.
FLOPS_PER_MAC = 6


@dataclass(frozen=True, slots=True)
class Size:
    """The size ledger of a network as it physically is.

    units: sized layer -> units. parameters: gates folded in. nonzeros: parameters that are not zero.
    macs: multiply-accumulates of the linear and convolutional layers for one example.
    """

    units: dict[str, int]
    parameters: int
    nonzeros: int
    macs: int
