"""What zeroing a unit does to the loss, to first order (Molchanov et al., ICLR 2017; *Partial Restart*).

With z a unit's feature map and C the loss of an example, zeroing z changes C by the sum over positions of
-dC/dz z, to first order. The criterion is the mean of it over positions, its absolute value, and the mean of
that over examples. So positions may cancel each other; a variant takes absolute values before the first mean.
Before or behind a ReLU the product is the same.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from harness.sizing.criteria.feature_maps import by_unit, check_seen, gathered, watched
from harness.sizing.criteria.units import Units
from harness.sizing.probe import Probe


def taylor(
    network: nn.Module,
    units: Sequence[Units],
    places: Mapping[str, str],
    batches: Iterable[tuple[Tensor, Tensor]],
    probe: Probe,
    *,
    cancelling: bool = True,
) -> dict[str, Tensor]:
    """The criterion for every unit: layer that edits name -> [count], float64, on the CPU.

    A unit that lies in several layers is zeroed in all of them: what it does there is added up.

    Args:
        network: in evaluation mode, so that examples do not depend on each other. Left as it is.
        places: layer -> module whose output is its feature maps.
        batches: x [batch, ...] and y of the examples.
        cancelling: take absolute values after the mean over positions, as the papers do; or before.
    """
    totals = {group.layer: torch.zeros(group.count, dtype=torch.float64) for group in units}
    examples = 0
    for x, y in batches:
        examples += len(x)
        products = _products(network, places, x, y, probe, cancelling)
        for group in units:
            own = gathered(group, products).abs().sum(0, dtype=torch.float64)
            totals[group.layer] += own.cpu()
    return {layer: own / max(1, examples) for layer, own in totals.items()}


def _products(
    network: nn.Module, places: Mapping[str, str], x: Tensor, y: Tensor, probe: Probe, cancelling: bool
) -> dict[str, Tensor]:
    """dC/dz z, means over positions: layer -> [batch, units]."""
    with torch.enable_grad(), watched(network, places) as made:
        # Summed over examples, so that each gives the gradient of its own loss.
        loss = probe.criterion(network(x), y, "sum")
        check_seen(made)
        maps = [(layer, own) for layer, runs in made.items() for own in runs]
        gradients = torch.autograd.grad(loss, [own for _, own in maps], allow_unused=True)
    found: dict[str, Tensor] = {}
    for (layer, own), gradient in zip(maps, gradients, strict=True):
        product = torch.zeros_like(own) if gradient is None else gradient * own.detach()
        product = by_unit(network.get_submodule(layer), product)
        mean = (product if cancelling else product.abs()).mean(2)
        found[layer] = found[layer] + mean if layer in found else mean
    return found
