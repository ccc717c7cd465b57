"""Watches where a training reads values of its device back to the host, on a device that has none: `meta`.

A machine without a GPU so shows what a GPU would stall on. Whatever would be read is noted with the function
of ours that asked for it, and answered with numbers that keep training going: sums, which are float64, with
0, 1, 2, ..., all else with zeros.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import harness

_HOME = f"{Path(harness.__path__[0])}{os.sep}"
#: Operations whose result on the host, or whose shape, depends on values: they wait for the device.
_READS = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal"}
_COPIES = {"_to_copy", "to"}


@dataclass(frozen=True)
class Noted:
    """An operation, and the innermost function of ours that asked for it: "training/step.py:__call__"."""

    operation: str
    place: str

    @property
    def room(self) -> str:
        return self.place.partition("/")[0]


@dataclass
class Seen:
    """reads: values read back to the host. on_host: operations on tensors of the host that hold more than a
    number; what only carries them over to the device is not among them."""

    reads: list[Noted] = field(default_factory=list)
    on_host: list[Noted] = field(default_factory=list)


@contextmanager
def watching_transfers() -> Iterator[Seen]:
    """Note all transfers in the block."""
    seen = Seen()
    with _Watch(seen):
        yield seen


class _Watch(TorchDispatchMode):
    def __init__(self, seen: Seen) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._seen = seen

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, name = kwargs or {}, func.overloadpacket.__name__
        source = args[0] if args and isinstance(args[0], Tensor) else None
        if source is not None and source.device.type == "meta":
            if name in _READS:
                self._seen.reads.append(Noted(name, _place()))
                return _answer(name, source)
            target = kwargs.get("device")
            if name in _COPIES and target is not None and torch.device(target).type == "cpu":
                self._seen.reads.append(Noted("copy", _place()))
                made = torch.zeros(source.shape, dtype=kwargs.get("dtype") or source.dtype)
                return made.copy_(torch.arange(made.numel())) if made.dtype == torch.float64 else made
        made = func(*args, **kwargs)
        tensors = [each for each in (*args, made) if isinstance(each, Tensor)]
        carries = name in _COPIES or (name == "copy_" and tensors[0].device.type == "meta")
        if not carries and any(each.device.type == "cpu" and each.dim() for each in tensors):
            self._seen.on_host.append(Noted(name, _place()))
        return made


def _answer(name: str, source: Tensor) -> Any:
    if name == "nonzero":
        return torch.empty((0, source.dim()), dtype=torch.long)
    if name == "masked_select":
        return torch.empty((0,), dtype=source.dtype)
    return False if name in ("is_nonzero", "equal") else torch.zeros((), dtype=source.dtype).item()


def _place() -> str:
    """The innermost function of ours that is no watcher itself."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_HOME) and code.co_name != "__torch_dispatch__":
            return f"{Path(code.co_filename).relative_to(_HOME).as_posix()}:{code.co_name}"
        frame = frame.f_back
    return "nowhere"
