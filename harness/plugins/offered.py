"""What a plug-in file offers in its dictionaries, held against what a dictionary must be."""

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType


def offered(
    module: ModuleType, path: Path, shipped: Mapping[str, Collection[str]], *, named: bool
) -> dict[str, dict[str, type]]:
    """Kind -> name -> class, of what a file defines in `METHODS` and its like.

    Args:
        path: of the file, for messages.
        shipped: kind -> names that ship, which no file may take.
        named: a study names what the file defines as `file.py:attribute`, so it may offer no dictionary.

    Raises:
        ValueError: in one sentence that names the file.
    """
    found = {kind: getattr(module, kind.upper(), {}) for kind in shipped}
    if not named and not any(found.values()):
        *most, last = (kind.upper() for kind in shipped)
        raise ValueError(f"plug-in file {path} defines neither {' nor '.join(most)} nor {last}")
    for kind, parts in found.items():
        if not isinstance(parts, dict):
            raise ValueError(
                f"plug-in file {path}: {kind.upper()} must name dataclasses (name: class), found "
                f"{parts!r:.80}"
            )
        for name, part in parts.items():
            where = f"plug-in file {path}: {kind.upper()}[{name!r}]"
            if not (isinstance(part, type) and dataclasses.is_dataclass(part)):
                raise ValueError(f"{where} must be a dataclass, found {part!r:.80}")
            if name in shipped[kind]:
                raise ValueError(f"{where} ships; another name is needed")
    return found
