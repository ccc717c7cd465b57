"""The size of a network some of whose weights are held at zero, layer by layer."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Partition:
    """How the units of a network are wired.

    units: that have a live weight to another. weights: live ones between units. components: groups of units
    that no weight joins. crossing_2, crossing_4: of those weights, how many lie between the halves and the
    quarters, of equal numbers of units, that were found to have few between them; the fewest there can be are
    no more.
    """

    units: int
    weights: int
    components: int
    crossing_2: int
    crossing_4: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """Numbers of weights in bins of equal width from -most to most."""

    most: float
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Sparsity:
    """What the deletion of single weights left of a network.

    started: weight -> its entries before the first step; of those with two axes or more. left: weight ->
    entries that are not zero. histograms: weight -> of those. partition: how its units are wired; None if the
    network could not be followed.
    """

    started: Mapping[str, int] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    partition: Partition | None = None
