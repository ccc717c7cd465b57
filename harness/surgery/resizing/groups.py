"""The widths of a network: layers whose units are coupled, each set with one width."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from harness.surgery.changes.draft import Draft
from harness.surgery.errors import SurgeryError
from harness.surgery.fitting import fewest_first, fit
from harness.surgery.operations.removal import Removal, cut, verified
from harness.surgery.resizing.rules import RESIZING_RULES
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.follow import follow
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.tracing.units import unit_labels

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm)


@dataclass(frozen=True, slots=True)
class WidthGroup:
    """Layers that have one width, because units of one go with units of the others.

    name: path of the first of them, in order of execution. members: layer or normalisation -> its units by
    now; of an attention its heads. classes: sets of units that go together; whole groups of a grouped
    convolution, and one channel of each group under group normalisation. refused: why the width cannot be
    changed, None if it can. follows: paths of numbers in the network's own code that go by it.
    """

    name: str
    members: Mapping[str, int]
    classes: int
    refused: str | None = None
    follows: tuple[str, ...] = ()

    @property
    def units(self) -> int:
        """Of the layer that names the group."""
        return self.members[self.name]

    def step(self, member: str) -> int:
        """Units of a member that go together: its sizes are multiples of it."""
        return self.members[member] // self.classes


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """A network that was followed for resizing. order: group -> its classes, in the order of its first layer;
    the first ones are kept."""

    tracer: Tracer
    groups: tuple[WidthGroup, ...]
    order: Mapping[str, Labels]


@torch.no_grad()
def width_groups(network: nn.Module, example: Example) -> tuple[WidthGroup, ...]:
    """The widths of a network, in order of execution; those that cannot be changed say why.

    Each is tried out: one set of units is taken out and put back. The network is left as it is.

    Args:
        network: any plain module.
        example: a batch of its input, [batch, ...], on its device.

    Raises:
        SurgeryError: if the network cannot be followed.
    """
    traced = traced_for_resizing(network, example)
    free = {group.name: traced.order[group.name][-1:] for group in traced.groups if group.refused is None}
    broken: dict[str, str] = {}
    if _broken(traced.tracer, network, example, list(free.values())):
        for name, last in free.items():
            if reason := _broken(traced.tracer, network, example, [last]):
                broken[name] = reason
        left = fit_widths(traced.tracer, network, example, {int(free[name][0]) for name in broken})
        broken = {name: reason for name, reason in broken.items() if int(free[name][0]) in left}
    return tuple(
        replace(
            group,
            refused=broken.get(group.name, group.refused),
            follows=_following(traced.tracer, traced.order[group.name]),
        )
        for group in traced.groups
    )


def fit_widths(tracer: Tracer, network: nn.Module, example: Example, roots: Iterable[int]) -> list[int]:
    """Find the numbers that must follow when classes of units go; those of the classes that cannot go.

    Only the structure tells: a network that is cut to a width computes something else in any case. So no more
    numbers follow than it takes.
    """
    return fit(tracer, network, roots, _Standing(tracer, network, example), fewest_first)


@dataclass(frozen=True, slots=True)
class _Standing:
    tracer: Tracer
    network: nn.Module
    example: Example

    def fails(self, roots: Labels) -> str | None:
        return _broken(self.tracer, self.network, self.example, [roots])


def _following(tracer: Tracer, classes: Labels) -> tuple[str, ...]:
    """Paths of the numbers that were found to go by the size of these classes."""
    members = tracer.coupling.members(classes)
    own = [fit for fit in tracer.fits if members[tracer.labels(fit.path, fit.axis)].any()]
    return tuple(f"{fit.layer}.{fit.name}" if fit.layer else fit.name for fit in own)


def traced_for_resizing(network: nn.Module, example: Example) -> Traced:
    """Follow a network, and find its groups as far as a look at it shows. Raises SurgeryError."""
    tracer = follow(network, example, RESIZING_RULES)
    for labels in tracer.stretches:  # of what is left, a constructor would make parts of its own
        tracer.coupling.freeze(labels, "cut at fixed bounds")
    layers = {layer: tracer.coupling.roots(unit_labels(tracer, network, layer)) for layer in tracer.producers}
    frozen = tracer.coupling.frozen()
    norms = dict(_norms(tracer, network))
    groups, order = [], {}
    for names in _coupled(layers):
        first = names[0]
        _, where = np.unique(layers[first], return_index=True)
        order[first] = layers[first][np.sort(where)]
        inside = set(order[first].tolist())
        members = {name: len(layers[name]) for name in names}
        members |= {norm: len(roots) for norm, roots in norms.items() if inside >= set(roots.tolist())}
        refused = next(
            (frozen[root] for name in names for root in layers[name].tolist() if root in frozen), None
        )
        refused = refused or _uneven(names, layers) or (_ONE if len(inside) == 1 else None)
        groups.append(WidthGroup(first, members, len(inside), refused))
    return Traced(tracer, tuple(groups), order)


_ONE = "all its units go together"


def _norms(tracer: Tracer, network: nn.Module) -> Iterator[tuple[str, Labels]]:
    """Normalisations with the classes of what they normalise."""
    for path, module in network.named_modules():
        for name in ("weight", "running_mean"):
            if isinstance(module, _NORMS) and (own := f"{path}.{name}") in tracer.tensors:
                yield path, tracer.coupling.roots(tracer.labels(own, 0))
                break


def _coupled(layers: Mapping[str, Labels]) -> list[list[str]]:
    """Sets of layers that share classes, in order of execution."""
    merged: list[tuple[list[str], set[int]]] = []
    for layer, roots in layers.items():
        names, inside = [layer], set(roots.tolist())
        for entry in [entry for entry in merged if not inside.isdisjoint(entry[1])]:
            merged.remove(entry)
            names, inside = entry[0] + names, inside | entry[1]
        merged.append((names, inside))
    order = {layer: number for number, layer in enumerate(layers)}
    found = [sorted(names, key=order.__getitem__) for names, _ in merged]
    return sorted(found, key=lambda names: order[names[0]])


def _uneven(names: list[str], layers: Mapping[str, Labels]) -> str | None:
    """Why coupled layers have no width in common, None if they have."""
    inside = set(layers[names[0]].tolist())
    for name in names:
        _, counts = np.unique(layers[name], return_counts=True)
        if set(layers[name].tolist()) != inside:
            return f"{names[0]} and {name} share only some of their units"
        if counts.min() != counts.max():
            return f"units of {name} go together in sets of different sizes"
    return None


def _broken(tracer: Tracer, network: nn.Module, example: Example, roots: Iterable[Labels]) -> str | None:
    """Why a network does not stand the removal of some classes, None if it does."""
    gone = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *roots]))
    try:
        with _without(tracer, network, gone) as removal:
            fits = verified(tracer, removal, network, example)
    except SurgeryError as error:
        said = " ".join(str(error.__cause__ or error).split())
        return f"its code was written for a fixed size ({said:.160})"
    return None if fits else "reshaped in code that was written for fixed sizes"


@contextmanager
def _without(tracer: Tracer, network: nn.Module, roots: Labels) -> Iterator[Removal]:
    """A network without some classes of units, for the length of the context."""
    draft, removal = Draft(network, None), Removal(roots, [], {})
    try:
        cut(draft, tracer, removal)
        yield removal
    finally:
        draft.rollback()
