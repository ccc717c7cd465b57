"""The size ledger: what a network physically is, counted and not declared."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness.records import Size
from harness.sizing.gates import Gated

_COUNTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def multiply_accumulates(network: nn.Module, example: Tensor) -> int:
    """Multiply-accumulates of the linear and convolutional layers for one example.

    Args:
        example: [1, ...], on the network's device.
    """
    count = 0

    def add(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal count
        weight = module.weight
        assert isinstance(weight, Tensor)
        count += output.numel() // len(output) * weight[0].numel()

    handles = [m.register_forward_hook(add) for m in network.modules() if isinstance(m, _COUNTED)]
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(example)
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    return count


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
