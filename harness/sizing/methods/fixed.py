"""Sizes searched: every trial draws the size of each layer and trains that network as it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.search.space import Choice, Domain
from harness.sizing.base import Cell, Params, SizingMethod
from harness.sizing.multiplier import WIDTH


def reach_of_searched_sizes(cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
    """Smallest and largest size each layer can be drawn with."""
    if cell.multiplier is not None:
        low, high = _ends(space[WIDTH])
        least, most = cell.multiplier.sizes(low), cell.multiplier.sizes(high)
        return {layer: (least[layer], most[layer]) for layer in cell.architecture.sized_layers}
    reach = {}
    for layer in cell.architecture.sized_layers:
        low, high = _ends(space[layer])
        reach[layer] = (int(low), int(high))
    return reach


def _ends(domain: Domain) -> tuple[float, float]:
    if isinstance(domain, Choice):
        numbers = [float(option) for option in domain.options]
        return min(numbers), max(numbers)
    return domain.low, domain.high


def _sizes(cell: Cell, layer: str) -> Domain:
    """A layer's bounds, or the multiples in them of what goes together there."""
    bound, step = cell.bounds[layer], cell.steps.get(layer, 1)
    return bound if step == 1 else Choice(tuple(range(bound.low, bound.high + 1, step)))


@dataclass(frozen=True)
class Fixed(SizingMethod):
    """Classic networks without a penalty; searched is the size of each layer."""

    def space(self, cell: Cell) -> dict[str, Domain]:
        if cell.multiplier is not None:
            return {WIDTH: cell.multiplier.range}
        return {layer: _sizes(cell, layer) for layer in cell.architecture.sized_layers}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        if cell.multiplier is not None:
            low, high = _ends(space[WIDTH])
            if not 0 < low <= high <= 1:
                found = f"{low:g} to {high:g}"
                raise ValueError(f"space.{WIDTH}: a multiplier lies above 0 and up to 1, found {found}")
            return
        for layer, step in cell.steps.items():
            domain = space[layer]
            sizes = domain.options if isinstance(domain, Choice) else ()
            if wrong := [size for size in sizes if int(size) % step]:
                raise ValueError(
                    f"space.{layer}: units go together by {step}; list multiples of that, found {wrong[0]}"
                )

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        return reach_of_searched_sizes(cell, space)

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        if cell.multiplier is not None:
            return cell.multiplier.sizes(float(params[WIDTH]))
        return {layer: int(params[layer]) for layer in cell.architecture.sized_layers}
