"""Running a network once, quietly, to see what belongs together."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules._functions import BackwardHookFunction

from harness.surgery.errors import SurgeryError
from harness.surgery.masking import MASK_SUFFIX, masks_of
from harness.surgery.sharing import sharing
from harness.surgery.tracing import computed, recurrent
from harness.surgery.tracing.answers import tensors_in
from harness.surgery.tracing.chance import check_chance, devices_of, generators
from harness.surgery.tracing.choices import decide
from harness.surgery.tracing.example import Example, called, shapes, twice
from harness.surgery.tracing.heads import declare_heads, open_attentions
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.noise import training_without_noise
from harness.surgery.tracing.plain import check_example, check_plain
from harness.surgery.tracing.rules import RULES, pointwise
from harness.surgery.tracing.stand_ins import check_held, stand_ins
from harness.surgery.tracing.tracer import Rule, Tracer
from harness.surgery.tracing.wholes import wholes


def follow(
    network: nn.Module, example: Example, rules: Mapping[str, Rule] = RULES, avoided: Sequence[int] = ()
) -> Tracer:
    """Follow the units of a network through a forward pass in each of its modes.

    What one mode alone does counts like what both do. Dropout is off. Modes, buffers and random numbers are
    as before afterwards.

    Args:
        rules: what each operation does to units; for removal unless said.
        avoided: numbers of splits and mergers of which not the axis may be cut that would be preferred.

    Raises:
        SurgeryError: if the network cannot be followed or the example does not fit it.
    """
    check_plain(network)
    check_example(network, example)
    # A batch of one could be taken for an axis of one unit.
    example = twice(example)
    check_held(network)
    shared = sharing(network)
    with quiet(network), stand_ins(network) as replaced:
        tracer = Tracer(network, rules, pointwise, replaced)
        _declare(tracer, network)
        _keep_together(tracer, shared)
        computed.declare(tracer, network, exactly=rules is RULES)
        recurrent.declare(tracer, network)
        with open_attentions(tracer, network), wholes(tracer, network):
            drawing = _follow_both(tracer, network, example)
        for training in drawing:
            network.train(training)
            with training_without_noise(network) if training else nullcontext(), torch.enable_grad():
                check_chance(partial(outputs_of, network, example), "training" if training else "evaluation")
    decide(tracer.coupling, tracer.choices, [pair.left.labels for pair in tracer.pairs], avoided)
    tracer.avoided = tuple(avoided)
    return tracer


def _keep_together(tracer: Tracer, shared: Mapping[str, str]) -> None:
    """Freeze parameters that lie in the memory of others, from which a cut would part them."""
    for path, other in shared.items():
        for axis in range(tracer.tensors[path].dim()):
            tracer.coupling.freeze(tracer.labels(path, axis), f"lies in the memory of {other!r}")


def _follow_both(tracer: Tracer, network: nn.Module, example: Example) -> list[bool]:
    """A pass in each mode; what the second reads is marked as read in training.

    Returns:
        Modes in which the network drew random numbers: whether it was training.
    """
    states = [generators(network)]
    network.eval()
    _trace(tracer, network, example)
    states.append(generators(network))
    evaluated, multiplied = len(tracer.reads), len(tracer.pairs)
    with training_without_noise(network, partial(_shifted, tracer)):
        _trace(tracer, network, example)
    states.append(generators(network))
    for read in tracer.reads[evaluated:]:
        read.training = True
    for pair in tracer.pairs[multiplied:]:
        pair.training = True
    return [training for training in (False, True) if states[training] != states[training + 1]]


def _shifted(tracer: Tracer, given: Tensor) -> None:
    """Units that send zero into a dropout which puts other numbers in send noise on: somebody hears them."""
    tracer.freeze(tracer.mark(given), "made noise by a dropout that puts other numbers than zero in")


def run(network: nn.Module, example: Example) -> None:
    """See that a network runs, in evaluation mode.

    Raises:
        SurgeryError: if it does not.
    """
    with quiet(network), torch.no_grad():
        network.eval()
        outputs_of(network, example)


def outputs_of(network: nn.Module, example: Example) -> list[Tensor]:
    """All tensors that a network gives for an example, in the mode it is in.

    Raises:
        SurgeryError: if it does not run, whatever it raises.
    """
    try:
        outputs = tensors_in(called(network, example))
    except SurgeryError:
        raise
    except Exception as error:
        said = f"on an example of shape {shapes(example)}"
        if network.training:
            raise SurgeryError(
                f"The network does not run in training mode {said}, and surgery follows both modes; give one "
                "on which it can be trained, with as many entries and places as its normalisations need and "
                f"all that it asks for in training: {error}"
            ) from error
        raise SurgeryError(f"The network does not run {said}: {error}") from error
    if any(tensor.is_nested for tensor in outputs):
        raise SurgeryError(
            "The network gives nested tensors, which surgery cannot look into; give padded ones."
        )
    return outputs


def _trace(tracer: Tracer, network: nn.Module, example: Example) -> None:
    tracer.receive(example)
    # With gradients on, the graph behind the output shows functions that have a gradient of their own.
    with torch.enable_grad(), tracer:
        outputs = outputs_of(network, example)
    if tracer.astray is not None:
        raise SurgeryError(tracer.astray)
    _check_gradients(outputs)
    for tensor in outputs:
        tracer.freeze(tracer.mark(tensor), "belongs to the network's output")


def _check_gradients(outputs: list[Tensor]) -> None:
    """Refuse networks with gradients of their own making, which may hold sizes that no edit could reach.

    Backward hooks of modules are such a function of PyTorch's, which hands on what it is given.
    """
    waiting = [tensor.grad_fn for tensor in outputs if tensor.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        own = isinstance(cast(object, node), torch.autograd.function.BackwardCFunction)
        if own and getattr(node, "_forward_cls", None) is not BackwardHookFunction:
            name = type(node).__name__.removesuffix("Backward")
            raise SurgeryError(
                f"The network uses the autograd function {name!r}, whose gradient surgery cannot see into; "
                "only networks made of PyTorch's own operations can be followed."
            )
        fresh = {after for after, _ in node.next_functions if after is not None} - seen
        seen |= fresh
        waiting.extend(fresh)


def _declare(tracer: Tracer, network: nn.Module) -> None:
    """Couple what no operation shows: tensors declared per unit, masks, heads."""
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        declared: Mapping[str, float] = getattr(module, "per_unit", {})
        if declared:
            _declare_units(tracer, prefix, module, declared)
        if isinstance(module, nn.MultiheadAttention):
            declare_heads(tracer, prefix, module)
        for name, parameter, _ in masks_of(module):
            mask = f"{prefix}{name}{MASK_SUFFIX}"
            if prefix + name in tracer.tensors and mask in tracer.tensors:
                for axis in range(parameter.dim()):
                    tracer.coupling.unite(tracer.labels(mask, axis), tracer.labels(prefix + name, axis))


def _declare_units(tracer: Tracer, prefix: str, module: nn.Module, declared: Iterable[str]) -> None:
    """Couple tensors that have an entry for each of a module's units with each other and with the units."""
    along = getattr(module, "units_along", lambda name: ("weight", getattr(module, "unit_axis", 0)))
    by_place: dict[tuple[str, int], list[Labels]] = {}
    for name in declared:
        if prefix + name in tracer.tensors:
            by_place.setdefault(along(name), []).append(tracer.labels(prefix + name, 0))
    for (path, axis), own in by_place.items():
        if prefix + path in tracer.tensors:
            own.insert(0, tracer.labels(prefix + path, axis))
        for labels in own[1:]:
            tracer.coupling.unite(own[0], labels)


@contextmanager
def quiet(network: nn.Module) -> Iterator[None]:
    """Put modes, buffers and random number generators back at the end."""
    modules = list(network.modules())
    modes = [(module, module.training) for module in modules]
    every = {id(own): own for module in modules for own in module._buffers.values() if own is not None}
    buffers = [(buffer, buffer.clone()) for buffer in every.values()]
    # A forward pass may put others in their places.
    places = [(module, dict(module._buffers)) for module in modules if module._buffers]
    fast = torch.backends.mha.get_fastpath_enabled()
    devices = sorted({device.index or 0 for device in devices_of(modules) if device.type == "cuda"})
    of_python, of_numpy = random.getstate(), np.random.get_state()
    # The fast path of attention is one opaque operation; the slow one can be followed.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.random.fork_rng(devices=devices), computed.kept(network):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        for module, training in modes:
            if module.training != training:
                module.training = training
        for module, held in places:
            if any(module._buffers.get(name) is not own for name, own in held.items()):
                module._buffers.update(held)
        with torch.no_grad():
            for buffer, value in buffers:
                if buffer.shape != value.shape:
                    buffer.resize_(value.shape)  # observers of quantisation grow theirs when they first run
                buffer.copy_(value)
