"""How much a network's outputs and losses move when one layer's weights are shaken."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from harness.sizing.criteria.joints import Joint
from harness.sizing.probe import Probe


@dataclass(frozen=True, slots=True)
class Ripple:
    """sensitivity: mean over draws of |change of the loss| / epsilon. changes: later layer -> the mean over
    draws of its output's change, by the norm of the output."""

    sensitivity: float
    changes: dict[str, float]


@torch.no_grad()
def ripple(
    network: nn.Module,
    layers: Sequence[str],
    probe: Probe,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float,
    draws: int,
    generator: Generator,
) -> dict[str, Ripple]:
    """Layer -> what shaking its weights does (*Project Proposal Addendum* (Lee), section 3).

    Weights move by epsilon * rms(W) * N(0, 1), biases do not. Masked weights move with the others.

    Args:
        layers: in order of execution. x, y: a batch.
    """
    outputs: dict[str, Tensor] = {}
    handles = [
        network.get_submodule(layer).register_forward_hook(
            lambda _, __, output, layer=layer: outputs.__setitem__(layer, output.detach().clone())
        )
        for layer in layers
    ]
    before = probe.loss(network, x, y)
    still = dict(outputs)
    found = {}
    for place, layer in enumerate(layers):
        weight = network.get_parameter(f"{layer}.weight")
        size = epsilon * weight.square().mean().sqrt()
        losses, changes = [], dict.fromkeys(layers[place + 1 :], 0.0)
        for _ in range(draws):
            drawn = torch.randn(weight.shape, generator=generator, dtype=weight.dtype).to(weight.device)
            shaken = {f"{layer}.weight": weight + size * drawn}
            losses.append(probe.criterion(functional_call(network, shaken, (x,)), y))
            for later in changes:
                change = (outputs[later] - still[later]).norm() / still[later].norm().clamp(min=1e-30)
                changes[later] += float(change) / draws
        sensitivity = float((torch.stack(losses) - before).abs().mean()) / epsilon
        found[layer] = Ripple(sensitivity, changes)
    for handle in handles:
        handle.remove()
    return found


def worth(network: nn.Module, joint: Joint, probe: Probe, x: Tensor, y: Tensor) -> Tensor:
    """What the batch's loss changes by, to first order and by size, if a unit is not read: [units]."""
    weights = {
        f"{path}.weight": network.get_parameter(f"{path}.weight").detach().requires_grad_()
        for path in joint.readers
    }
    loss = probe.criterion(functional_call(network, weights, (x,)), y)
    gradients = torch.autograd.grad(loss, list(weights.values()))
    total = joint.weight.new_zeros(joint.units)
    for path, gradient in zip(joint.readers, gradients, strict=True):
        by_unit = gradient.reshape(len(gradient), joint.units, -1)
        total += (by_unit * joint.read_by(path)).sum((0, 2))
    return total.abs()
