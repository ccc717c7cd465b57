"""Counts a network's multiply-accumulates by running it."""

import torch
from torch import Tensor, nn

from harness.sizing.ledger.size import FLOPS_PER_MAC as FLOPS_PER_MAC  # where it is looked for

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
