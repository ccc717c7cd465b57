"""Which data sources there are: those of the house, of plug-in files, of packages, of any module."""

import dataclasses
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from harness.datasets.base import DataError, DatasetSpec
from harness.datasets.sources.base import Source
from harness.datasets.sources.cifar import CIFAR10, CIFAR100
from harness.datasets.sources.digits import Digits
from harness.datasets.sources.images import Images
from harness.datasets.sources.mnist import MnistLayout
from harness.datasets.sources.npz import Npz
from harness.datasets.sources.parquet import Parquet
from harness.datasets.sources.python_object import PythonObject
from harness.datasets.sources.sine import Sine
from harness.datasets.sources.slice import Slice
from harness.datasets.sources.strangers import Stranger
from harness.datasets.sources.table import Table
from harness.nearest import nearest
from harness.plugins import attributes
from harness.plugins.attributes import Origin
from harness.plugins.options import with_options

#: Entry points of this group name an object that follows the protocol `Source`, or a class of such objects:
#: a dataclass, whose fields are the options that a study may set, or one that is called without arguments.
GROUP = "sizing_harness.datasets"

#: Read from the data folder under a name of their own; fetched if absent and a network is there.
KNOWN_SETS: dict[str, Source] = {
    "digits": Digits(),
    "mnist": MnistLayout("MNIST"),
    "fashion-mnist": MnistLayout("FashionMNIST"),
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "sine": Sine(),
}

#: Formats of files that the user gives; fields are what a study may say of them.
FORMATS: dict[str, type[Source]] = {"images": Images, "npz": Npz, "parquet": Parquet, "table": Table}

#: Those that plug-in files define in DATASETS: name -> dataclass and file. `harness.registry` keeps it.
FROM_FILES: dict[str, tuple[type, Path]] = {}


def source_names() -> tuple[str, ...]:
    """Names of all sources, those of files and of other packages last."""
    own = (*KNOWN_SETS, *FORMATS)
    others = {*FROM_FILES, *(entry.name for entry in entry_points(group=GROUP))}
    return (*own, *sorted(others - set(own)))


def where_from(name: str) -> str:
    """Where a source comes from, for readers; nothing is loaded."""
    if name in KNOWN_SETS or name in FORMATS:
        return "shipped"
    if name in FROM_FILES:
        return f"file {FROM_FILES[name][1]}"
    entry = _entry(name)
    return f"package {entry.dist.name if entry and entry.dist else '?'}"


def described(name: str) -> tuple[type, tuple[str, ...]]:
    """A source's class, and the options that a study may set.

    Raises:
        DataError: if another package's cannot be imported.
    """
    if name in KNOWN_SETS:
        return type(KNOWN_SETS[name]), ()
    found: Any
    if name in FORMATS:
        found = FORMATS[name]
    elif name in FROM_FILES:
        found = FROM_FILES[name][0]
    else:
        entry = _entry(name)
        assert entry is not None, f"{name} is among the names"
        found = _loaded(entry, f"data set {name!r}")
    if not isinstance(found, type):
        return type(found), ()
    fields = dataclasses.fields(found) if dataclasses.is_dataclass(found) else ()
    return found, tuple(field.name for field in fields)


def origin(name: str) -> Origin | None:
    """Whose code a source is; None if it ships, or is unknown.

    Raises:
        ValueError: if there is no such file or module, or a package offers what it does not hold.
    """
    if attributes.is_attribute(name):
        return attributes.origin(name)
    if name in KNOWN_SETS or name in FORMATS:
        return None
    if name in FROM_FILES:
        return Origin(FROM_FILES[name][1])
    entry = _entry(name)
    return None if entry is None else attributes.origin_of_entry(entry)


def find_source(spec: DatasetSpec) -> Source:
    """The source that a data set names. The house's own names cannot be taken by others.

    Raises:
        DataError: if there is none of that name, it cannot be imported, it has a path too many or too few, or
            the study says of it what it does not take.
    """
    where = f"data set {spec.name!r}"
    if (count := spec.settings.get("train_examples")) is not None:
        settings = {name: value for name, value in spec.settings.items() if name != "train_examples"}
        return Slice(find_source(replace(spec, settings=settings)), count)
    try:
        if spec.source in KNOWN_SETS:
            return _known(spec)
        if spec.source in FORMATS:
            if spec.path is None:
                raise DataError(
                    f"{where}, field 'path': nothing found, but the source {spec.source!r} needs a path, "
                    f"relative to the study file or to the data folder, or absolute"
                )
            source: Source = _made(FORMATS[spec.source], spec.source, dict(spec.settings))
            return source
        if attributes.is_attribute(spec.source):
            examples = with_options(PythonObject, spec.source, {"attribute": spec.source, **spec.settings})
            return Stranger(examples, attributes.origin(spec.source))
        return _plugged_in(spec)
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error


def _known(spec: DatasetSpec) -> Source:
    for field, value in {"path": spec.path, **spec.settings}.items():
        if value is not None:
            raise DataError(
                f"data set {spec.name!r}, field {field!r}: {value!r} found, but {spec.source!r} is a known "
                f"data set and takes none: it is looked for in the data folder"
            )
    return KNOWN_SETS[spec.source]


def _plugged_in(spec: DatasetSpec) -> Source:
    # What a study says of every source, and the options of this one, are all fields of it.
    settings = dict(spec.settings)
    settings |= settings.pop("options", {})
    if spec.source in FROM_FILES:
        part, file = FROM_FILES[spec.source]
        return Stranger(_made(part, spec.source, settings), Origin(file))
    entry = _entry(spec.source)
    if entry is None:
        raise DataError(
            f"data set {spec.name!r}, field 'source': {spec.source!r} found"
            f"{nearest(spec.source, source_names())}"
        )
    found = _loaded(entry, f"data set {spec.name!r}, field 'source': {spec.source!r}")
    if isinstance(found, type):
        found = _made(found, spec.source, settings)
    elif settings:
        raise DataError(f"data set {spec.name!r}: {spec.source} has no option {next(iter(settings))!r}")
    return Stranger(found, attributes.origin_of_entry(entry))


def _made(part: type[Any], name: str, settings: dict[str, Any]) -> Any:
    if dataclasses.is_dataclass(part):
        return with_options(part, name, settings)
    if settings:
        raise ValueError(f"{name} has no option {next(iter(settings))!r}")
    return part()


def _entry(name: str) -> EntryPoint | None:
    return next(iter(entry_points(group=GROUP, name=name)), None)


def _loaded(entry: EntryPoint, where: str) -> Any:
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise DataError(
            f"{where} is {entry.value} of another package, which cannot be imported ({error})"
        ) from error
