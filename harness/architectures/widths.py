"""The widths of a network whose constructor takes none: found by a look at it, chosen by name or pattern."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from harness.architectures import constructors
from harness.architectures.apart import ask
from harness.architectures.named import NamedNetwork
from harness.nearest import nearest

#: All widths that can be changed.
ALL = "*"


@dataclass(frozen=True)
class Width:
    """One width of a network: the units of layers that are coupled (`harness.surgery.resizing.groups`).

    layer: path of the first of them, which names the width. kind: class of that layer. members: layer or
    normalisation -> its units as built. classes: sets of units that go together. refused: why the width
    cannot be changed, None if it can.
    """

    layer: str
    kind: str
    members: Mapping[str, int]
    classes: int
    refused: str | None = None

    @property
    def units(self) -> int:
        """Of the layer that names it, as built."""
        return self.members[self.layer]

    @property
    def step(self) -> int:
        """Units that go together: sizes are multiples of it."""
        return self.units // self.classes


@dataclass(frozen=True)
class ResizedNetwork(NamedNetwork):
    """A network by its name that takes no widths, and is cut to them.

    widths: those that are sized, in order. written: sized layer -> the name or pattern that chose it.
    warnings: what a look at the network has shown that a cut may get wrong.
    """

    widths: tuple[Width, ...] = ()
    written: Mapping[str, str] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def is_pattern(name: str) -> bool:
    """Whether a name stands for several layers."""
    return any(mark in name for mark in "*?[")


def resized(
    network: NamedNetwork, example_shape: tuple[int, ...], outputs: int, names: Sequence[str]
) -> ResizedNetwork | None:
    """The network with the widths of these names; None if its constructor takes the sizes of such layers.

    Torch is loaded in a process of its own, once for each network.

    Args:
        names: layers, any of those that are coupled, or patterns; layers go before patterns, and patterns
            take what those before them left.

    Raises:
        ValueError: in one sentence, if there is no such layer, its width cannot be changed, or the network
            cannot be followed.
    """
    about: dict[str, Any] = {"network": network.network, "arguments": network.arguments, "names": list(names)}
    about |= {"initialise": network.initialise, "example_shape": list(example_shape), "outputs": outputs}
    found = _found(json.dumps(about), _state(network.network, network.initialise))
    if found is None:
        return None
    every = tuple(Width(**each) for each in found["widths"])
    written = chosen(every, names)
    return ResizedNetwork(
        network.network,
        network.arguments,
        tuple(written),
        network.initialise,
        tuple(width for width in every if width.layer in written),
        written,
        tuple(found["warnings"]),
    )


@lru_cache(maxsize=256)
def _found(about: str, state: tuple[Any, ...]) -> dict[str, Any] | None:
    answer: dict[str, Any] | None = ask("harness.architectures.looking:found", json.loads(about))
    return answer


def _state(*names: str) -> tuple[Any, ...]:
    """What changes when the files change that strangers' code lies in."""
    files = [constructors.origin(name).file for name in names if name]
    return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files if file)


def chosen(widths: Iterable[Width], names: Sequence[str]) -> dict[str, str]:
    """Sized layer -> the name or pattern that chose it, in the order of the network.

    Raises:
        ValueError: as `resized` says.
    """
    every = tuple(widths)
    taken: dict[str, str] = {}
    for name in [name for name in names if not is_pattern(name)]:
        width = _named(every, name)
        if width.layer in taken:
            raise ValueError(f"{taken[width.layer]} and {name} have one width")
        taken[width.layer] = name
    for name in filter(is_pattern, names):
        met = [width for width in every if any(fnmatchcase(member, name) for member in width.members)]
        if not met:
            raise ValueError(f"{name!r} fits no layer{nearest(name, [width.layer for width in every])}")
        free = [width for width in met if width.refused is None]
        if not free:
            raise ValueError(f"{name!r} fits no width that can be changed: {_refusal(met[0])}")
        taken |= {width.layer: name for width in free if width.layer not in taken}
    return {width.layer: taken[width.layer] for width in every if width.layer in taken}


def _named(widths: Sequence[Width], name: str) -> Width:
    for width in widths:
        if name in width.members:
            if width.refused is not None:
                raise ValueError(f"the width of {_refusal(width)}")
            if width.members[name] != width.units:
                raise ValueError(
                    f"{name} has the width of {width.layer}, but other units; name it {width.layer}"
                )
            return width
    raise ValueError(f"there is no layer {name!r}{nearest(name, [width.layer for width in widths])}")


def _refusal(width: Width) -> str:
    return f"{width.layer} cannot be changed: {width.refused}"
