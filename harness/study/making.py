"""From the entries of a study to the parts they name: data, architectures, methods, objectives, cells."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from harness import registry
from harness.architectures.base import Architecture
from harness.architectures.named import NamedNetwork
from harness.architectures.widths import ResizedNetwork
from harness.datasets import augmentation as operations
from harness.datasets.base import DatasetFacts, DatasetSpec
from harness.nearest import nearest
from harness.objectives.base import Objective
from harness.search.space import Int
from harness.sizing.base import Cell, SizingMethod
from harness.study.ranges import MultiplierRange, SizeRange
from harness.study.resized import resized_cell, with_widths_found
from harness.study.schema import ArchitectureEntry, Dataset, Method, Study
from harness.study.training import Augmentation


def dataset_spec(entry: Dataset) -> DatasetSpec:
    """The loaders' view of a study's data set."""
    return DatasetSpec(
        entry.name, entry.source or entry.name, entry.path, entry.settings(), entry.study_folder
    )


def make_architecture(
    entry: ArchitectureEntry, example_shape: tuple[int, ...] | None = None, outputs: int = 0
) -> Architecture:
    """The architecture an entry names, with its sized layers if it is told what it is for.

    One by its name that has no layers of its own has those of the entry's widths, or all that can be resized
    (`harness.study.resized`).

    Raises ValueError.
    """
    architecture = registry.make_architecture(entry.family or entry.name, entry.options)
    if not isinstance(architecture, NamedNetwork):
        if isinstance(entry.widths, MultiplierRange):
            raise ValueError(
                "widths: a multiplier needs a network that is only named, whose code holds its full widths; "
                f"{entry.family or entry.name} is given sizes"
            )
        return architecture
    if example_shape is not None:
        found = with_widths_found(architecture, entry, example_shape, outputs)
        if found is not None:
            return found
        if not isinstance(architecture.layers, Mapping) and isinstance(entry.widths, MultiplierRange):
            raise ValueError(
                "widths: this network takes sizes itself; a multiplier is for one that takes none"
            )
    if architecture.layers or not isinstance(entry.widths, dict):
        return architecture
    return dataclasses.replace(architecture, layers=tuple(entry.widths))


def make_method(entry: Method) -> SizingMethod:
    """The method an entry names. Raises ValueError."""
    return registry.make_method(entry.method or entry.name, entry.options)


def make_objective(study: Study) -> Objective:
    """What the study's networks learn. Raises ValueError."""
    return registry.make_objective(study.training.task.name, study.training.task.options)


def make_augmentation(written: Augmentation) -> operations.Augmentation | None:
    """What a study asks to be done to training examples; None if it asks for nothing."""
    wanted: list[operations.Operation] = []
    if written.random_crop is not None:
        wanted.append(operations.Crop(written.random_crop.padding))
    if written.flip:
        wanted.append(operations.Flip())
    if written.cutout is not None:
        wanted.append(operations.Cutout(written.cutout.size))
    if written.mixup is not None:
        wanted.append(operations.Mixup(written.mixup.alpha))
    return operations.Augmentation(tuple(wanted)) if wanted else None


def make_cell(entry: ArchitectureEntry, facts: DatasetFacts, outputs: int) -> Cell:
    """The cell of an architecture and a data set. Raises ValueError if a layer has no range, or a wrong one.

    Ranges of layers that the architecture lacks are let be: it may be one of several (`check_ranges`).

    Args:
        outputs: of the network, as the objective wants them.
    """
    architecture = make_architecture(entry, facts.example_shape, outputs)
    if isinstance(architecture, ResizedNetwork):
        return resized_cell(architecture, entry, facts.example_shape, outputs)
    layers, blocks = architecture.sized_layers, getattr(architecture, "sized_blocks", ())
    widths: dict[str, SizeRange] = {block: SizeRange(low=1, high=1) for block in blocks}
    if isinstance(entry.widths, dict):
        widths |= entry.widths
    elif isinstance(entry.widths, SizeRange):
        widths |= {layer: entry.widths for layer in layers if layer not in blocks}
    start: dict[str, int] = {}
    if isinstance(entry.start, int):
        start = {layer: entry.start for layer in layers if layer not in blocks}
    elif entry.start is not None:
        start = entry.start
    for layer in layers:
        if layer not in widths:
            raise ValueError(f"widths: the layer {layer!r} has no range")
        if wrong := wrong_sizes(architecture, layer, widths[layer].low, widths[layer].high):
            raise ValueError(f"widths: {layer}: {wrong}")
    bounds = {layer: Int(widths[layer].low, widths[layer].high, widths[layer].log) for layer in layers}
    starts = {layer: start.get(layer, bounds[layer].high) for layer in layers}
    return Cell(architecture, facts.example_shape, outputs, bounds, starts)


def check_ranges(entry: ArchitectureEntry, layers: Collection[str]) -> None:
    """Raise ValueError if an entry has a range or a start of none of the sized layers there are."""
    for field, given in (("widths", entry.widths), ("start", entry.start)):
        for layer in given if isinstance(given, dict) else ():
            if layer not in layers:
                raise ValueError(f"{field}: there is no layer {layer!r}{nearest(layer, layers)}")


def wrong_sizes(architecture: Architecture, layer: str, low: int, high: int) -> str:
    """What is wrong with sizes of a layer, "" if nothing: a block is there or not, all others have units."""
    if layer in getattr(architecture, "sized_blocks", ()):
        ends = [end for end in (low, high) if end not in (0, 1)]
        return f"a block is there (1) or left out (0), found {ends[0]}" if ends else ""
    for width in architecture.widths if isinstance(architecture, ResizedNetwork) else ():
        if width.layer == layer and high > width.units:
            return f"{layer} has {width.units} units as it is built, and is only ever cut, found {high}"
    return f"a layer needs at least 1 unit, found {low}" if low < 1 else ""


def entry_named(entries: Any, name: str) -> Any:
    """The entry of a study's list that carries this name."""
    return next(entry for entry in entries if entry.name == name)
