"""Plug-in files: run once, and again after a change; those of a study until the next study comes.

A file that nobody's study names, as one that `harness check` is given, stays as long as the process.
"""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import MutableMapping
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from harness.plugins.sources import sources_of

K = TypeVar("K")
V = TypeVar("V")

#: Plug-in file -> what it was, with all it imports, when it was loaded; itself; what it imported.
_loaded: dict[Path, tuple[dict[str, str], ModuleType, dict[str, ModuleType]]] = {}
#: File name -> the plug-in file of that name which was loaded last.
_by_name: dict[str, Path] = {}
#: What takes back all that was set for the study that came last.
_of_study = ExitStack()


def end_study() -> None:
    """Take back what was set for the study that came last: names, and the folders that its files lie in."""
    _of_study.close()


def set_for_study(where: MutableMapping[K, V], key: K, value: V) -> None:
    """Set a value until the next study comes; then what was there before is there again."""
    was = [where[key]] if key in where else []

    def take_back() -> None:
        if where.get(key) is not value:  # somebody has set another since, or cleared it
            return
        if was:
            where[key] = was[0]
        else:
            del where[key]

    where[key] = value
    _of_study.callback(take_back)


def known_files() -> dict[str, Path]:
    """File name -> plug-in file, of those loaded by hand and for the study that came last."""
    return dict(_by_name)


def load_file(path: Path, *, for_study: bool = False) -> ModuleType:
    """Run a plug-in file; loaded before, it is run again only if it, or what it imports, has changed since.

    Args:
        for_study: forget its name, and the folder for what lies beside it, when the next study comes.

    Raises:
        ValueError: if the file is not there or does not run.
    """
    if not path.is_file():
        raise ValueError(f"plug-in file {path} is not there")
    path = path.resolve()
    folder = str(path.parent)
    if folder not in sys.path:  # for what lies beside it; at the end, so that it hides nothing
        sys.path.append(folder)
        if for_study:
            _of_study.callback(_forget_folder, folder)
    module = module_of(path)
    if for_study:
        set_for_study(_by_name, path.name, path)
    else:
        _by_name[path.name] = path
    return module


def module_of(path: Path) -> ModuleType:
    """The module of a plug-in file, run if it was not yet, or if it, or what it imports, has changed since.

    Raises:
        ValueError: if it does not run.
    """
    used = sources_of(path)
    before, module, imported = _loaded.get(path, ({}, None, {}))
    if module is None or used != before:
        _drop(before.keys() | _other_code(used))
        module = _run(path)
        _loaded[path] = used, module, {name: sys.modules[name] for name in used if name in sys.modules}
    else:
        sys.modules.update(imported)  # a file of another study may import something else by these names
    return module


def _forget_folder(folder: str) -> None:
    if folder in sys.path:
        sys.path.remove(folder)


def _other_code(used: dict[str, str]) -> set[str]:
    """Names under which other code is loaded than a file would find: what lies beside another plug-in."""
    loaded = {name: sys.modules[name] for name in used if name in sys.modules}
    return {name for name, module in loaded.items() if _digest(module) != used[name]}


def _digest(module: ModuleType) -> str:
    file = Path(getattr(module, "__file__", None) or "")
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def _drop(names: set[str]) -> None:
    for name in names:
        sys.modules.pop(name, None)


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
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"plug-in file {path} does not run: {said}") from error
    return module
