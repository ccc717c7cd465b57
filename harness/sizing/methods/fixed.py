"""Sizes searched: every trial draws the size of each layer and trains that network as it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.search.space import Choice, Domain
from harness.sizing.base import Cell, Params, SizingMethod


def reach_of_searched_sizes(cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
    """Smallest and largest size each layer can be drawn with."""
    reach = {}
    for layer in cell.architecture.sized_layers:
        domain = space[layer]
        if isinstance(domain, Choice):
            sizes = [int(option) for option in domain.options]
            reach[layer] = (min(sizes), max(sizes))
        else:
            reach[layer] = (int(domain.low), int(domain.high))
    return reach


@dataclass(frozen=True)
class Fixed(SizingMethod):
    """Classic networks without a penalty; searched is the size of each layer."""

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {layer: cell.bounds[layer] for layer in cell.architecture.sized_layers}

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        return reach_of_searched_sizes(cell, space)

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return {layer: int(params[layer]) for layer in cell.architecture.sized_layers}
