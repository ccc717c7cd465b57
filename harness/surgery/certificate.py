"""Measuring how much surgery has changed a network's output."""

import torch
from torch import Tensor, nn

from harness.surgery.tracing.example import Example, twice
from harness.surgery.tracing.follow import outputs_of, quiet

_NORMALISATIONS = nn.modules.batchnorm._NormBase

Outputs = tuple[list[Tensor], list[Tensor]]


def outputs(network: nn.Module, example: Example, *, noisy: nn.Module | None = None) -> Outputs:
    """What a network gives for an example, in evaluation and in training mode; nothing is left changed.

    Training mode means that normalisation goes by the batch. Noise (dropout, stochastic depth) is off: it
    could not be drawn alike for networks of two sizes. A part of the network can be named in which it is on.
    """
    with quiet(network), torch.no_grad():
        network.eval()
        evaluation = [tensor.clone() for tensor in outputs_of(network, example)]
        for module in network.modules():
            if isinstance(module, _NORMALISATIONS):
                module.train()
        if noisy is not None:
            noisy.train()
        training = [tensor.clone() for tensor in outputs_of(network, twice(example))]
    return evaluation, training


def largest_change(before: Outputs, after: Outputs) -> tuple[float, float]:
    """Largest absolute difference, in evaluation and in training mode."""
    evaluation, training = (
        max((float((old - new).abs().max()) for old, new in zip(first, second, strict=True)), default=0.0)
        for first, second in zip(before, after, strict=True)
    )
    return evaluation, training
