"""Where a network can grow: layers whose new units change nothing as long as nobody reads them."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from harness.surgery import NetworkEdit, Structure, SurgeryError, Widen, apply, trace

if TYPE_CHECKING:
    from harness.architectures.base import Architecture
    from harness.sizing.base import Cell

_NORM_TENSORS = ("weight", "bias", "running_mean", "running_var")
#: Change of the output, in units of single precision, that is rounding.
_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """A linear or convolutional layer, and the layers of that kind that read its units.

    module: the layer. readers: path -> module. norms: path -> batch normalisation behind it.
    """

    layer: str
    module: nn.Module
    readers: Mapping[str, nn.Module]
    norms: Mapping[str, nn.Module]

    @property
    def weight(self) -> Tensor:
        """Of the layer: [units, ...]."""
        return _weight(self.module)

    @property
    def bias(self) -> Tensor | None:
        """Of the layer: [units]."""
        bias = self.module.bias
        return bias.detach() if isinstance(bias, Tensor) else None

    @property
    def units(self) -> int:
        """How many there are."""
        return len(self.weight)

    def read_by(self, reader: str) -> Tensor:
        """A reader's weights unit by unit: [outputs, units, entries]."""
        weight = _weight(self.readers[reader])
        return weight.reshape(len(weight), self.units, -1)

    def laid(self, reader: str, by_unit: Tensor) -> Tensor:
        """Weights unit by unit, [outputs, some units, entries], as the reader's weight has them."""
        weight = _weight(self.readers[reader])
        times = weight.shape[1] // self.units
        return by_unit.reshape(len(weight), by_unit.shape[1] * times, *weight.shape[2:])

    def widen(
        self,
        incoming: Tensor,
        outgoing: Mapping[str, Tensor],
        bias: Tensor | None = None,
        passing: Mapping[str, Tensor] | None = None,
    ) -> Widen:
        """New units at the layer's end.

        Args:
            incoming: [new, entries] or as the layer's weight has them.
            outgoing: reader -> [outputs, new, entries]; zeros where absent.
            bias: [new]; zeros if None and the layer has one.
        """
        new = len(incoming)
        if bias is None and self.bias is not None:
            bias = self.bias.new_zeros(new)
        laid = {reader: self.laid(reader, own) for reader, own in outgoing.items()}
        return Widen(
            self.layer, incoming.reshape(new, *self.weight.shape[1:]), bias, laid, dict(passing or {})
        )

    def normalised(self) -> dict[str, Tensor]:
        """What the norms hold for the units: path of a parameter or buffer -> [units]."""
        found = {}
        for path, norm in self.norms.items():
            for name in _NORM_TENSORS:
                own = getattr(norm, name, None)
                if isinstance(own, Tensor):
                    found[f"{path}.{name}"] = own.detach()
        return found


def joints(network: nn.Module, x: Tensor) -> dict[str, Joint]:
    """Layer -> its joint, for each layer that looks as if it could grow. x: a batch, two examples suffice."""
    structure, found = trace(network, x), {}
    for layer, units in structure.units.items():
        joint = _joint(network, structure, layer)
        if joint is not None and all(_weight(own).shape[1] % units == 0 for own in joint.readers.values()):
            found[layer] = joint
    return found


def growable(cell: "Cell") -> tuple[str, ...]:
    """Sized layers that units can be added to, shown on a small network of the cell's."""
    return _growable(_Family(cell.architecture), cell.example_shape, cell.outputs, tuple(cell.steps.items()))


def _joint(network: nn.Module, structure: Structure, layer: str) -> Joint | None:
    own = structure.classes[layer]
    if structure.group(layer).layers != (layer,) or len(set(own)) < len(own):
        return None
    readers = {path: network.get_submodule(path) for path in structure.readers.get(layer, ())}
    module = network.get_submodule(layer)
    if not readers or not all(_is_plain(each) for each in (module, *readers.values())):
        return None
    norms = {
        path: network.get_submodule(path)
        for path, classes in structure.classes.items()
        if path not in structure.units and not set(classes).isdisjoint(own)
    }
    if not all(isinstance(norm, nn.modules.batchnorm._BatchNorm) for norm in norms.values()):
        return None
    return Joint(layer, module, readers, norms)


def _is_plain(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)


def _weight(module: nn.Module) -> Tensor:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight.detach()


class _Family:
    """An architecture as a key; those that a study's options make unhashable are told apart by equality."""

    def __init__(self, architecture: "Architecture") -> None:
        self.architecture = architecture

    def __hash__(self) -> int:
        return hash(type(self.architecture))

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Family) and bool(self.architecture == other.architecture)


@lru_cache(maxsize=64)
def _growable(
    family: _Family, example_shape: tuple[int, ...], outputs: int, steps: Sequence[tuple[str, int]]
) -> tuple[str, ...]:
    layers = family.architecture.sized_layers
    if not layers:
        return ()
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(0)
        few = {layer: 2 * dict(steps).get(layer, 1) for layer in layers}
        few |= dict.fromkeys(getattr(family.architecture, "sized_blocks", ()), 1)
        network = family.architecture.build(example_shape, outputs, few)
        x = torch.rand(2, *example_shape)
        found = {layer: own for layer, own in joints(network, x).items() if layer in few}
        tried = {layer: _trial(own) for layer, own in found.items()}
        if _stands(network, list(tried.values()), x):
            return tuple(layer for layer in layers if layer in tried)
        return tuple(layer for layer in layers if layer in tried and _stands(network, [tried[layer]], x))


def _trial(joint: Joint) -> NetworkEdit:
    """A new unit that nobody reads."""
    unread = {reader: torch.zeros_like(joint.read_by(reader)[:, :1]) for reader in joint.readers}
    return joint.widen(torch.ones_like(joint.weight[:1]), unread)


def _stands(network: nn.Module, edits: Sequence[NetworkEdit], x: Tensor) -> bool:
    """Whether these can be carried out, and leave the output as it is."""
    try:
        change = apply(copy.deepcopy(network), None, edits, x, certify=True).output_change
    except SurgeryError:
        return False
    return change is not None and max(change) <= _ROUNDING
