"""Modules that are followed as one operation, because what they do inside says less than what they are."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from harness.surgery.tracing.computed import Normed, mark_of
from harness.surgery.tracing.marks import Mark
from harness.surgery.tracing.paths import layer_of
from harness.surgery.tracing.recurrent import Followed, bordered, recurrent
from harness.surgery.tracing.tracer import Tracer


@contextmanager
def wholes(tracer: Tracer, network: nn.Module) -> Iterator[None]:
    """For the length of the context, have such modules tell the tracer what they made."""
    normed = {(own.layer, own.name): own for own in tracer.normed.values()}
    with ExitStack() as stack:
        stack.enter_context(_unpacking(tracer))
        for path, module in network.named_modules():
            if isinstance(module, ParametrizationList):
                own = normed.get((layer_of(f"{path}.original"), path.rpartition(".")[2]))
                stack.enter_context(_instead(module, _parametrization(tracer, module, path, own)))
            unit = recurrent(path, module)
            if unit is not None:
                stack.enter_context(_instead(module, Followed(tracer, unit, module.forward)))
            for key, hook in list(module._forward_pre_hooks.items()):
                own = normed.get((path, getattr(hook, "name", "")))
                if isinstance(hook, WeightNorm | SpectralNorm) and own is not None:
                    stack.enter_context(_hook(tracer, module, key, hook, own))
        yield


@contextmanager
def _instead(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Another forward pass for one module, unless it has been given one already."""
    if "forward" in module.__dict__:
        yield
        return
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        del module.__dict__["forward"]


@contextmanager
def _unpacking(tracer: Tracer) -> Iterator[None]:
    """Follow the unpacking of sequences, which is many writes into one tensor, as one operation."""
    place, name = vars(torch._VF), "_pad_packed_sequence"
    before, plain = place.get(name), getattr(torch._VF, name)

    def watched(data: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
        with tracer.looking_away():
            made: tuple[Tensor, Tensor] = plain(data, *others)
        mark = tracer.mark(data)
        tracer.freeze(mark, "lies on an axis of steps that is unpacked", axes=(0,))
        value = float(others[2])  # batch sizes, whether the batch comes first, what is put behind the ends
        planes = {axis + 1: bordered(plane, value) for axis, plane in mark.planes.items() if axis}
        tracer.tag(made[0], Mark(planes, mark.signal))
        return made

    # The module looks its functions up one by one; what it has of its own comes first.
    place[name] = watched
    try:
        yield
    finally:
        place.pop(name)
        if before is not None:
            place[name] = before


def _parametrization(
    tracer: Tracer, module: ParametrizationList, path: str, normed: Normed | None
) -> Callable[[], Tensor]:
    plain = module.forward

    def known() -> Tensor:
        assert normed is not None
        with tracer.looking_away():
            weight: Tensor = plain()
        tracer.tag(weight, mark_of(tracer, normed))
        return weight

    def unknown() -> Tensor:
        weight: Tensor = plain()
        own = f"{path}.original"
        # Where no operation has left a trace of its units, the layer is listed with the reason at least.
        if not tracer.mark(weight).planes and module.is_tensor and own in tracer.tensors:
            kinds = ", ".join(type(part).__name__.lstrip("_") for part in module)
            planes = tracer.mark(tracer.tensors[own]).planes
            if tracer.tensors[own].shape == weight.shape:
                tracer.freeze(Mark(planes), f"of a weight that {kinds} computes from all of it")
                tracer.tag(weight, Mark(planes, signal=False))
        return weight

    return unknown if normed is None else known


@contextmanager
def _hook(
    tracer: Tracer, module: nn.Module, key: int, hook: WeightNorm | SpectralNorm, normed: Normed
) -> Iterator[None]:
    def watched(module: nn.Module, inputs: Any) -> None:
        with tracer.looking_away():
            hook(module, inputs)
        tracer.tag(getattr(module, normed.name), mark_of(tracer, normed))

    module._forward_pre_hooks[key] = watched
    try:
        yield
    finally:
        module._forward_pre_hooks[key] = hook
