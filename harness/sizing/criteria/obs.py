"""Optimal Brain Surgeon: deleting a weight while the others make up for it (Hassibi and Stork 1993)."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

#: Less is zero where something is divided by.
_TINY = 1e-150


def ridge_inverse(hessian: Tensor, damping: float) -> Tensor:
    """The inverse of a Hessian that is never negative, with a ridge: [n, n].

    Args:
        hessian: [n, n], symmetric, float64, such as that of Gauss and Newton.
        damping: what is added to the diagonal, as a share of its largest entry.

    Raises:
        FloatingPointError: in one sentence, if an entry is not finite.
    """
    _check_finite(hessian)
    ridge = max(damping * float(hessian.diagonal().max()), _TINY)
    made = torch.linalg.cholesky(hessian + ridge * torch.eye(len(hessian)).to(hessian))
    return torch.cholesky_inverse(made)


def floored_inverse(hessian: Tensor, negative: Literal["clip", "absolute"], damping: float) -> Tensor:
    """The inverse of a Hessian whose eigenvalues are made positive: [n, n].

    Args:
        hessian: [n, n], symmetric, float64.
        negative: what a negative eigenvalue counts as: the floor, or its size.
        damping: the floor of all eigenvalues, as a share of the largest.

    Raises:
        FloatingPointError: in one sentence, if an entry is not finite.
    """
    _check_finite(hessian)
    values, vectors = torch.linalg.eigh(hessian)
    sizes = values.abs()
    floor = max(damping * float(sizes.max()), _TINY)
    made: Tensor = (vectors / (sizes if negative == "absolute" else values).clamp(min=floor)) @ vectors.T
    return made


def _check_finite(hessian: Tensor) -> None:
    if wrong := int((~hessian.isfinite()).sum()):
        raise FloatingPointError(f"the Hessian has {wrong} entries that are not finite, so it has no inverse")


def surgery_of(weights: Tensor, inverse: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Delete weights one after the other, each time that of least L_q = w_q^2 / (2 [H^-1]_qq).

    After each the others move by - w_q / [H^-1]_qq times column q of H^-1, and H^-1 becomes that of what is
    left. On a quadratic all of it is exact, as long as the gradient is zero.

    Args:
        weights: [n]. inverse: [n, n]. Neither is changed.

    Returns:
        Which are gone, bool [n]; the new weights, [n]; the predicted rises of the loss, [count], in order.
    """
    values, start = weights.detach().cpu().numpy().copy(), inverse.detach().cpu().numpy()
    scale, gone = start.diagonal().copy(), np.zeros(len(values), dtype=bool)
    rises = np.zeros(count)
    # H^-1 of what is left is `start` less `lost` transposed times `lost`: only the rows asked for are made.
    lost = np.zeros((count, len(values)))
    for number in range(count):
        losses = np.where(gone, np.inf, values**2 / (2 * scale))
        chosen = int(losses.argmin())
        rises[number] = losses[chosen]
        row = start[chosen] - lost[:number, chosen] @ lost[:number]
        values -= values[chosen] / scale[chosen] * row
        lost[number] = row / np.sqrt(scale[chosen])
        scale = np.maximum(scale - lost[number] ** 2, _TINY)
        gone[chosen] = True
        values[gone] = 0
    where = weights.device
    return torch.from_numpy(gone).to(where), torch.from_numpy(values).to(weights), torch.from_numpy(rises)
