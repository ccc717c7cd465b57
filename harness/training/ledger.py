"""The size ledger: what a network physically is, counted and not declared."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness.records import Size
from harness.sizing.gates import Gated


def measure(network: nn.Module, sized_layers: Sequence[str], macs: int) -> Size:
    """The ledger of a network as it is now, gates folded in.

    Args:
        macs: of `multiply_accumulates`, which changes only with the structure.
    """
    units = {}
    for layer in sized_layers:
        weight = network.get_submodule(layer).weight
        assert isinstance(weight, Tensor)
        units[layer] = len(weight)
    open_units = {
        layer: module.factor().detach() != 0
        for layer, module in network.named_modules()
        if isinstance(module, Gated)
    }
    parameters = nonzeros = 0
    for name, parameter in network.named_parameters():
        layer, _, leaf = name.rpartition(".")
        if leaf == "gate":
            continue  # folded into the weights it multiplies
        parameters += parameter.numel()
        rows = parameter.detach()
        nonzeros += int(torch.count_nonzero(rows[open_units[layer]] if layer in open_units else rows))
    return Size(units, parameters, nonzeros, macs)
