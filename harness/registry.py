"""Names to things: what ships, what installed packages offer, and what a study's own files define.

Three kinds of part can be plugged in: sizing methods, architectures and data-set loaders. A part is a frozen
dataclass; its fields are the options that a study file may set.
"""

import dataclasses
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from harness.nearest import nearest
from harness.sources import sources_of

if TYPE_CHECKING:
    from harness.architectures.base import Architecture
    from harness.sizing.base import SizingMethod

METHODS = {
    "fixed": "harness.sizing.methods.fixed:Fixed",
    "l2": "harness.sizing.methods.l2:L2",
    "shrinknets": "harness.sizing.methods.shrinknets:ShrinkNets",
}
ARCHITECTURES = {
    "mlp": "harness.architectures.mlp:MLP",
    "lenet5": "harness.architectures.lenet5:LeNet5",
}
_SHIPPED = {"methods": METHODS, "architectures": ARCHITECTURES}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a part that does not ship comes from. file: of the plug-in, or of the package's module.

    module: that the file is, in its package; empty for a plug-in file. package, version: of the installed
    distribution; None for a plug-in file.
    """

    file: Path | None
    module: str = ""
    package: str | None = None
    version: str | None = None


#: Plug-in file -> what it was, with all it imports, when it was loaded.
_loaded: dict[Path, tuple[dict[str, str], ModuleType]] = {}
_from_files: dict[str, dict[str, tuple[type, Path]]] = {"methods": {}, "architectures": {}}


class UnknownNameError(ValueError):
    """A name that nothing is registered under; the message gives the nearest one and all allowed."""


def names(kind: str) -> dict[str, str]:
    """Every registered name of a kind ("methods", "architectures") and where it comes from."""
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
    if name in _from_files[kind]:
        return Origin(_from_files[kind][name][1])
    for point in _entry_points(kind):
        if point.name == name:
            try:
                spec = importlib.util.find_spec(point.module)
            except ImportError as error:
                raise ValueError(f"{name} is {point.value} of a package, which has none: {error}") from error
            file = Path(spec.origin) if spec and spec.origin and spec.has_location else None
            dist = point.dist
            return Origin(file, point.module, dist.name if dist else "?", dist.version if dist else "?")
    return None


def load(kind: str, name: str) -> type:
    """The class registered under a name. Raises UnknownNameError."""
    if name in _from_files[kind]:
        return _from_files[kind][name][0]
    for point in _entry_points(kind):
        if point.name == name:
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
    """The architecture of that name with these options. Raises UnknownNameError, ValueError."""
    made: Architecture = _make("architectures", name, options)
    return made


def load_file(path: Path) -> None:
    """Register what a Python file offers in its `METHODS` and `ARCHITECTURES` dictionaries (name -> class).

    Loaded before, it is run again only if it, or what it imports, has changed since. In any case its parts
    take the place of other files' parts of the same names.

    Raises:
        ValueError: if the file is not there, does not run, or offers neither.
    """
    if not path.is_file():
        raise ValueError(f"plug-in file {path} is not there")
    path = path.resolve()
    if str(path.parent) not in sys.path:  # for what lies beside it; at the end, so that it hides nothing
        sys.path.append(str(path.parent))
    used = sources_of(path)
    before, module = _loaded.get(path, ({}, None))
    if module is None or used != before:
        for name in before:
            sys.modules.pop(name, None)  # what it imported may be what has changed
        module = _run(path)
        _loaded[path] = used, module
    for kind, parts in _offered(module, path).items():
        _from_files[kind].update({name: (part, path) for name, part in parts.items()})


def _run(path: Path) -> ModuleType:
    module_name = f"harness_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"plug-in file {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    importlib.invalidate_caches()
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise ValueError(f"plug-in file {path} does not run: {type(error).__name__}: {error}") from error
    return module


def _offered(module: ModuleType, path: Path) -> dict[str, Mapping[str, type]]:
    offered = {kind: getattr(module, kind.upper(), {}) for kind in _from_files}
    if not any(offered.values()):
        raise ValueError(f"plug-in file {path} defines neither METHODS nor ARCHITECTURES")
    for kind, parts in offered.items():
        if not isinstance(parts, dict):
            raise ValueError(
                f"plug-in file {path}: {kind.upper()} must name dataclasses (name: class), found "
                f"{parts!r:.80}"
            )
        for name, part in parts.items():
            if not (isinstance(part, type) and dataclasses.is_dataclass(part)):
                raise ValueError(
                    f"plug-in file {path}: {kind.upper()}[{name!r}] must be a dataclass, found {part!r:.80}"
                )
    return offered


def _make(kind: str, name: str, options: Mapping[str, Any]) -> Any:
    part = load(kind, name)
    assert dataclasses.is_dataclass(part), f"{name} is not a dataclass, so it can have no options"
    fields = {field.name for field in dataclasses.fields(part)}
    for option in options:
        if option not in fields:
            raise ValueError(f"{name} has no option {option!r}{nearest(option, fields)}")
    try:
        return TypeAdapter(part).validate_python(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":  # the part's own check, which says what it found
            raise ValueError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from error
        where = ".".join(str(step) for step in first["loc"])
        message = f"{first['msg'][0].lower()}{first['msg'][1:]}"
        raise ValueError(f"{name}: option {where}: {message}, found {first['input']!r:.80}") from error


def _entry_points(kind: str) -> Any:
    return entry_points(group=f"sizing_harness.{kind}")
