"""What the units of some layers make of an example: their feature maps, as the network sees them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from harness.sizing.criteria.units import Units


def places_of_maps(units: Sequence[Units], network: nn.Module, norms: Mapping[str, str]) -> dict[str, str]:
    """Layer -> path of the module whose output is its feature maps.

    The batch normalisation that follows it, where there is one: surgery removes a unit there, so that is
    where a unit that is zero counts for nothing. Else the layer itself.
    """
    rows = {layer: len(own) for group in units for layer, own in group.members.items()}
    places = {}
    for layer, count in rows.items():
        place = norms.get(layer, layer)
        norm = network.get_submodule(place)
        of_these = isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.num_features == count
        places[layer] = place if of_these else layer
    return places


@contextmanager
def watched(network: nn.Module, places: Mapping[str, str]) -> Iterator[dict[str, list[Tensor]]]:
    """Layer -> its feature maps in the runs of the network meanwhile, of which gradients can be taken."""
    made: dict[str, list[Tensor]] = {layer: [] for layer in places}

    def keeps(layer: str) -> "_Keeper":
        return _Keeper(made[layer])

    hooks = [
        network.get_submodule(place).register_forward_hook(keeps(layer)) for layer, place in places.items()
    ]
    try:
        yield made
    finally:
        for hook in hooks:
            hook.remove()


def check_seen(made: Mapping[str, Sequence[Tensor]]) -> None:
    """Raise ValueError, in one sentence, if the network has run and a layer has made no feature map."""
    for layer, maps in made.items():
        if not maps:
            raise ValueError(
                f"what the units of {layer} make cannot be seen, because the network does not call that layer"
            )


class _Keeper:
    """A forward hook that keeps what a module makes, and hands on a copy, which may be changed in place."""

    def __init__(self, kept: list[Tensor]) -> None:
        self._kept = kept

    def __call__(self, module: nn.Module, given: object, made: Tensor) -> Tensor:
        map_ = made if made.requires_grad else made.detach().requires_grad_()
        self._kept.append(map_)
        return map_.clone()


def by_unit(layer: nn.Module, values: Tensor) -> Tensor:
    """Values of feature maps as [examples, units, positions]: a linear layer has its units on the last axis,
    a convolution behind the examples."""
    if isinstance(layer, nn.Linear) and values.dim() > 2:
        values = values.movedim(-1, 1)
    return values.flatten(2) if values.dim() > 2 else values[:, :, None]


def gathered(group: Units, values: Mapping[str, Tensor]) -> Tensor:
    """Sums over the rows of each unit: layer -> [n, rows] to [n, count]. Layers without values count not."""
    sums: Tensor | None = None
    for layer, own in values.items():
        if layer not in group.members:
            continue
        rows = group.members[layer].to(own.device)
        here = rows >= 0
        total = own.new_zeros(len(own), group.count)
        total.index_add_(1, rows[here], own[:, here])
        sums = total if sums is None else sums + total
    assert sums is not None, "a unit is at least in the layer that makes it"
    return sums
