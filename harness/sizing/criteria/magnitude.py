"""The size of a weight, by itself or in units of the spread of its kind."""

from collections.abc import Mapping

import torch
from torch import Tensor


def magnitudes(weights: Mapping[str, Tensor], sigmas: Mapping[str, float] | None = None) -> dict[str, Tensor]:
    """|w|, or |w| / sigma with each parameter's sigma: parameter -> [k]."""
    if sigmas is None:
        return {name: own.abs() for name, own in weights.items()}
    found = {}
    for name, own in weights.items():
        # Of weights that are all alike (a single one, say) none is small for its kind.
        found[name] = own.abs() / sigmas[name] if sigmas[name] else torch.full_like(own, torch.inf)
    return found


def spreads(weights: Mapping[str, Tensor], *, by_layer: bool) -> dict[str, float]:
    """Standard deviation of the weights of each parameter, or of all together: parameter -> sigma."""
    if by_layer:
        return {name: _deviation(own) for name, own in weights.items()}
    whole = _deviation(torch.cat(list(weights.values()))) if weights else 0.0
    return dict.fromkeys(weights, whole)


def _deviation(values: Tensor) -> float:
    return float(values.double().std(correction=0))
