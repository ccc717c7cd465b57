"""Names to things: what ships, what installed packages offer, and what a study's own files define.

Sizing methods, architectures, objectives and data sets can be plugged in. A part is a frozen dataclass; its
fields are the options that a study file may set. Data sets are found in `harness.datasets.registry`.
"""

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.architectures import constructors
from harness.architectures.named import NamedNetwork, fields_of
from harness.datasets import registry as datasets
from harness.nearest import nearest
from harness.objectives.base import Objective
from harness.plugins import attributes, files
from harness.plugins.attributes import Origin
from harness.plugins.offered import offered
from harness.plugins.options import with_options

if TYPE_CHECKING:
    from harness.architectures.base import Architecture
    from harness.sizing.base import SizingMethod

METHODS = {
    "fixed": "harness.sizing.methods.fixed:Fixed",
    "l2": "harness.sizing.methods.l2:L2",
    "shrinknets": "harness.sizing.methods.shrinknets:ShrinkNets",
    "obd": "harness.sizing.methods.obd:OBD",
    "obs": "harness.sizing.methods.obs:OBS",
    "threshold": "harness.sizing.methods.threshold:Threshold",
    "top-k": "harness.sizing.methods.top_k:TopK",
    "threshold-obd": "harness.sizing.methods.threshold_obd:ThresholdOBD",
    "gradmax": "harness.sizing.methods.gradmax:GradMax",
    "net2net": "harness.sizing.methods.net2net:Net2Net",
    "over-provisioned": "harness.sizing.methods.over_provisioned:OverProvisioned",
    "ripple": "harness.sizing.methods.ripple:Rippling",
    "tiny": "harness.sizing.methods.tiny:Tiny",
    "layer-pruning": "harness.sizing.methods.layer_pruning:LayerPruning",
    "layer-growing": "harness.sizing.methods.layer_growing:LayerGrowing",
    "shrinknets-depth": "harness.sizing.methods.shrinknets_depth:ShrinkNetsDepth",
    "unit-pruning": "harness.sizing.methods.unit_pruning:UnitPruning",
    "partial-restart": "harness.sizing.methods.partial_restart:PartialRestart",
    "gates-only": "harness.sizing.controls.gates_only:GatesOnly",
    "no-removal": "harness.sizing.controls.same_training:NoRemoval",
    "oversized-l2": "harness.sizing.controls.oversized_l2:OversizedL2",
    "random-growth": "harness.sizing.controls.random_growth:RandomGrowth",
    "random-removal": "harness.sizing.controls.random_removal:RandomRemoval",
    "restart-schedule-only": "harness.sizing.controls.same_training:RestartScheduleOnly",
    "scratch-b": "harness.sizing.controls.scratch:ScratchFlops",
    "scratch-e": "harness.sizing.controls.scratch:ScratchEpochs",
    "scratch-elsewhere": "harness.sizing.controls.scratch:ScratchElsewhere",
    "stochastic-depth": "harness.sizing.controls.stochastic_depth:StochasticDepth",
}
ARCHITECTURES = {
    "mlp": "harness.architectures.mlp:MLP",
    "lenet5": "harness.architectures.lenet5:LeNet5",
    "sine-mlp": "harness.architectures.sine_mlp:SineMLP",
    "mininet": "harness.architectures.mininet:MiniNet",
    "alexnet": "harness.architectures.alexnet:AlexNet",
    "vgg16": "harness.architectures.vgg16:VGG16",
    "resnet": "harness.architectures.resnet:ResNet",
}
OBJECTIVES = {
    "classification": "harness.objectives.classification:Classification",
    "binary": "harness.objectives.binary:Binary",
    "regression": "harness.objectives.regression:Regression",
}
_SHIPPED = {"methods": METHODS, "architectures": ARCHITECTURES, "objectives": OBJECTIVES}


_from_files: dict[str, dict[str, tuple[type, Path]]] = {
    "methods": {},
    "architectures": {},
    "objectives": {},
    "datasets": datasets.FROM_FILES,
}


class UnknownNameError(ValueError):
    """A name that nothing is registered under; the message gives the nearest one and all allowed."""


def names(kind: str) -> dict[str, str]:
    """Every registered name of a kind ("methods", "architectures", "objectives") and where it comes from."""
    if kind == "datasets":
        return {name: datasets.where_from(name) for name in datasets.source_names()}
    found = dict.fromkeys(_SHIPPED[kind], "shipped")
    found |= {
        point.name: f"package {point.dist.name if point.dist else '?'}" for point in _entry_points(kind)
    }
    found |= {name: f"file {file}" for name, (_, file) in _from_files[kind].items()}
    return found


def origin(kind: str, name: str) -> Origin | None:
    """Where the part of that name comes from; None if it ships. Of a package's module only its parents load.

    Raises:
        ValueError: if a package offers what it does not hold.
    """
    if kind == "datasets":
        return datasets.origin(name)
    if kind == "architectures" and attributes.is_attribute(name):
        return constructors.origin(name)
    if kind == "objectives" and attributes.is_attribute(name):
        return attributes.origin(name)
    if name in _from_files[kind]:
        return Origin(_from_files[kind][name][1])
    point = _entry_point(kind, name)
    return None if point is None else attributes.origin_of_entry(point)


def load(kind: str, name: str) -> type:
    """The class registered under a name. Raises UnknownNameError."""
    if name in _from_files[kind]:
        return _from_files[kind][name][0]
    if (point := _entry_point(kind, name)) is not None:
        part = point.load()
        assert isinstance(part, type), f"{point.value} is not a class"
        return part
    if name in _SHIPPED[kind]:
        module, _, attribute = _SHIPPED[kind][name].partition(":")
        part = getattr(importlib.import_module(module), attribute)
        assert isinstance(part, type)
        return part
    raise UnknownNameError(f"there is no {kind[:-1]} {name!r}{nearest(name, names(kind))}")


def make_method(name: str, options: Mapping[str, Any]) -> "SizingMethod":
    """The method of that name with these options. Raises UnknownNameError, ValueError for a bad option."""
    made: SizingMethod = _make("methods", name, options)
    return made


def make_architecture(name: str, options: Mapping[str, Any]) -> "Architecture":
    """The architecture of that name with these options; of `module:attribute` and its like a `NamedNetwork`.

    Raises UnknownNameError, ValueError.
    """
    made: Architecture
    if attributes.is_attribute(name):
        made = with_options(NamedNetwork, name, fields_of(name, options))
    else:
        made = _make("architectures", name, options)
    return made


def options_of(architecture: str) -> tuple[str, ...] | None:
    """Options that a study may set of an architecture; None for `module:attribute` and its like, whose
    constructors alone know. Raises UnknownNameError."""
    if attributes.is_attribute(architecture):
        return None
    return _fields(load("architectures", architecture))


def method_options(name: str) -> tuple[str, ...]:
    """Options that a study may set of a method. Raises UnknownNameError."""
    return _fields(load("methods", name))


def _fields(part: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(part)) if dataclasses.is_dataclass(part) else ()


def make_objective(name: str, options: Mapping[str, Any]) -> "Objective":
    """The objective of that name, or of `module:attribute`, with these options.

    Raises UnknownNameError, ValueError for a bad option.
    """
    made: Objective
    if attributes.is_attribute(name):
        part = attributes.find(name)
        if not (isinstance(part, type) and dataclasses.is_dataclass(part) and Objective in part.__mro__):
            raise ValueError(f"{name} must be a dataclass that subclasses Objective, found {part!r:.80}")
        made = with_options(part, name, options)
    else:
        made = _make("objectives", name, options)
    return made


@contextmanager
def offering(kind: str, name: str, part: type) -> Iterator[None]:
    """Let a part be named meanwhile, as though a plug-in file offered it."""
    before = dict(_from_files[kind])
    _from_files[kind][name] = (part, Path(inspect.getfile(part)))
    try:
        yield
    finally:
        _from_files[kind].clear()
        _from_files[kind].update(before)


def load_file(path: Path, *, named: bool = False) -> None:
    """Register what a Python file offers in its dictionaries (name -> class), as long as the process lasts.

    They are called `METHODS`, `ARCHITECTURES`, `OBJECTIVES` and `DATASETS`.

    Loaded before, it is run again only if it, or what it imports, has changed since. In any case its parts
    take the place of other files' parts of the same names.

    Args:
        named: a study names what the file defines as `file.py:attribute`, so it may offer no dictionary.

    Raises:
        ValueError: if the file is not there, does not run, offers nothing, or takes a name that ships.
    """
    parts = offered(files.load_file(path), path.resolve(), _shipped(), named=named)
    for kind, own in parts.items():
        _from_files[kind].update({name: (part, path.resolve()) for name, part in own.items()})


def load_study_files(paths: Iterable[Path], named: Callable[[Path], bool] = lambda path: True) -> None:
    """Register what the files of one study offer, until the next study's are; another study's are forgotten.

    Args:
        paths: all files of the study.
        named: whether the study names what a file defines as `file.py:attribute`.

    Raises:
        ValueError: as `load_file`, or if two of the files offer the same name.
    """
    files.end_study()
    taken: dict[tuple[str, str], Path] = {}
    for path in paths:
        module = files.load_file(path, for_study=True)
        for kind, own in offered(module, path.resolve(), _shipped(), named=named(path)).items():
            for name, part in own.items():
                other = taken.setdefault((kind, name), path.resolve())
                if other != path.resolve():
                    raise ValueError(
                        f"plug-in files {other} and {path} both offer {kind.upper()}[{name!r}]; one of "
                        f"them needs another name"
                    )
                files.set_for_study(_from_files[kind], name, (part, path.resolve()))


def _shipped() -> dict[str, Collection[str]]:
    return {**_SHIPPED, "datasets": {*datasets.KNOWN_SETS, *datasets.FORMATS}}


def _make(kind: str, name: str, options: Mapping[str, Any]) -> Any:
    return with_options(load(kind, name), name, options)


def _entry_point(kind: str, name: str) -> EntryPoint | None:
    """What a package offers under a name. Raises ValueError where the name ships."""
    point = next((point for point in _entry_points(kind) if point.name == name), None)
    if point is not None and name in _SHIPPED[kind]:
        raise ValueError(
            f"the package {point.dist.name if point.dist else '?'} offers {point.value} as {kind[:-1]} "
            f"{name!r}, which ships with the harness; it needs another name"
        )
    return point


def _entry_points(kind: str) -> EntryPoints:
    return _entry_points_on(kind, tuple(sys.path))


@lru_cache(maxsize=32)
def _entry_points_on(kind: str, path: tuple[str, ...]) -> EntryPoints:
    """Of the distributions on a path; looked for once, because it takes longer than all else a name needs."""
    return entry_points(group=f"sizing_harness.{kind}")
