"""What a network gives: the tensors in it, whatever holds them."""

import enum
import functools
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.surgery.errors import SurgeryError

#: Values that hold no tensor.
_PLAIN = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    range,
    slice,
    enum.Enum,
    type,
    types.ModuleType,
    types.BuiltinFunctionType,
    np.generic,
    torch.dtype,
    torch.device,
    torch.Size,
    torch.Generator,
)
#: Objects looked into before an output counts as without end.
_MOST = 100_000


def tensors_in(made: object) -> list[Tensor]:
    """All tensors in what a network gives, each once: in containers, in attributes of objects, in what
    functions have closed over. What yields its items one by one is used up.

    Raises:
        SurgeryError: where there is none, or something that cannot be looked into.
    """
    found: dict[int, Tensor] = {}
    seen: dict[int, object] = {}
    waiting: list[object] = [made]
    while waiting:
        own = waiting.pop()
        if isinstance(own, Tensor):
            found.setdefault(id(own), own)
            continue
        if own is None or isinstance(own, _PLAIN) or id(own) in seen:
            continue
        # Kept, so that its id is not given to another object.
        seen[id(own)] = own
        if len(seen) > _MOST:
            raise SurgeryError(
                f"The network gives a {type(made).__name__} that holds more than {_MOST} objects; "
                "surgery cannot look for tensors in all of them."
            )
        waiting.extend(reversed(list(_inside(own))))
    if not found:
        raise SurgeryError(
            f"The network gives a {type(made).__name__} without any tensor, so nobody could see what belongs "
            "to its output."
        )
    return list(found.values())


def _inside(own: object) -> Iterator[Any]:
    """What an object holds. Raises SurgeryError where nobody can tell."""
    if _is_cache(own):
        return
    known = False
    if isinstance(own, Mapping):
        yield from own.values()
        known = True
    elif isinstance(own, Iterable) and not isinstance(own, np.ndarray):
        yield from own
        known = True
    if isinstance(own, types.FunctionType):
        yield from (cell.cell_contents for cell in own.__closure__ or () if _is_set(cell))
        yield from own.__defaults__ or ()
        yield from (own.__kwdefaults__ or {}).values()
        known = True
    if isinstance(own, types.MethodType):
        yield from (own.__self__, own.__func__)
        known = True
    if isinstance(own, functools.partial):
        yield from (own.func, own.args, own.keywords)
        known = True
    if hasattr(own, "__dict__"):
        attributes = vars(own)
        registries = ("_parameters", "_buffers", "_modules") if isinstance(own, nn.Module) else ()
        yield from (value for name, value in attributes.items() if name not in registries)
        known = True
    for kind in type(own).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            known = True
            hidden = f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") else name
            if hidden not in ("__dict__", "__weakref__") and hasattr(own, hidden):
                yield getattr(own, hidden)
    if not known:
        raise SurgeryError(
            f"The network gives a {type(own).__module__}.{type(own).__qualname__}, in which surgery cannot "
            "look for values that belong to its output; give it a forward that gives tensors."
        )


def _is_set(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _is_cache(own: object) -> bool:
    """Keys and values that a language model of transformers keeps for its next call, and none else reads."""
    return any(
        kind.__name__ == "Cache" and kind.__module__ == "transformers.cache_utils"
        for kind in type(own).__mro__
    )
