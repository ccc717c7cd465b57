"""The diagonal of the Hessian at random: the mean of v * Hv over vectors v of signs (Hutchinson 1990;
Bekas et al. 2007 for diagonals). Three passes a vector, whatever the number of weights."""

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from harness.sizing.criteria.energy import Energy


def diagonal(
    energy: Energy, places: Mapping[str, Tensor], probes: int, generator: Generator
) -> dict[str, Tensor]:
    """An unbiased estimate of h_kk at each weight; exact, with one probe, where H is diagonal.

    Its variance is the sum of the squares of the other entries of H's row, divided by the number of probes.

    Args:
        places: parameter -> places [k] in the flattened parameter.
        probes: random vectors to average over.
        generator: on the CPU.

    Returns:
        Parameter -> [k].
    """
    leaves = {name: energy.parameters[name].clone().requires_grad_() for name in places}
    found = {name: energy.parameters[name].new_zeros(len(own)) for name, own in places.items()}
    for _ in range(probes):
        signs = {name: _signs(leaves[name], own, generator) for name, own in places.items()}
        for part in energy.parts(leaves):
            gradients = torch.autograd.grad(
                part, list(leaves.values()), create_graph=True, materialize_grads=True
            )
            along = sum(
                (own * signs[name]).sum() for name, own in zip(leaves, gradients, strict=True)
            ) + part.new_zeros(())
            if not along.requires_grad:  # of a loss that is linear in the weights
                continue
            products = torch.autograd.grad(along, list(leaves.values()), materialize_grads=True)
            for (name, own), product in zip(places.items(), products, strict=True):
                found[name] += (product * signs[name]).flatten()[own] / probes
    return found


def _signs(like: Tensor, places: Tensor, generator: Generator) -> Tensor:
    """Plus or minus one in these places, else zero: what is deleted adds no noise."""
    drawn = torch.randint(0, 2, (len(places),), generator=generator, dtype=torch.int8).to(like.device)
    signs = torch.zeros_like(like).flatten()
    signs[places] = (2 * drawn - 1).to(like.dtype)
    return signs.view_as(like)
