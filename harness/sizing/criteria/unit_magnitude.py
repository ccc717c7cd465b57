"""The size of a unit by its numbers alone: its incoming weights, or the factor of its normalisation.

A unit that lies in several layers has the mean of theirs; layers without parameters count for nothing.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from harness.sizing.criteria.feature_maps import gathered
from harness.sizing.criteria.units import Units


def incoming(network: nn.Module, units: Sequence[Units], order: int) -> dict[str, Tensor]:
    """The norm of each unit's incoming weights, bias aside: layer that edits name -> [count], float64.

    order: 1 for absolute values, 2 for squares.
    """

    def norm(layer: str) -> Tensor:
        weight = network.get_parameter(f"{layer}.weight").detach()
        found: Tensor = torch.linalg.vector_norm(weight.flatten(1).to(torch.float64), order, dim=1)
        return found

    return _means(network, units, norm)


def norm_scales(network: nn.Module, units: Sequence[Units], norms: Mapping[str, str]) -> dict[str, Tensor]:
    """|gamma| of the normalisation behind each unit (*Network Slimming*, Liu et al. 2017); as `incoming`.

    Raises:
        ValueError: in one sentence, if a layer has none.
    """

    def scale(layer: str) -> Tensor:
        norm = network.get_submodule(norms[layer]) if layer in norms else None
        gamma = getattr(norm, "weight", None)
        rows = len(network.get_parameter(f"{layer}.weight"))
        if not isinstance(gamma, Tensor) or gamma.shape != (rows,):
            raise ValueError(
                f"the scale of a normalisation is asked for, and none follows {layer}; choose another "
                "criterion"
            )
        return gamma.detach().abs().to(torch.float64)

    return _means(network, units, scale)


def _means(network: nn.Module, units: Sequence[Units], value: Callable[[str], Tensor]) -> dict[str, Tensor]:
    found = {}
    for group in units:
        own = {layer: value(layer)[None] for layer in group.trained(network)}
        ones = {layer: torch.ones_like(values) for layer, values in own.items()}
        found[group.layer] = (gathered(group, own) / gathered(group, ones))[0].cpu()
    return found
