"""Which units of a network may be judged: those of its sized layers, or the filters of every layer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from harness.sizing.base import Cell
from harness.surgery.structure import Structure

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
#: Layers whose units have a row of weights each, along the first axis.
JUDGED = (nn.Linear, *CONVOLUTIONS)


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Units of one layer, or of several whose units go together: a unit of one is a unit of all.

    layer: path of the layer that edits name. count: how many units, each counted once. members: layer -> for
    each row of its weight the number of its unit, from 0, or -1 for a row that is none of these.
    """

    layer: str
    count: int
    members: Mapping[str, Tensor]

    def trained(self, network: nn.Module) -> tuple[str, ...]:
        """Those of its layers whose weights are parameters: a shortcut of zeros and ones has none."""
        weights = {layer: network.get_submodule(layer).weight for layer in self.members}
        return tuple(layer for layer, weight in weights.items() if isinstance(weight, nn.Parameter))

    def rows(self, units: Tensor) -> tuple[int, ...]:
        """Rows of `layer` that belong to some units: bool [count]."""
        own = self.members[self.layer]
        return tuple(torch.nonzero((own >= 0) & units[own.clamp(min=0)]).flatten().tolist())


def coupled_units(structure: Structure, layers: Iterable[str]) -> list[Units]:
    """The units of some layers, each with all that goes with it; layers that share their units count once."""
    seen: set[int] = set()
    found = []
    for layer in layers:
        if not structure.group(layer).removable:
            continue
        roots = [root for root in dict.fromkeys(structure.classes[layer]) if root not in seen]
        seen.update(roots)
        number = {root: place for place, root in enumerate(roots)}
        members = {
            own: torch.tensor([number.get(root, -1) for root in structure.classes[own]])
            for own in structure.units
            if not number.keys().isdisjoint(structure.classes[own])
        }
        if roots:
            found.append(Units(layer, len(roots), members))
    return found


def single_units(network: nn.Module, structure: Structure, kinds: tuple[type[nn.Module], ...]) -> list[Units]:
    """The units of every layer of some kinds that another layer reads, whatever they are added to."""
    found = []
    for layer, count in structure.units.items():
        module = _module(network, layer)
        if isinstance(module, kinds) and structure.readers.get(layer) and not is_parametrized(module):
            found.append(Units(layer, count, {layer: torch.arange(count)}))
    return found


def small_network(cell: Cell) -> nn.Module:
    """A network of the cell with two units a layer, to look at its structure: in evaluation mode, on the CPU.
    Torch's global generator is left as it is."""
    blocks = getattr(cell.architecture, "sized_blocks", ())
    few = {
        layer: cell.start[layer] if layer in blocks else 2 * cell.steps.get(layer, 1)
        for layer in cell.architecture.sized_layers
    }
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        return cell.architecture.build(cell.example_shape, cell.outputs, few).eval()


def check_kinds(network: nn.Module, units: Sequence[Units]) -> None:
    """Raise ValueError, in one sentence, if some units have no rows of weights in a layer where they lie."""
    for layer in dict.fromkeys(layer for group in units for layer in group.trained(network)):
        module = _module(network, layer)
        if not isinstance(module, JUDGED):
            raise ValueError(
                f"{layer} is a {type(module).__name__}; units are judged of "
                f"{', '.join(kind.__name__ for kind in JUDGED)}"
            )


def _module(network: nn.Module, layer: str) -> nn.Module | None:
    return dict(network.named_modules()).get(layer)
