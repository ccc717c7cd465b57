"""The Gauss-Newton part of the Hessian: never negative, and what LeCun et al. (1990) delete by.

J^T C J averaged over examples, where J are the derivatives of the outputs and C the second derivatives of the
loss with respect to them. What it leaves out are the second derivatives of the outputs, times errors that
a trained network has few of. With C = A A^T its rows are the gradients of A^T times the outputs.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from harness.sizing.criteria.energy import Energy

#: Gradients of single examples held at once.
_AT_ONCE = 256


def diagonal(energy: Energy, places: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The diagonal at each weight.

    Args:
        places: parameter -> places [k] in the flattened parameter.

    Returns:
        Parameter -> [k].
    """
    found = {name: energy.parameters[name].new_zeros(len(own)) for name, own in places.items()}
    for rows in _rows(energy, places):
        for name, own in rows.items():
            found[name] += own.square().sum(0)
    return {name: own / energy.examples for name, own in found.items()}


def matrix(energy: Energy, places: Mapping[str, Tensor]) -> Tensor:
    """The whole of it for these weights, parameter after parameter: [n, n]."""
    count = sum(len(own) for own in places.values())
    total = next(iter(energy.parameters.values())).new_zeros(count, count)
    for rows in _rows(energy, places):
        flat = torch.cat(list(rows.values()), 1)
        total.addmm_(flat.T, flat)
    return total / energy.examples


def _rows(energy: Energy, places: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Rows of the factor, some at a time: parameter -> [rows, k]."""
    weights = {name: energy.parameters[name] for name in places}

    def weighed(changed: dict[str, Tensor], x: Tensor, factor: Tensor) -> Tensor:
        return (energy.outputs(x.unsqueeze(0), changed).flatten() * factor).sum()

    gradients = torch.vmap(torch.func.grad(weighed), in_dims=(None, 0, 0))
    for x, y in energy.batches:
        factors = _factors(energy, x, y)
        example, column = (factors != 0).any(1).nonzero(as_tuple=True)
        for start in range(0, len(example), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            made = gradients(weights, x[example[some]], factors[example[some], :, column[some]])
            yield {name: own.detach().flatten(1)[:, places[name]] for name, own in made.items()}


def _factors(energy: Energy, x: Tensor, y: Tensor) -> Tensor:
    """A of every example: [batch, outputs, outputs]; the loss's second derivatives are A A^T."""
    with torch.no_grad():
        outputs = energy.outputs(x, {})
    outputs = outputs.detach().requires_grad_()
    total = energy.criterion(outputs, y, "none").reshape(len(x), -1).mean(1).sum()
    [slope] = torch.autograd.grad(total, outputs, create_graph=True)
    columns = []
    for column in slope.flatten(1).unbind(1):  # examples do not mix, so one sum serves them all
        if column.requires_grad:
            [curvature] = torch.autograd.grad(
                column.sum(), outputs, retain_graph=True, materialize_grads=True, allow_unused=True
            )
        else:
            curvature = torch.zeros_like(outputs)
        columns.append(curvature.flatten(1))
    values, vectors = torch.linalg.eigh(torch.stack(columns, 2))
    # A softmax has a direction without curvature; what rounding leaves of it is dropped, and needs no pass.
    values = values.where(values > 1e-12 * values.amax(1, keepdim=True), 0)
    factors: Tensor = vectors * values.clamp(min=0).sqrt().unsqueeze(1)
    return factors
