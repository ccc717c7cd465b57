"""What a unit of each layer costs, in parameters or multiply-accumulates: counted, not derived by hand."""

from collections.abc import Mapping
from functools import partial
from typing import Literal

from harness.architectures.imagined import imagined
from harness.sizing.base import Cell


def unit_costs(
    cell: Cell, sizes: Mapping[str, int], per: Literal["unit", "parameter", "mac"]
) -> dict[str, float]:
    """Price of one unit of each sized layer, relative to the mean over all units.

    A unit's cost is what the network with one unit more has more of, so what reads the unit counts too.

    Args:
        sizes: units of each sized layer.
        per: 1 for every unit, its parameters, or its multiply-accumulates for one example.

    Returns:
        Layer -> price; the mean over all units is 1, so that a penalty keeps its scale.
    """
    if per == "unit":
        return dict.fromkeys(sizes, 1.0)
    import torch

    from harness.sizing.ledger.counting import multiply_accumulates

    def total(sizes: Mapping[str, int]) -> int:
        network = cell.architecture.build(cell.example_shape, cell.outputs, sizes)
        if per == "mac":
            return multiply_accumulates(network, torch.empty(1, *cell.example_shape))
        return sum(parameter.numel() for parameter in network.parameters())

    base = imagined(partial(total, sizes))
    larger = {layer: {**sizes, layer: size + 1} for layer, size in sizes.items()}
    costs = {layer: imagined(partial(total, each)) - base for layer, each in larger.items()}
    mean = sum(costs[layer] * size for layer, size in sizes.items()) / sum(sizes.values())
    return {layer: cost / mean for layer, cost in costs.items()}
