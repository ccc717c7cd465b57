"""The size of a unit by its numbers alone: its incoming weights, or the factor of its normalisation."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from harness.sizing.criteria.feature_maps import gathered
from harness.sizing.criteria.units import Units


def incoming(network: nn.Module, units: Sequence[Units], order: int) -> dict[str, Tensor]:
    """The norm of each unit's incoming weights, bias aside: layer that edits name -> [count], float64.

    A unit that lies in several layers has the mean of theirs. order: 1 for absolute values, 2 for squares.
    """
    values = {
        layer: network.get_submodule(layer)
        .get_parameter("weight")
        .detach()
        .flatten(1)
        .to(torch.float64)
        .norm(p=order, dim=1)
        for layer in dict.fromkeys(own for group in units for own in group.members)
    }
    return _means(units, values)


def norm_scales(network: nn.Module, units: Sequence[Units], norms: Mapping[str, str]) -> dict[str, Tensor]:
    """|gamma| of the normalisation behind each unit (*Network Slimming*, Liu et al. 2017); as `incoming`.

    Raises:
        ValueError: in one sentence, if a layer has none.
    """
    values = {}
    for layer in dict.fromkeys(own for group in units for own in group.members):
        norm = network.get_submodule(norms[layer]) if layer in norms else None
        scale = getattr(norm, "weight", None)
        if not isinstance(scale, Tensor):
            raise ValueError(
                f"the scale of a normalisation is asked for, and none follows {layer}; choose another "
                "criterion"
            )
        values[layer] = scale.detach().abs().to(torch.float64)
    return _means(units, values)


def _means(units: Sequence[Units], values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for group in units:
        own = {layer: values[layer][None] for layer in group.members}
        ones = {layer: torch.ones_like(values) for layer, values in own.items()}
        found[group.layer] = (gathered(group, own) / gathered(group, ones))[0].cpu()
    return found
