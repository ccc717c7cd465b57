"""What of strangers' code a part uses: its file, what that imports, and installed packages by their version.

Read from the text of the files and never by running them: an import inside a function counts, whether or not
it is reached. What code reads as data, or imports by a name that it puts together, is not seen.
"""

import ast
import hashlib
import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import cast

#: Top-level names whose versions stand in the provenance of every record instead.
_OURS = {"harness", "reports", "studies"}
_INSTALLED = {"site-packages", "dist-packages"}


def sources_of(file: Path, package: str = "") -> dict[str, str]:
    """Module name (of the file itself: its file name) -> SHA-256.

    Of a Python file and all modules that it imports, and those import, that come neither with Python nor from
    an installed package: modules beside the file, and on PYTHONPATH.

    Args:
        package: that the file is a module of, for its relative imports; none for a plug-in file.

    Raises:
        OSError: if the file cannot be read.
    """
    invalidate_caches()  # of folders that Python has looked into before
    found = {file.name: _sha256(file)}
    seen, waiting = {file.resolve()}, [(file, package)]
    while waiting:
        path, within = waiting.pop()
        for name in _imported(path, within):
            for module, spec in _resolved(name, file.parent):
                origin = Path(spec.origin) if spec.origin and spec.has_location else None
                if origin is None or origin.resolve() in seen:
                    continue
                seen.add(origin.resolve())
                found[module] = _sha256(origin)
                is_package = spec.submodule_search_locations is not None
                waiting.append((origin, module if is_package else module.rpartition(".")[0]))
    return dict(sorted(found.items()))


def is_installed(file: Path) -> bool:
    """Whether a file belongs to an installed package, which its version stands for."""
    return bool(_INSTALLED & set(file.parts))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _imported(path: Path, package: str) -> Iterator[str]:
    """Dotted names that a file imports; of `from a import b` both a and a.b, which may be a module."""
    if path.suffix != ".py":
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # it is never run then, and its bytes are in the digest
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            base = parts[: len(parts) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            if source:
                yield source
                yield from (f"{source}.{alias.name}" for alias in node.names)
            else:  # a relative import of a file that is in no package: its neighbours
                yield from (alias.name for alias in node.names)


def _resolved(name: str, folder: Path) -> Iterator[tuple[str, ModuleSpec]]:
    """The module of that name and the packages it lies in, if they are a stranger's own files."""
    parts = name.split(".")
    if parts[0] in sys.stdlib_module_names or parts[0] in _OURS:
        return
    where: list[str] | None = None
    for depth, part in enumerate(parts, 1):
        spec = _found(part, where, folder)
        if spec is None or is_installed(Path(spec.origin or "")):
            return
        yield ".".join(parts[:depth]), spec
        if spec.submodule_search_locations is None:
            return
        where = list(spec.submodule_search_locations)


def _found(name: str, where: list[str] | None, folder: Path) -> ModuleSpec | None:
    """As an import would find it: by every finder there is, editable installations' too; the folder last."""
    if where is not None:
        # By its last part alone: asked for a dotted name, Python looks for its package among loaded ones.
        return PathFinder.find_spec(name, where)
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is not None and (spec := find(name, None)) is not None:
            return cast(ModuleSpec, spec)
    return PathFinder.find_spec(name, [str(folder)])
