"""Numbers that modules keep about a width, which no cut changes: found where a network computes with them."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from harness.surgery.tracing.example import Example
from harness.surgery.tracing.follow import outputs_of, quiet


@torch.no_grad()
def stored_widths(
    network: nn.Module, example: Example, widths: Mapping[str, int], followed: Collection[str] = ()
) -> tuple[str, ...]:
    """Sentences that name plain numbers that equal a width w, 1/w or a root of these, and that are read while
    the network runs: after a cut they may be wrong, and nothing fails.

    Modules of PyTorch's own are told what has become of their widths.

    Args:
        network: as it was built; left as it is.
        example: a batch of its input.
        widths: layer -> its units as it was built, of the layers that may be cut.
        followed: paths of numbers that a cut is known to change.
    """
    suspects = {
        path: (module, named)
        for path, module in network.named_modules()
        if not type(module).__module__.startswith("torch.nn.") and (named := _suspect(module, widths))
    }
    read: dict[tuple[str, str], None] = {}
    with quiet(network), _watched(suspects, read):
        for training in (False, True):
            network.train(training)
            outputs_of(network, example)
    said = []
    for path, name in read:
        module, named = suspects[path]
        layer, how = named[name]
        where = f"{path}.{name}" if path else name
        if where in followed:
            continue
        said.append(
            f"{where} of a {type(module).__qualname__} is {vars(module)[name]:g} and is read when the "
            f"network runs; if it stands for {how} {layer}, it is wrong after a cut"
        )
    return tuple(said)


def _suspect(module: nn.Module, widths: Mapping[str, int]) -> dict[str, tuple[str, str]]:
    """Attribute -> the layer whose width explains it, and how."""
    found = {}
    for name, value in vars(module).items():
        if name.startswith("_") or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        match = next(((layer, how) for layer, how in _meanings(widths, float(value))), None)
        if match is not None:
            found[name] = match
    return found


def _meanings(widths: Mapping[str, int], value: float) -> Iterator[tuple[str, str]]:
    for layer, width in widths.items():
        ways = {
            "the width of": float(width),
            "one over the width of": 1 / width,
            "the root of the width of": math.sqrt(width),
            "one over the root of the width of": 1 / math.sqrt(width),
        }
        # 0, 1 and 2 stand for too much else.
        yield from (
            (layer, how) for how, made in ways.items() if made not in (1.0, 2.0) and math.isclose(value, made)
        )


@contextmanager
def _watched(
    suspects: Mapping[str, tuple[nn.Module, Mapping[str, Any]]], read: dict[tuple[str, str], None]
) -> Iterator[None]:
    """Note which attributes are read, by modules that are of a class of their own for so long."""
    plain = {path: type(module) for path, (module, _) in suspects.items()}
    try:
        for path, (module, named) in suspects.items():
            module.__class__ = _spying(plain[path], path, named, read)
        yield
    finally:
        for path, (module, _) in suspects.items():
            module.__class__ = plain[path]


def _spying(kind: type, path: str, named: Iterable[str], read: dict[tuple[str, str], None]) -> type:
    watched = frozenset(named)

    def get(self: nn.Module, name: str) -> Any:
        if name in watched:
            read[path, name] = None
        return object.__getattribute__(self, name)

    return type(kind.__name__, (kind,), {"__getattribute__": get, "__module__": kind.__module__})
