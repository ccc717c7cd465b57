"""Networks that somebody else wrote, by name: torchvision's, timm's, and those of any module or file."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.architectures.apart import ask
from harness.architectures.base import Architecture
from harness.architectures.constructors import (
    Constructor,
    arguments_for,
    check_written,
    constructor,
    width_arguments,
)
from harness.plugins import attributes

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class NamedNetwork(Architecture):
    """A network by its name.

    network: `torchvision:NAME`, `timm:NAME`, `module:attribute`, or `file.py:attribute` of a plug-in file: a
        function or class that gives a module.
    arguments: of its constructor; those for shape and outputs are found by its signature
        (`harness.architectures.constructors`), unless they stand here.
    layers: paths of its sized layers; or path -> argument of the constructor that sets the layer's units. A
        network whose constructor takes no widths is cut to them (`harness.architectures.narrowing`).
    initialise: `module:attribute` or `file.py:attribute` of a function that is given the built network, to
        start it in place; what its constructor does unless said.
    """

    network: str
    arguments: dict[str, Any] = field(default_factory=dict)
    layers: tuple[str, ...] | dict[str, str] = ()
    initialise: str = ""

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return tuple(self.layers)

    def examine(
        self,
        example_shape: tuple[int, ...],
        outputs: int,
        sizes: Sequence[Mapping[str, int]],
        wanted: Sequence[tuple[int, ...]],
    ) -> None:
        """As `Examined` says; torch is loaded in a process of its own."""
        about = dataclasses.asdict(self) | {"example_shape": example_shape, "outputs": outputs}
        about |= {"sizes": [dict(each) for each in sizes], "wanted": [list(shape) for shape in wanted]}
        ask("harness.architectures.named:examined", about)

    def build_full(self, example_shape: tuple[int, ...], outputs: int) -> "nn.Module":
        """The network as its constructor makes it if it is told no widths.

        Raises:
            ValueError: if there is no such network. Whatever its constructor raises goes through.
        """
        return self._construct(constructor(self.network), example_shape, outputs, {})

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> "nn.Module":
        from harness.architectures.narrowing import narrowed, units_of

        build = constructor(self.network)
        widths = width_arguments(build, self.layers, sizes)
        construct = partial(self._construct, build, example_shape, outputs, widths or {})
        cut = widths is None and bool(sizes)
        network = narrowed(construct, example_shape, sizes) if cut else construct()
        for layer, size in sizes.items():
            if (found := units_of(network, layer)) != size:
                raise ValueError(
                    f"{self.network} was given {widths}: its layer {layer!r} has {found or 'no'} units, "
                    f"{size} were asked for"
                )
        if self.initialise:
            attributes.find(self.initialise)(network)
        return network

    def _construct(
        self,
        build: Constructor,
        example_shape: tuple[int, ...],
        outputs: int,
        widths: Mapping[str, Any],
    ) -> "nn.Module":
        from torch import nn

        network = build(**arguments_for(build, example_shape, outputs, self.arguments | dict(widths)))
        if not isinstance(network, nn.Module):
            raise ValueError(f"{self.network} gives a {type(network).__name__}, which is no network")
        return network


def examined(about: Mapping[str, Any]) -> None:
    """`NamedNetwork.examine`, in the process in which it is answered. Raises ValueError.

    Args:
        about: the fields of the network, and what `examine` was asked about.
    """
    constructor(about["network"])  # before torch is loaded, as far as that goes
    from harness.architectures.examining import fits

    layers = about["layers"]
    layers = layers if isinstance(layers, dict) else tuple(layers)
    network = NamedNetwork(about["network"], about["arguments"], layers, about["initialise"])
    wanted = [tuple(shape) for shape in about["wanted"]]
    for sizes in about["sizes"]:
        fits(network, tuple(about["example_shape"]), about["outputs"], sizes, wanted)


def fields_of(network: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `NamedNetwork` by a study's options: what is none of its own is for the constructor.

    Arguments of the constructor that are called as fields are stand under `arguments`.

    Raises:
        ValueError: if an argument is given twice, or has weights downloaded.
    """
    own = {field.name for field in dataclasses.fields(NamedNetwork)} - {"network"}
    fields = {name: value for name, value in options.items() if name in own}
    rest = {name: value for name, value in options.items() if name not in own}
    arguments = fields.pop("arguments", {})
    if not isinstance(arguments, Mapping):
        raise ValueError(f"{network}: option arguments: fields are needed here, found {arguments!r:.80}")
    if twice := sorted(arguments.keys() & rest.keys()):
        raise ValueError(f"{network}: option {twice[0]} is given twice, by itself and under `arguments`")
    check_written(network, {**arguments, **rest})
    return {"network": network, "arguments": {**arguments, **rest}, **fields}
