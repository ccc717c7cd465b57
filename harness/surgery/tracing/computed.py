"""Weights that a module computes from parameters of its own each time: weight norm, spectral norm, others."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from harness.surgery.tracing.marks import VARIES, Constant, Held, Mark, Plane, Positions, Read, Values
from harness.surgery.tracing.paths import layer_of
from harness.surgery.tracing.tracer import Tracer

#: Modules that make units along one axis of their weight, and read along the other if they read any.
_PLAIN = nn.Linear | nn.modules.conv._ConvNd | nn.Embedding


@dataclass(frozen=True, slots=True)
class Normed:
    """A weight g v / |v| or v / sigma(v), of a layer that reads and makes units.

    layer: path of the module. name: of the weight in it. direction: path of v. magnitude: path of g, None
    under spectral norm. axis: along which each position has a norm of its own, None for one norm of all.
    out_axis: of the weight, along which the layer's units lie. vectors: paths of the singular vectors along
    `axis` and along all others.
    """

    layer: str
    name: str
    direction: str
    magnitude: str | None
    axis: int | None
    out_axis: int
    vectors: tuple[str, ...] = ()

    @property
    def others(self) -> tuple[int, ...]:
        """Axes of v along which entries may be zero and each norm is still one of something."""
        return tuple(axis for axis in (0, 1) if self.magnitude is None or axis != self.axis)

    @property
    def silencing(self) -> tuple[int, ...]:
        """Axes of v along which zeros silence units; where each has a norm of its own, g silences it. Under
        spectral norm what reads them has to be zero too."""
        return tuple(axis for axis in self.others if axis == self.out_axis or self.magnitude is None)


def normed_weights(network: nn.Module) -> dict[str, Normed]:
    """All of a network's weights under weight norm and spectral norm, by the path of v."""
    found = [*_parametrized(network), *_hooked(network)]
    return {normed.direction: normed for normed in found}


def _parametrized(network: nn.Module) -> Iterator[Normed]:
    for path, module in network.named_modules():
        if not isinstance(module, ParametrizationList) or len(module) != 1:
            continue
        layer = layer_of(f"{path}.original")
        name, kind, holder = path.rpartition(".")[2], module[0], network.get_submodule(layer)
        if not isinstance(holder, _PLAIN) or name != "weight":
            continue
        out = _out_axis(holder)
        if type(kind) is parametrizations._WeightNorm:
            axis = _axis(kind.dim, module.get_parameter("original1"))
            yield Normed(layer, name, f"{path}.original1", f"{path}.original0", axis, out)
        elif type(kind) is parametrizations._SpectralNorm:
            vectors = (f"{path}.0._u", f"{path}.0._v")
            yield Normed(layer, name, f"{path}.original", None, kind.dim, out, vectors)


def _hooked(network: nn.Module) -> Iterator[Normed]:
    for layer, module in network.named_modules():
        prefix = f"{layer}." if layer else ""
        for hook in module._forward_pre_hooks.values():
            if not isinstance(hook, WeightNorm | SpectralNorm) or not isinstance(module, _PLAIN):
                continue
            if hook.name != "weight":
                continue
            name, out = prefix + hook.name, _out_axis(module)
            if isinstance(hook, SpectralNorm):
                vectors = (f"{name}_u", f"{name}_v")
                yield Normed(layer, hook.name, f"{name}_orig", None, hook.dim, out, vectors)
            else:
                axis = _axis(hook.dim, getattr(module, f"{hook.name}_v"))
                yield Normed(layer, hook.name, f"{name}_v", f"{name}_g", axis, out)


def _out_axis(module: nn.Module) -> int:
    return 1 if isinstance(module, nn.modules.conv._ConvTransposeNd | nn.Embedding) else 0


def _axis(dim: int, weight: Tensor) -> int | None:
    # Weight norm calls one norm of all entries -1.
    return None if dim == -1 else dim % weight.dim()


def computed(module: nn.Module, name: str) -> Tensor:
    """A module's weight as it is now, whatever it is computed from; its buffers stay as they are."""
    with torch.no_grad():
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm) and hook.name == name:
                made: Tensor = hook.compute_weight(module)
                return made
            if isinstance(hook, SpectralNorm) and hook.name == name:
                return hook.compute_weight(module, do_power_iteration=False)
        parametrized: Any = getattr(module, "parametrizations", {})
        if name not in parametrized:
            weight: Tensor = getattr(module, name)
            return weight.detach()
        parts = [(part, part.training) for part in parametrized[name].modules()]
        try:
            parametrized[name].eval()
            again: Tensor = parametrized[name]()
            return again.detach()
        finally:
            for part, training in parts:
                part.training = training


def layers_that_compute(network: nn.Module) -> tuple[str, ...]:
    """Paths of the modules that compute a weight or a bias from parameters of other names."""
    return tuple(
        path
        for path, module in network.named_modules()
        if "parametrizations" in module._modules
        or any(isinstance(hook, WeightNorm | SpectralNorm) for hook in module._forward_pre_hooks.values())
    )


def name_of(path: str) -> str:
    """The name that a layer knows a weight by, from the path of the parameter that stands for it."""
    before, _, inside = path.rpartition("parametrizations.")
    if before or inside != path:
        return inside.partition(".")[0]
    return path.rpartition(".")[2].removesuffix("_v").removesuffix("_orig")


@contextmanager
def kept(network: nn.Module) -> Iterator[None]:
    """Put the weights back, at the end, that hooks computed before."""
    before = list(_hooked_weights(network))
    try:
        yield
    finally:
        for module, name, weight in before:
            setattr(module, name, weight)


def _hooked_weights(network: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    for module in network.modules():
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm | SpectralNorm):
                yield module, hook.name, getattr(module, hook.name)


def copied(network: nn.Module) -> nn.Module:
    """A deep copy, of a network too whose hooks keep weights that belong to the graph of its last pass."""
    with kept(network):
        for module, name, weight in list(_hooked_weights(network)):
            setattr(module, name, weight.detach())
        return copy.deepcopy(network)


def is_computed_from(tracer: Tracer, path: str) -> bool:
    """Whether a parameter is none that a layer multiplies with, but one that it computes its weight from."""
    layer = layer_of(path)
    if layer != path.rpartition(".")[0]:
        return True
    return any(path in (own.direction, own.magnitude) for own in tracer.normed.values())


def holds_weights(own: Tensor) -> bool:
    """Whether a network multiplies with a tensor: a parameter, or a buffer that is a weight, not trained."""
    return isinstance(own, nn.Parameter) or (own.is_floating_point() and own.dim() > 1)


def weight_at(network: nn.Module, path: str) -> Tensor:
    """What a layer multiplies with: the tensor at a path, or the weight that it is the direction of."""
    module = network.get_submodule(layer_of(path))
    if _is_direction(module, path.rpartition(".")[2], parametrized=".parametrizations." in f".{path}"):
        return computed(module, "weight")
    holder, _, name = path.rpartition(".")
    registered = network.get_submodule(holder)
    own: Tensor = {**registered._parameters, **registered._buffers}[name]  # type: ignore[assignment]
    return own.detach()


def _is_direction(module: nn.Module, last: str, *, parametrized: bool) -> bool:
    if not parametrized:
        hooks = module._forward_pre_hooks.values()
        return last == "weight_v" and any(isinstance(hook, WeightNorm) for hook in hooks)
    parts: Any = getattr(module, "parametrizations", {})
    if last != "original1" or "weight" not in parts:
        return False
    return len(parts["weight"]) == 1 and type(parts["weight"][0]) is parametrizations._WeightNorm


def declare(tracer: Tracer, network: nn.Module, *, exactly: bool) -> None:
    """Couple what a normed weight is computed from.

    Args:
        exactly: whether the network's function must stay as it is.
    """
    tracer.normed = normed_weights(network)
    for normed in tracer.normed.values():
        if normed.magnitude is not None:
            if normed.axis is not None:
                own = tracer.labels(normed.magnitude, normed.axis)
                tracer.coupling.unite(own, tracer.labels(normed.direction, normed.axis))
            continue
        _declare_spectral(tracer, normed, exactly=exactly)


def _declare_spectral(tracer: Tracer, normed: Normed, *, exactly: bool) -> None:
    weight = tracer.tensors[normed.direction]
    assert normed.axis is not None
    rows, columns = normed.vectors
    tracer.coupling.unite(tracer.labels(rows, 0), tracer.labels(normed.direction, normed.axis))
    others = [axis for axis in range(weight.dim()) if axis != normed.axis]
    along = np.arange(prod(weight.shape[axis] for axis in others))
    places = np.unravel_index(along, [weight.shape[axis] for axis in others])
    out_axis, in_axis = normed.out_axis, 1 - normed.out_axis
    for axis, positions in zip(others, places, strict=True):
        if axis < 2:
            labels = tracer.labels(normed.direction, axis)[positions]
            tracer.coupling.unite(tracer.labels(columns, 0), labels)
    if not exactly:
        return
    # The largest singular value is that of what is left where what goes is zero: its row, and what reads it.
    reads = f"has weights in {normed.layer!r}, whose spectral norm goes by all that the layer reads"
    for axis, why in ((out_axis, VARIES), (in_axis, reads)):
        labels = tracer.labels(normed.direction, axis)
        silent = Plane(labels, _zeros(weight, axis, labels))
        none = np.arange(0)
        tracer.reads.append(Read(None, in_axis, out_axis, none, None, False, False, False, silent, why=why))


def _zeros(weight: Tensor, axis: int, labels: np.typing.NDArray[np.int64]) -> Constant:
    def compute(positions: Positions, held: Held) -> Values:
        index = torch.from_numpy(positions).to(weight.device)
        live = weight.detach().movedim(axis, 0)[index].flatten(1).any(1).cpu().numpy()
        value = np.where(live, np.nan, 0.0)
        if held is not None:
            value = np.where(held[labels[positions]], 0.0, value)
        return np.stack([value, value])

    return Constant(compute)


def mark_of(tracer: Tracer, normed: Normed) -> Mark:
    """The mark of a normed weight: its units are those of v."""
    weight = tracer.tensors[normed.direction]
    planes = {axis: Plane(tracer.labels(normed.direction, axis)) for axis in range(weight.dim())}
    return Mark(planes, signal=False, source=normed.direction)
