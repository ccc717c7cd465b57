"""Second derivatives by differentiating the gradient again: exact, a backward pass a weight."""

from collections.abc import Mapping

import torch
from torch import Tensor

from harness.sizing.criteria.energy import Energy

#: Rows of the Hessian that are worked out at once.
_AT_ONCE = 64


def diagonal(energy: Energy, places: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """h_kk of each weight k.

    Args:
        places: parameter -> places [k] in the flattened parameter.

    Returns:
        Parameter -> [k].
    """
    found = {}
    for name, own in places.items():
        total = energy.parameters[name].new_zeros(len(own))
        leaf = {name: energy.parameters[name].clone().requires_grad_()}
        for part in energy.parts(leaf):
            gradient = _gradients(part, leaf)[0]
            for start, chosen in _chunks(own):
                rows = _rows(gradient, chosen, leaf)[0].flatten(1)
                total[start : start + len(chosen)] += rows.gather(1, chosen.unsqueeze(1)).squeeze(1)
        found[name] = total
    return found


def hessian(energy: Energy, places: Mapping[str, Tensor]) -> Tensor:
    """The Hessian of all these weights, parameter after parameter: [n, n]."""
    count = sum(len(own) for own in places.values())
    leaves = {name: energy.parameters[name].clone().requires_grad_() for name in places}
    total = next(iter(leaves.values())).new_zeros(count, count).detach()
    for part in energy.parts(leaves):
        row = 0
        for gradient, own in zip(_gradients(part, leaves), places.values(), strict=True):
            for _, chosen in _chunks(own):
                rows = _rows(gradient, chosen, leaves)
                columns = [each.flatten(1)[:, at] for each, at in zip(rows, places.values(), strict=True)]
                total[row : row + len(chosen)] += torch.cat(columns, 1)
                row += len(chosen)
    return (total + total.T) / 2


def _gradients(part: Tensor, leaves: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(part, list(leaves.values()), create_graph=True, materialize_grads=True)


def _rows(gradient: Tensor, chosen: Tensor, leaves: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """The derivatives of some entries of a gradient with respect to each leaf: [chosen, *shape]."""
    if not gradient.requires_grad:  # of a loss that is linear in these weights
        return tuple(leaf.new_zeros(len(chosen), *leaf.shape) for leaf in leaves.values())
    ones = gradient.new_zeros(len(chosen), gradient.numel())
    ones[torch.arange(len(chosen), device=chosen.device), chosen] = 1
    return torch.autograd.grad(
        gradient,
        list(leaves.values()),
        ones.view(len(chosen), *gradient.shape),
        retain_graph=True,
        is_grads_batched=True,
        allow_unused=True,
        materialize_grads=True,
    )


def _chunks(places: Tensor) -> list[tuple[int, Tensor]]:
    return [(start, places[start : start + _AT_ONCE]) for start in range(0, len(places), _AT_ONCE)]
