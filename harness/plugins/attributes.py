"""What a study names as `module:attribute` or `file.py:attribute`: found, with whose code it is.

A module is one that Python can import. A file is one of the study's plug-in files, called by its name without
folders, so that a study means the same wherever it lies.
"""

import importlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint, packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.nearest import close_match
from harness.plugins import files
from harness.plugins.sources import is_installed, sources_of


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a part that does not ship comes from. file: of the plug-in, or of the package's module.

    module: that the file is, in its package; empty for a plug-in file. package, version: of the installed
    distribution; None for a plug-in file, and for a module that no distribution holds.
    """

    file: Path | None
    module: str = ""
    package: str | None = None
    version: str | None = None


def is_attribute(name: str) -> bool:
    """Whether a name is one of an attribute, and not one that something is registered under."""
    return ":" in name


def file_of(name: str) -> str | None:
    """The file, as written, of `file.py:attribute`; None for the attribute of a module."""
    place = name.rpartition(":")[0]
    return place if place.endswith(".py") else None


def find(name: str) -> Any:
    """The attribute that a study names.

    Raises:
        ValueError: in one sentence, if there is no such module, file or attribute, or importing raises.
    """
    place, _, attribute = name.rpartition(":")
    found: Any = _file(place) if place.endswith(".py") else _module(place, name)
    for step in attribute.split("."):
        if not step or not hasattr(found, step):
            close = close_match(step, [known for known in dir(found) if not known.startswith("_")])
            hint = f"; did you mean {close!r}?" if close else ""
            raise ValueError(f"{name}: {place} has no attribute {attribute!r}{hint}")
        found = getattr(found, step)
    return found


def origin(name: str) -> Origin:
    """Whose code an attribute is. Nothing of it is run, not even the packages that its module lies in.

    Raises:
        ValueError: if there is no such file or module.
    """
    place = name.rpartition(":")[0]
    if place.endswith(".py"):
        return Origin(_path(place))
    spec = _spec(place)
    if spec is None:
        raise ValueError(f"{name}: there is no module {place!r}")
    file = Path(spec.origin) if spec.origin and spec.has_location else None
    package = _distribution(place.partition(".")[0])
    return Origin(file, place, package, version(package) if package else None)


@cache
def _distribution(top: str) -> str | None:
    """The installed distribution that a module belongs to; what is installed is looked through once."""
    return next(iter(packages_distributions().get(top, [])), None)


def origin_of_entry(point: EntryPoint) -> Origin:
    """Where what an installed package offers comes from. Of its module only the parents load.

    Raises:
        ValueError: if the package does not hold it.
    """
    try:
        spec = importlib.util.find_spec(point.module)
    except ImportError as error:
        raise ValueError(f"{point.name} is {point.value} of a package, which has none: {error}") from error
    file = Path(spec.origin) if spec and spec.origin and spec.has_location else None
    dist = point.dist
    return Origin(file, point.module, dist.name if dist else "?", dist.version if dist else "?")


def code_of(origin: Origin) -> dict[str, str]:
    """What of strangers' code a part uses: package -> version, module or file name -> SHA-256."""
    used: dict[str, str] = {}
    if origin.package is not None and origin.version is not None:
        used[origin.package] = origin.version
    if origin.file is not None and not is_installed(origin.file):
        used |= sources_of(origin.file, origin.module.rpartition(".")[0])
    return used


def _spec(module: str) -> ModuleSpec | None:
    top, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # no name at all, or a module that somebody put together and that has no spec
        return None
    for part in inner:
        where = spec.submodule_search_locations if spec else None
        spec = PathFinder.find_spec(part, list(where)) if where is not None else None
    return spec


def _path(file: str) -> Path:
    path = files.known_files().get(Path(file).name)
    if path is None:
        raise ValueError(f"{file} is not among the study's files; name it under `plugins`")
    return path


def _file(file: str) -> ModuleType:
    return files.module_of(_path(file))


def _module(module: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise ValueError(f"{name}: there is no module {error.name!r}") from error
        raise ValueError(f"{name}: {module} imports {error.name!r}, which is not there") from error
    except Exception as error:
        raise ValueError(f"{name}: importing {module} raised {type(error).__name__}: {error}") from error
