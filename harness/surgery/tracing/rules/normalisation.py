"""Batch, layer and group normalisation."""

import numpy as np
import torch
from torch import Tensor, nn

from harness.surgery.tracing.marks import Constant, Held, Mark, Plane, Positions, Values
from harness.surgery.tracing.tracer import Call, Tracer


def batch_norm(tracer: Tracer, call: Call) -> None:
    """Every channel alone; what a constant channel sends differs between the modes."""
    signal, weight, bias, mean, variance = call.args[:5]
    training, epsilon = call.args[5], call.args[7]
    out: Tensor = call.out[0] if isinstance(call.out, tuple) else call.out
    _channels(tracer, signal, out, (weight, bias, mean, variance), epsilon, training=bool(training))


def batch_norm_inference(tracer: Tracer, call: Call) -> None:
    """The same, as exported for evaluation mode alone."""
    signal, weight, bias, mean, variance, _, epsilon = call.args[:7]
    _channels(tracer, signal, call.out[0], (weight, bias, mean, variance), epsilon, training=False)


def _channels(
    tracer: Tracer,
    signal: Tensor,
    out: Tensor,
    tensors: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None],
    epsilon: float,
    *,
    training: bool,
) -> None:
    mark = tracer.mark(signal)
    tracer.freeze(mark, "lies on an axis that is averaged over", axes=(0, *range(2, signal.dim())))
    plane = mark.planes.get(1)
    for tensor in tensors:
        if tensor is None:
            continue
        own = tracer.mark(tensor).planes.get(0)
        if own is None:
            tracer.freeze(mark, "normalised by tensors of fixed size")
        elif plane is None:
            tracer.coupling.freeze(own.labels, "normalises a signal of fixed size")
        else:
            tracer.coupling.unite(own.labels, plane.labels)
    if plane is None:
        tracer.tag(out, Mark({}, mark.signal))
        return
    if not mark.signal:
        # A weight standardised as if its rows were channels is another weight, and nothing is running.
        tracer.tag(out, Mark({1: Plane(plane.labels)}, signal=False))
        return
    weight, _, mean, _ = (tracer.mark(tensor).source if tensor is not None else None for tensor in tensors)
    tracer.normalise(signal, weight, mean)
    tracer.tag(out, Mark({1: Plane(plane.labels, _sent(plane, tensors, epsilon, training))}))


def _sent(
    plane: Plane,
    tensors: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None],
    epsilon: float,
    training: bool,
) -> Constant:
    def compute(positions: Positions, held: Held) -> Values:
        weight, bias, mean, variance = (
            tensor[torch.from_numpy(positions).to(tensor.device)].double().cpu().numpy()
            if tensor is not None
            else np.full(len(positions), default)
            for tensor, default in zip(tensors, (1.0, 0.0, 0.0, 1.0), strict=True)
        )
        arriving = plane.constant.at(positions, held)
        # The mean of a constant over any batch is that constant: only the shift is left of it.
        in_training = np.where((weight == 0) | ~np.isnan(arriving[1]), bias, np.nan)
        scaled = (arriving[0] - mean) / np.sqrt(variance + epsilon) * weight + bias
        in_evaluation = np.where(weight == 0, bias, scaled)
        if training or tensors[2] is None:
            in_evaluation = in_training
        values = np.stack([in_evaluation, in_training])
        return values if held is None else np.where(held[plane.labels[positions]], 0.0, values)

    return Constant(compute)


def layer_norm(tracer: Tracer, call: Call) -> None:
    """Every unit's value depends on all the others of its layer, and on how many they are."""
    signal, shape, *tensors = call.args[:4]
    first = signal.dim() - len(shape)
    mark = tracer.mark(signal)
    reason = "under layer normalisation, which a constant unit still shifts"
    tracer.freeze(mark, reason, axes=tuple(range(first, signal.dim())))
    for tensor in tensors:
        if tensor is not None:
            tracer.freeze(tracer.mark(tensor), reason)
    planes = {
        axis: Plane(plane.labels, _shift(plane.constant, tensors[1] if len(tensors) > 1 else None))
        if axis < first
        else Plane(plane.labels)
        for axis, plane in mark.planes.items()
    }
    tracer.tag(call.out[0] if isinstance(call.out, tuple) else call.out, Mark(planes))


def _shift(constant: Constant, bias: Tensor | None) -> Constant:
    """Normalised over places alone: of a constant only the shift is left, if it is one number."""

    def compute(positions: Positions, held: Held) -> Values:
        value = 0.0 if bias is None else float(bias.flatten()[0])
        if bias is not None and bool((bias != value).any()):
            value = np.nan
        return np.where(np.isnan(constant.at(positions, held)), np.nan, value)

    return Constant(compute)


def group_norm(tracer: Tracer, call: Call) -> None:
    """Channels of a group depend on each other, so they go together; whole groups do not."""
    signal, weight, bias = call.args[:3]
    groups, epsilon = call.args[6:8]
    mark = tracer.mark(signal)
    reason = "lies on an axis that is averaged over"
    tracer.freeze(mark, reason, axes=(0, *range(2, signal.dim())))
    plane = mark.planes.get(1)
    out: Tensor = call.out[0]
    for tensor in (weight, bias):
        own = tracer.mark(tensor).planes.get(0) if tensor is not None else None
        if own is not None and plane is not None:
            tracer.coupling.unite(own.labels, plane.labels)
        elif own is not None:
            tracer.coupling.freeze(own.labels, "normalises a signal of fixed size")
        elif plane is not None and tensor is not None:
            tracer.coupling.freeze(plane.labels, "normalised by tensors of fixed size")
    if plane is None:
        tracer.tag(out, Mark({}))
        return
    by_group = plane.labels.reshape(groups, -1)
    tracer.coupling.unite(by_group, by_group[:, :1])
    if groups == 1:
        tracer.coupling.freeze(plane.labels, "under group normalisation, which a constant unit still shifts")
    source = tracer.mark(weight).source if weight is not None else None
    module = tracer.modules.get((source or "").rpartition(".")[0])
    if not isinstance(module, nn.GroupNorm) or module.num_groups != groups:
        # Without factors no layer says where the number of groups is kept, and it may be anybody's number.
        tracer.coupling.freeze(plane.labels, "under group normalisation whose number of groups is in code")
    tracer.tag(out, Mark({1: Plane(plane.labels, _of_groups(plane, (weight, bias), groups, epsilon))}))


def _of_groups(
    plane: Plane, tensors: tuple[Tensor | None, Tensor | None], groups: int, epsilon: float
) -> Constant:
    """A group of constants is normalised to constants; without a factor only the shift is left."""
    members = len(plane.labels) // groups

    def compute(positions: Positions, held: Held) -> Values:
        weight, bias = (
            tensor[torch.from_numpy(positions).to(tensor.device)].double().cpu().numpy()
            if tensor is not None
            else np.full(len(positions), default)
            for tensor, default in zip(tensors, (1.0, 0.0), strict=True)
        )
        group = (positions[:, None] // members * members + np.arange(members)).reshape(-1)
        arriving = plane.constant.at(group, held).reshape(2, len(positions), members)
        own = plane.constant.at(positions, held)
        variance = ((arriving - arriving.mean(axis=2, keepdims=True)) ** 2).mean(axis=2)
        scaled = (own - arriving.mean(axis=2)) / np.sqrt(variance + epsilon)
        values = np.where(weight == 0, bias, scaled * weight + bias)
        return values if held is None else np.where(held[plane.labels[positions]], 0.0, values)

    return Constant(compute)


RULES = {
    "native_batch_norm": batch_norm,
    "cudnn_batch_norm": batch_norm,
    "miopen_batch_norm": batch_norm,
    "_native_batch_norm_legit": batch_norm,
    "_native_batch_norm_legit_no_training": batch_norm_inference,
    "native_layer_norm": layer_norm,
    "native_group_norm": group_norm,
}
