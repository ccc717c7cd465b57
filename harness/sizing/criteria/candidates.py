"""Which weights of a network may be deleted, and which of them still live."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from harness.sizing.gates.units import gate_parameters
from harness.surgery.masking import masks_of

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def candidates(network: nn.Module, *, biases: bool, norms: bool) -> dict[str, Tensor]:
    """The weights that may be deleted: parameter -> bool tensor of its shape, False where masked already.

    All parameters of two axes or more; besides biases, and scales and shifts of normalisations, if asked
    for. Gates and other numbers of single units are none.
    """
    gates, found = gate_parameters(network), {}
    shared = {id(parameter): name for name, parameter in reversed(list(network.named_parameters()))}
    for path, module in network.named_modules():
        masks = {name: mask for name, _, mask in masks_of(module)}
        for name, parameter in module.named_parameters(recurse=False):
            own = f"{path}.{name}" if path else name
            if own in gates or shared[id(parameter)] != own:
                continue
            if isinstance(module, _NORMS):
                takes = norms
            else:
                takes = parameter.dim() > 1 or (biases and parameter.dim() == 1 and name.endswith("bias"))
            if takes:
                mask = masks.get(name)
                found[own] = torch.ones_like(parameter, dtype=torch.bool) if mask is None else mask.clone()
    return found


def count_of(live: Mapping[str, Tensor]) -> int:
    """How many weights live."""
    return sum(int(own.sum()) for own in live.values())


def places_of(live: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameter -> places of its live weights in the flattened parameter: int64 [k]; none without any."""
    places = {name: own.flatten().nonzero().flatten() for name, own in live.items()}
    return {name: own for name, own in places.items() if len(own)}


def at_places(tensors: Mapping[str, Tensor], places: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameter -> its values [k] in those places, without a graph."""
    return {name: tensors[name].detach().flatten()[own] for name, own in places.items()}


def marked(
    live: Mapping[str, Tensor], places: Mapping[str, Tensor], chosen: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Parameter -> bool tensor of its shape, True at those of its places [k] that were chosen: bool [k]."""
    found = {}
    for name, own in places.items():
        marks = torch.zeros_like(live[name]).flatten()
        marks[own[chosen[name]]] = True
        found[name] = marks.view_as(live[name])
    return found
