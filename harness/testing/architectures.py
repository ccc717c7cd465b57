"""Holds an architecture against the contract in `harness.architectures.base`."""

from collections.abc import Mapping
from typing import Any

import torch

from harness import registry, surgery
from harness.architectures.base import Architecture
from harness.testing.findings import Finding, found

#: Shapes of examples to try, in this order: digits, MNIST, CIFAR, a square of ImageNet's size.
_SHAPES = ((1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 224, 224))
_OUTPUTS = 10


def check_architecture(name: str, options: Mapping[str, Any] | None = None) -> list[Finding]:
    """Every rule an architecture must keep, and whether the registered one of that name does.

    Raises:
        UnknownNameError, ValueError: if there is no such architecture, or it does not take the options.
    """
    architecture = registry.make_architecture(name, dict(options or {}))
    shape = _first_suited(architecture)
    if shape is None:
        return [Finding("check: some usual shape of examples suits", f"none of {_SHAPES} does")]
    return [
        found("sized_layers: no name twice", lambda: _layers(architecture)),
        found("build: [batch, *example] to [batch, outputs]", lambda: _output(architecture, shape)),
        found("build: each sized layer has the size asked for", lambda: _sizes(architecture, shape)),
        found("build: the same seed gives the same network", lambda: _seeded(architecture, shape)),
        found("surgery: a unit can be taken out of every sized layer", lambda: _cut(architecture, shape)),
    ]


def _first_suited(architecture: Architecture) -> tuple[int, ...] | None:
    for shape in _SHAPES:
        try:
            architecture.check(shape)
        except ValueError:
            continue
        return shape
    return None


def _build(architecture: Architecture, shape: tuple[int, ...], size: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return architecture.build(shape, _OUTPUTS, dict.fromkeys(architecture.sized_layers, size))


def _layers(architecture: Architecture) -> str:
    layers = architecture.sized_layers
    return "" if len(set(layers)) == len(layers) else f"found {layers}"


def _output(architecture: Architecture, shape: tuple[int, ...]) -> str:
    for size in (1, 6):
        with torch.no_grad():
            output = _build(architecture, shape, size).eval()(torch.rand(2, *shape))
        if output.shape != (2, _OUTPUTS):
            return f"two examples of {shape} with {size} units a layer give {tuple(output.shape)}"
    return ""


def _sizes(architecture: Architecture, shape: tuple[int, ...]) -> str:
    asked = {layer: 3 + i for i, layer in enumerate(architecture.sized_layers)}
    network = architecture.build(shape, _OUTPUTS, asked)
    built = {layer: len(network.get_submodule(layer).weight) for layer in asked}  # type: ignore[arg-type]
    return "" if built == asked else f"asked for {asked}, built {built}"


def _seeded(architecture: Architecture, shape: tuple[int, ...]) -> str:
    first, second = (_build(architecture, shape, 4).state_dict() for _ in range(2))
    different = [name for name in first if not torch.equal(first[name], second[name])]
    return f"differ: {different}" if different else ""


def _cut(architecture: Architecture, shape: tuple[int, ...]) -> str:
    for layer in architecture.sized_layers:
        network = _build(architecture, shape, 4)
        surgery.apply(network, None, [surgery.Remove(layer, (1,))], torch.rand(1, *shape))
        left = len(network.get_submodule(layer).weight)  # type: ignore[arg-type]
        if left != 3:
            return f"{layer} has {left} units after one of 4 was taken out"
        with torch.no_grad():
            network.eval()(torch.rand(2, *shape))
    return ""
