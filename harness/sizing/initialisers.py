"""New weights for filters that are begun anew (*Partial Restart of Neural Network*, Han and Zhang).

"uniform": U(-.05, .05). "he": U(-b, b) with b = sqrt(6 / n), n the weights of a filter. "he-as-printed": b is
sqrt(6) / (2 n), as the paper prints it. "min-max": U(least, largest) of the weights there are.
"distribution": normal, with mean and standard deviation of the weights there are. "resampled": drawn from
them with replacement, which the paper's "distribution" may mean as well.
"""

import math
from typing import Literal

import torch
from torch import Generator, Tensor

Initialiser = Literal["uniform", "he", "he-as-printed", "min-max", "distribution", "resampled"]
#: Bound of "uniform".
_UNIFORM = 0.05


def new_weights(
    weight: Tensor, rows: Tensor, initialiser: Initialiser, generator: Generator, *, by_filter: bool
) -> Tensor:
    """New weights of some filters: [k, *weight.shape[1:]], in the precision of `weight`, on the CPU.

    Args:
        weight: [filters, ...] as it stands. rows: int64 [k], the filters that are begun anew.
        generator: on the CPU.
        by_filter: "the weights there are" are the filter's own; else all of the layer.
    """
    old = weight.detach().cpu()
    filters = old.flatten(1)
    per_filter, shape = filters.shape[1], (len(rows), *old.shape[1:])
    there = filters[rows] if by_filter else filters.flatten().expand(len(rows), -1)

    def uniform() -> Tensor:
        return torch.rand(len(rows), per_filter, generator=generator, dtype=old.dtype)

    match initialiser:
        case "uniform":
            made = (2 * uniform() - 1) * _UNIFORM
        case "he":
            made = (2 * uniform() - 1) * math.sqrt(6 / per_filter)
        case "he-as-printed":
            made = (2 * uniform() - 1) * math.sqrt(6) / (2 * per_filter)
        case "min-max":
            low, high = there.amin(1, keepdim=True), there.amax(1, keepdim=True)
            made = low + (high - low) * uniform()
        case "distribution":
            normal = torch.randn(len(rows), per_filter, generator=generator, dtype=old.dtype)
            made = there.mean(1, keepdim=True) + there.std(1, correction=0, keepdim=True) * normal
        case "resampled":
            drawn = torch.randint(there.shape[1], (len(rows), per_filter), generator=generator)
            made = there.gather(1, drawn)
    return made.reshape(shape)
