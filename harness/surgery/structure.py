"""What can be taken out of a network: its layers' units, and which of them live and die together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from harness.surgery.errors import SurgeryError
from harness.surgery.rigidity import examined
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.paths import layer_of
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.tracing.units import unit_labels


@dataclass(frozen=True, slots=True)
class Group:
    """Layers whose units are coupled: a unit of one goes with units of the others.

    layers: paths, in order of execution. classes: number of sets of units that go together. removable: how
    many of them may go. refused: why the others may not, None if all may. parameters: number of parameters
    that the group's units hold, those that read them included.
    """

    layers: tuple[str, ...]
    classes: int
    removable: int
    refused: str | None
    parameters: int


@dataclass(frozen=True, slots=True)
class Structure:
    """The units of a network as it is now.

    units: layer -> number of its units, for each layer that makes some. classes: layer -> for each of its
    units, the number of the class it belongs to, for normalisations too; units of one class go
    together, wherever they are. groups: coupled layers, in order of execution. norms: layer ->
    normalisation that directly follows it. readers: layer -> layers that read its units. parameters: of the
    whole network. reachable: how many of them belong to some unit that may be removed.
    """

    units: Mapping[str, int]
    classes: Mapping[str, tuple[int, ...]]
    groups: tuple[Group, ...]
    norms: Mapping[str, str]
    readers: Mapping[str, tuple[str, ...]]
    parameters: int
    reachable: int

    def group(self, layer: str) -> Group:
        """The group of a layer.

        Raises:
            SurgeryError: if the layer makes no units.
        """
        for group in self.groups:
            if layer in group.layers:
                return group
        raise SurgeryError(f"The layer {layer!r} makes no units; layers that do: {', '.join(self.units)}.")

    @property
    def refused_share(self) -> float:
        """Share of the parameters that no removal can reach."""
        return 1.0 - self.reachable / self.parameters if self.parameters else 0.0


@torch.inference_mode(mode=False)
def trace(network: nn.Module, example: Example) -> Structure:
    """Find out which units of a network are coupled, and which may be removed.

    Args:
        network: any plain module; left as it is.
        example: a batch of its input, [batch, ...], on its device; several inputs in a tuple or a mapping
            (`harness.surgery.Example`).

    Raises:
        SurgeryError: if the network cannot be followed (control flow on data, compiled or wrapped modules),
            or the example does not fit it.
    """
    tracer = examined(network, example)
    labels = {layer: unit_labels(tracer, network, layer) for layer in tracer.producers}
    frozen = tracer.coupling.frozen()
    total, reachable = _reach(tracer, frozen)
    return Structure(
        units={layer: len(own) for layer, own in labels.items()},
        classes=_classes(tracer, network),
        groups=_groups(tracer, labels, frozen),
        norms=dict(tracer.norms),
        readers=_readers(tracer, labels),
        parameters=total,
        reachable=reachable,
    )


def _classes(tracer: Tracer, network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Classes of the units of every layer that makes some or normalises them one by one."""
    layers = dict.fromkeys(tracer.producers)
    for path, module in network.named_modules():
        if (
            isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm)
            and f"{path}.weight" in tracer.tensors
        ):
            layers[path] = None
    return {
        layer: tuple(tracer.coupling.roots(unit_labels(tracer, network, layer)).tolist()) for layer in layers
    }


def _groups(tracer: Tracer, labels: Mapping[str, Labels], frozen: Mapping[int, str]) -> tuple[Group, ...]:
    classes = {layer: np.unique(tracer.coupling.roots(own)) for layer, own in labels.items()}
    merged: list[tuple[list[str], set[int]]] = []
    for layer, own in classes.items():
        roots = set(own.tolist())
        together = [entry for entry in merged if not roots.isdisjoint(entry[1])]
        merged = [entry for entry in merged if roots.isdisjoint(entry[1])]
        layers = [name for entry in together for name in entry[0]] + [layer]
        merged.append((layers, roots.union(*(entry[1] for entry in together))))
    order = {layer: index for index, layer in enumerate(labels)}
    merged.sort(key=lambda entry: min(order[layer] for layer in entry[0]))
    groups = []
    held = _held(tracer, [roots for _, roots in merged])
    for (layers, roots), parameters in zip(merged, held, strict=True):
        refused = next((frozen[root] for root in sorted(roots) if root in frozen), None)
        free = sum(root not in frozen for root in roots)
        groups.append(Group(tuple(layers), len(roots), free, refused, parameters))
    return tuple(groups)


def _held(tracer: Tracer, groups: list[set[int]]) -> list[int]:
    """For each of some disjoint sets of classes, the number of parameters that it holds on any axis."""
    numbers = np.full(len(tracer.coupling), -1, dtype=np.int64)
    for number, roots in enumerate(groups):
        numbers[list(roots)] = number
    owners = numbers[tracer.coupling.classes()]
    held = [0] * len(groups)
    for path, tensor in tracer.tensors.items():
        if not isinstance(tensor, nn.Parameter):
            continue
        counts = [np.bincount(owners[tracer.labels(path, axis)] + 1) for axis in range(tensor.dim())]
        for number in {int(own) for count in counts for own in np.flatnonzero(count)} - {0}:
            lost = [int(count[number]) if number < len(count) else 0 for count in counts]
            left = math.prod(size - gone for size, gone in zip(tensor.shape, lost, strict=True))
            held[number - 1] += tensor.numel() - left
    return held


def _reach(tracer: Tracer, frozen: Mapping[int, str]) -> tuple[int, int]:
    made = [tracer.coupling.roots(tracer.labels(*place)) for place in tracer.producers.values()]
    roots = np.unique(np.concatenate(made)) if made else np.empty(0, dtype=np.int64)
    free = roots[~np.isin(roots, list(frozen))]
    touched = _touched(tracer, free)
    return sum(total for total, _ in touched), sum(own for _, own in touched)


def _touched(tracer: Tracer, roots: Labels) -> list[tuple[int, int]]:
    """(size, entries that belong to the classes on some axis) of every parameter."""
    counts = []
    members = tracer.coupling.members(roots)
    for path, tensor in tracer.tensors.items():
        if not isinstance(tensor, nn.Parameter):
            continue
        left = 1
        for axis in range(tensor.dim()):
            left *= int((~members[tracer.labels(path, axis)]).sum())
        counts.append((tensor.numel(), tensor.numel() - left))
    return counts


def _readers(tracer: Tracer, labels: Mapping[str, Labels]) -> dict[str, tuple[str, ...]]:
    every = tracer.coupling.classes()
    reads = [(read.weight, read) for read in tracer.reads if read.weight is not None]
    listening: dict[int, list[int]] = {}
    for number, (_, read) in enumerate(reads):
        for root in np.unique(every[read.signal.labels]).tolist():
            listening.setdefault(root, []).append(number)
    readers: dict[str, tuple[str, ...]] = {}
    for layer, own in labels.items():
        numbers = {number for root in np.unique(every[own]).tolist() for number in listening.get(root, ())}
        readers[layer] = tuple(dict.fromkeys(layer_of(reads[number][0]) for number in sorted(numbers)))
    return readers
