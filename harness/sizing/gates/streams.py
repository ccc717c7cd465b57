"""One gate for a unit of a residual stream, on every layer that writes into it: it shuts the whole stream.

What one sum adds up goes together, and only when all of it is silent. A gate on the first of its layers alone
never shuts a unit that the others keep alive; gates of their own would have to die all at the same unit. So
the layers that write into a stream have one gate in common. Those that only pass on or multiply what they
hear there (depthwise convolutions, squeeze and excitation) are silent with it, and have none.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from harness.sizing.gates.gated import Gated
from harness.sizing.gates.layers import put
from harness.sizing.gates.tied import Holders
from harness.sizing.gates.units import place_of
from harness.surgery.operations.silence import judge
from harness.surgery.structure import Structure, trace
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.follow import follow
from harness.surgery.tracing.scratch import scratch
from harness.surgery.tracing.tracer import Tracer


@torch.no_grad()
def writers(network: nn.Module, example: Example, layers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Which layers must be silent at a unit, so that the unit can go with all that is coupled with it.

    Layers of which only some units are coupled with a layer's (a stream that is widened with zeros) are a
    stream of their own, with gates of their own; a unit goes when all its streams have shut it.

    Args:
        network: any plain module; left as it is. Its values do not matter.
        example: a batch as the network will see it, [batch, ...], on its device.
        layers: paths of layers that make units.

    Returns:
        Layer -> the layers that write into the stream of its units, in order of execution.

    Raises:
        SurgeryError: if the network cannot be followed, or makes no units at such a layer.
    """
    structure = trace(network, example)
    found: dict[str, tuple[str, ...]] = {}
    generator = torch.Generator("cpu").manual_seed(0)

    def loud(own: Tensor) -> Tensor:
        """Values with which no layer is silent to begin with, as those are that start at zero."""
        drawn = torch.rand(own.shape, generator=generator, device="cpu").to(own) + 0.5
        return drawn if isinstance(own, nn.Parameter) and own.is_floating_point() else own.detach().clone()

    with scratch(network, loud):
        tracer: Tracer | None = None
        for layer in layers:
            coupled = structure.group(layer).layers
            stream = [own for own in coupled if structure.classes[own] == structure.classes[layer]]
            if len(stream) > 1:
                tracer = tracer or follow(network, example)
                stream = _writing(tracer, network, structure, coupled, stream)
            found[layer] = tuple(stream)
    return found


def _writing(
    tracer: Tracer, network: nn.Module, structure: Structure, coupled: Sequence[str], stream: list[str]
) -> list[str]:
    """A stream without the layers, the last first, that need not be silent for it to be so."""
    place, axis = tracer.producers[stream[0]]
    roots = tracer.coupling.roots(tracer.labels(place, axis)[:1])
    needed = list(stream)
    for layer in reversed(stream):
        others = [own for own in needed if own != layer]
        shut = [own for own in coupled if own in others or own not in stream]
        with _silent(tracer, structure, shut):
            # Nothing is held; an array of its own has what units send worked out anew.
            held = np.zeros(len(tracer.coupling), dtype=np.bool_)
            if others and not judge(tracer, network, roots, held).varying:
                needed = others
    return needed


@contextmanager
def _silent(tracer: Tracer, structure: Structure, layers: Iterable[str]) -> Iterator[None]:
    """Layers, and the normalisations behind them, that give zero."""
    held: list[tuple[Tensor, Tensor]] = []
    for layer in layers:
        own = {tracer.producers[layer][0]} | {f"{structure.norms.get(layer, layer)}.weight"}
        for path in own | {f"{name.rpartition('.')[0]}.bias" for name in own}:
            if path in tracer.tensors:
                tensor = tracer.tensors[path]
                held.append((tensor, tensor.detach().clone()))
                tensor.zero_()
    try:
        yield
    finally:
        for tensor, values in held:
            tensor.copy_(values)


def share_gates(network: nn.Module, shared: Mapping[str, Iterable[str]]) -> None:
    """Have other layers multiplied by the very gates that a layer has, in place: one parameter for all.

    Args:
        network: with gates on some layers.
        shared: layer with gates -> the others, which have none yet and as many units.

    Raises:
        ValueError: if a layer has no gates, another one takes none, has some already or not as many units;
            nothing is shared then.
    """
    holders, chosen = Holders(network), []
    for layer, others in shared.items():
        source = place_of(network, layer)
        gate = getattr(source.module, source.name, None)
        if gate is None:
            raise ValueError(f"The layer {layer!r} has no gates to share.")
        rule = getattr(cast(Gated, source.module), f"{source.name}_rule")
        for other in others:
            place = place_of(network, other)
            if getattr(place.module, place.name, None) is not None or place.units != len(gate):
                raise ValueError(
                    f"The layer {other!r} cannot share the {len(gate)} gates of {layer!r}: it has "
                    f"{place.units} units, or gates of its own."
                )
            holders.check(place.module, other, place.kind)
            chosen.append((place, gate, rule))
    for place, gate, rule in chosen:
        put(place.module, place.kind, place.name, gate, rule)
