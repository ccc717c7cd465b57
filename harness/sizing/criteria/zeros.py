"""How often a unit's activation is zero (*Network Trimming*, Hu, Peng, Tai and Tang 2016: APoZ)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness.sizing.criteria.feature_maps import by_unit, check_seen, gathered, watched
from harness.sizing.criteria.units import Units

#: Operations that make zeros of a whole range of numbers.
_RECTIFIERS = frozenset({"relu", "relu_", "clamp_min", "clamp_min_", "hardtanh", "hardtanh_", "threshold"})
#: Operations that hand a unit on as it is, to the rectifier behind them.
_PASSED_ON = frozenset(
    {
        "add", "add_", "clone", "dropout", "max_pool1d", "max_pool2d_with_indices", "max_pool3d_with_indices",
        "avg_pool2d", "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training",
    }
)  # fmt: skip


def activity(
    network: nn.Module,
    units: Sequence[Units],
    places: Mapping[str, str],
    batches: Iterable[tuple[Tensor, Tensor]],
) -> dict[str, Tensor]:
    """Share of activations that are not zero, over examples and positions: layer that edits name -> [count].

    So the units with most zeros have the least. An activation is what the first ReLU behind a layer makes,
    sums of residual blocks included; a unit that lies in several layers has the mean of theirs.

    Args:
        network: in evaluation mode; left as it is.
        places: layer -> module whose output is its feature maps.

    Raises:
        ValueError: in one sentence, if no ReLU follows a layer.
    """
    totals = {group.layer: torch.zeros(group.count, dtype=torch.float64) for group in units}
    examples = 0
    for x, _ in batches:
        shares = _shares(network, places, x)
        for layer in places:
            if layer not in shares:
                raise ValueError(
                    f"zeros are counted of what a ReLU makes, and none follows {layer}; choose another "
                    "criterion"
                )
        examples += len(x)
        for group in units:
            ones = {layer: torch.ones_like(shares[layer][:1]) for layer in group.members}
            mean = gathered(group, shares).sum(0, dtype=torch.float64) / gathered(group, ones)[0]
            totals[group.layer] += mean.cpu()
    return {layer: own / max(1, examples) for layer, own in totals.items()}


def _shares(network: nn.Module, places: Mapping[str, str], x: Tensor) -> dict[str, Tensor]:
    """Layer -> share of the positions where each unit is not zero: [batch, units]."""
    with torch.no_grad(), watched(network, places) as made:
        watch = _Watch(network, made)
        with watch:
            network(x)
        check_seen(made)
    return watch.shares


class _Watch(TorchDispatchMode):
    """Follows feature maps to the first rectifier behind them."""

    def __init__(self, network: nn.Module, made: Mapping[str, list[Tensor]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shares: dict[str, Tensor] = {}
        self._network, self._made = network, made
        self._kept: list[Tensor] = []  # as long as they are followed, no other tensor may have their address
        self._followed: dict[int, tuple[str, ...]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = [each for each in args if isinstance(each, Tensor)]
        layers = dict.fromkeys(layer for each in given for layer in self._layers(each))
        made = func(*args, **(kwargs or {}))
        name, out = func.overloadpacket.__name__, made[0] if isinstance(made, tuple) else made
        if name in _RECTIFIERS:
            for layer in layers:
                if layer not in self.shares:
                    live = by_unit(self._network.get_submodule(layer), out) != 0
                    self.shares[layer] = live.to(torch.float32).mean(2)
        elif name in _PASSED_ON and layers and isinstance(out, Tensor):
            self._kept.append(out)
            self._followed[id(out)] = tuple(layers)
        return made

    def _layers(self, tensor: Tensor) -> tuple[str, ...]:
        own = tuple(
            layer
            for layer, runs in self._made.items()
            if layer not in self.shares and any(each is tensor for each in runs)
        )
        return own or self._followed.get(id(tensor), ())
