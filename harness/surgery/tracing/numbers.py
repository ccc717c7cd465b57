"""Which whole numbers of its modules a network reads while it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from harness.surgery.tracing.example import Example
from harness.surgery.tracing.follow import quiet, run


@torch.no_grad()
def numbers_read(network: nn.Module, example: Example) -> set[tuple[str, str]]:
    """Paths of modules and names of their own whole numbers that code reads in a forward pass.

    Raises:
        SurgeryError: if the network does not run.
    """
    read: set[tuple[str, str]] = set()
    with quiet(network), _watched(network, read):
        run(network, example)
    return read


@contextmanager
def _watched(network: nn.Module, read: set[tuple[str, str]]) -> Iterator[None]:
    paths = {id(module): path for path, module in network.named_modules()}
    before = [(module, type(module)) for module in network.modules()]

    def watching(kind: Any) -> type:
        def get(self: Any, name: str) -> Any:
            value = kind.__getattribute__(self, name)
            if type(value) is int and id(self) in paths:
                read.add((paths[id(self)], name))
            return value

        return type(kind.__name__, (kind,), {"__getattribute__": get, "__module__": kind.__module__})

    kinds: dict[type, Any] = {}
    try:
        for module, kind in before:
            try:
                kinds[kind] = kinds.get(kind) or watching(kind)
                module.__class__ = kinds[kind]
            except TypeError:  # it does not let itself be watched: all that it holds may be read
                read.update(
                    (paths[id(module)], name) for name, own in vars(module).items() if type(own) is int
                )
        yield
    finally:
        for module, kind in before:
            if type(module) is not kind:
                module.__class__ = kind
