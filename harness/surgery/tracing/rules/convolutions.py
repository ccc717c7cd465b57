"""Convolutions of any number of dimensions: plain, transposed, grouped, depthwise."""

import numpy as np
import torch
from torch import Tensor, nn

from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import Constant, Held, Mark, Plane, Positions, Values
from harness.surgery.tracing.rules.contractions import made, read, silent_rows
from harness.surgery.tracing.tracer import Call, Tracer


def convolution(tracer: Tracer, call: Call) -> None:
    """Channels are read by columns of weights, or by those of their group."""
    signal, weight, bias, _, padding, _, transposed, _, groups = call.args[:9]
    mark = tracer.mark(signal)
    if weight.is_complex():
        for tensor in (signal, weight, *([] if bias is None else [bias])):
            tracer.freeze(tracer.mark(tensor), "read or made by a convolution of complex numbers")
        tracer.tag(call.out, Mark({}))
        return
    if tracer.mark(weight).signal:
        for tensor in (signal, weight):
            tracer.freeze(tracer.mark(tensor), "read by a convolution whose weights depend on the input")
        tracer.tag(call.out, Mark({}))
        return
    tracer.freeze(mark, "lies on an axis that a convolution slides along", axes=tuple(range(2, signal.dim())))
    # A transposed convolution pads nothing, but its borders are reached by fewer weights: a constant does not
    # arrive as a constant there either.
    borders = any(padding) or (transposed and any(size > 1 for size in weight.shape[2:]))
    if groups > 1:
        _grouped(tracer, call, mark.planes.get(1), borders=borders)
        return
    in_axis, out_axis = (0, 1) if transposed else (1, 0)
    read(tracer, mark.planes.get(1), weight, in_axis, out_axis, bias, padded=borders)
    own, maker = made(tracer, weight, out_axis, bias)
    tracer.tag(call.out, Mark({} if own is None else {1: own}, read=len(tracer.reads) - 1, maker=maker))


def _grouped(tracer: Tracer, call: Call, plane: Plane | None, *, borders: bool) -> None:
    """All channels of a group, those that are read and those that are made, go together."""
    weight, bias, transposed, groups = call.args[1], call.args[2], call.args[6], call.args[8]
    own, maker = _group_units(tracer, weight, bias, groups) if transposed else made(tracer, weight, 0, bias)
    signal = tracer.mark(call.args[0])
    if own is None or plane is None:
        tracer.freeze(signal, "read by a grouped convolution that surgery cannot cut")
        if own is not None:
            tracer.coupling.freeze(
                own.labels, "made by a grouped convolution that reads a signal of fixed size"
            )
        tracer.tag(call.out, Mark({}))
        return
    inside = plane.labels.reshape(groups, -1)
    outside = own.labels.reshape(groups, -1)
    tracer.coupling.unite(inside, inside[:, :1])
    tracer.coupling.unite(outside, inside[:, :1])
    if not _counts_its_groups(tracer, int(own.labels[0]), groups):
        tracer.rigid.append(own.labels)
    # [made, read by its group, ...] of both kinds.
    rows = (
        weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1) if transposed else weight
    )
    sent = _sent(plane, own, rows, bias, groups, borders=borders)
    tracer.tag(call.out, Mark({1: Plane(own.labels, sent)}, maker=maker))


def _group_units(
    tracer: Tracer, weight: Tensor, bias: Tensor | None, groups: int
) -> tuple[Plane | None, str | None]:
    """What a transposed convolution of groups makes: no axis of its weight, [read, made by a group, ...]."""
    read_by = tracer.mark(weight).planes.get(0)
    if read_by is None:
        return None, None
    by_group = read_by.labels.reshape(groups, -1)
    tracer.coupling.unite(by_group, by_group[:, :1])
    labels: Labels = np.repeat(by_group[:, 0], weight.shape[1])
    named = tracer.mark(bias).planes.get(0) if bias is not None else None
    if bias is not None:
        if named is None:
            return None, None
        tracer.coupling.unite(named.labels, labels)
    maker = None
    if by_group.shape[1] == weight.shape[1] == 1:
        labels = read_by.labels
        maker = tracer.produce(labels)
    elif named is not None:
        labels = named.labels
        maker = tracer.produce(labels)
    rows = weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)
    return Plane(labels, silent_rows(rows, 0, bias, labels)), maker


def _counts_its_groups(tracer: Tracer, label: int, groups: int) -> bool:
    """Whether the number of groups is one that surgery keeps right, and not one in somebody's code."""
    layer = tracer.owner(label)[0].rpartition(".")[0]
    module = tracer.modules.get(layer)
    return isinstance(module, nn.modules.conv._ConvNd) and module.groups == groups


def _sent(
    plane: Plane, own: Plane, rows: Tensor, bias: Tensor | None, groups: int, *, borders: bool
) -> Constant:
    """A group that is silent, or reads constants only and no padding, sends a constant."""
    members = len(plane.labels) // groups
    per_group = len(own.labels) // groups

    def compute(positions: Positions, held: Held) -> Values:
        alone = own.constant.at(positions, held)
        sources = (positions[:, None] // per_group * members + np.arange(members)).reshape(-1)
        arriving = plane.constant.at(sources, held).reshape(2, len(positions), members)
        index = torch.from_numpy(positions).to(rows.device)
        sums = rows[index].flatten(2).sum(2).double().cpu().numpy()
        added = bias[index].double().cpu().numpy() if bias is not None else np.zeros(len(positions))
        passed = (arriving * sums).sum(axis=2) + added
        if borders:
            passed = np.where((arriving == 0.0).all(axis=2), added, np.nan)
        return np.where(np.isnan(alone), passed, alone)

    return Constant(compute)


RULES = {"convolution": convolution}
