"""A look at a network that takes no widths: which it has, and what a cut may get wrong. Loads torch."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.architectures.constructors import WIDTHS, constructor, parameters, width_arguments
from harness.architectures.examining import sentence
from harness.architectures.imagined import imagined
from harness.architectures.named import NamedNetwork
from harness.architectures.widths import Width, chosen, is_pattern
from harness.surgery import SurgeryError
from harness.surgery.resizing.groups import WidthGroup, width_groups
from harness.surgery.resizing.initialisation import recording
from harness.surgery.resizing.resize import resize
from harness.surgery.resizing.stored import stored_widths
from harness.surgery.tracing.computed import layers_that_compute


def found(about: Mapping[str, Any]) -> dict[str, Any] | None:
    """The widths of a network and the warnings of cutting those of some names; None if it takes widths.

    Args:
        about: "network", "arguments", "initialise", "example_shape", "outputs", and "names" of widths.

    Raises:
        ValueError: in one sentence, if the network cannot be built or followed, or has no such widths.
    """
    build, names = constructor(about["network"]), about["names"]
    patterns = [name for name in names if is_pattern(name)]
    if patterns and {*WIDTHS} & {*parameters(build)[0]}:
        raise ValueError(f"{about['network']} takes widths itself; name its layers, found {patterns[0]!r}")
    if not patterns and width_arguments(build, tuple(names), dict.fromkeys(names, 1)) is not None:
        return None
    network = NamedNetwork(about["network"], about["arguments"], (), about["initialise"])

    return imagined(lambda: _look(network, tuple(about["example_shape"]), about["outputs"], names))


def _look(
    network: NamedNetwork, example_shape: tuple[int, ...], outputs: int, names: Sequence[str]
) -> dict[str, Any]:
    try:
        with recording() as record:
            built = network.build_full(example_shape, outputs)
    except Exception as error:
        raise ValueError(sentence(f"{network.network} raised {type(error).__name__}: {error}")) from error
    started = record(built)
    example = torch.zeros(2, *example_shape)
    try:
        groups = width_groups(built, example)
    except SurgeryError as error:
        raise ValueError(sentence(f"{network.network} cannot be resized: {error}")) from error
    widths = [
        Width(
            group.name,
            type(built.get_submodule(group.name)).__name__,
            dict(group.members),
            group.classes,
            group.refused,
        )
        for group in groups
    ]
    sized = chosen(widths, names)
    if sized and not network.initialise and (computing := layers_that_compute(built)):
        raise ValueError(
            f"{network.network} cannot be resized: the weight of {computing[0]!r} is computed from others "
            "(weight norm or another parametrization), so it cannot be started anew at another width; name a "
            "function that starts the network (`initialise`)"
        )
    shapes = {path: tuple(tensor.shape) for path, tensor in built.named_parameters()}
    units = {name: _group(groups, name).units for name in sized}
    followed = {number for group in groups for number in group.follows}
    warnings = list(stored_widths(built, example, units, followed))
    resize(built, example, {name: _half(_group(groups, name)) for name in sized})
    if not network.initialise:
        warnings += started.literals(shapes, built)
        warnings += [
            f"{path} keeps a part of what it starts with at full width, since no call made it that can be "
            "repeated"
            for path in started.kept
            if tuple(built.get_parameter(path).shape) != shapes[path]
        ]
    return {"widths": [dataclasses.asdict(width) for width in widths], "warnings": warnings}


def _group(groups: Sequence[WidthGroup], name: str) -> WidthGroup:
    return next(group for group in groups if group.name == name)


def _half(group: WidthGroup) -> int:
    return group.classes // 2 * group.step(group.name)
