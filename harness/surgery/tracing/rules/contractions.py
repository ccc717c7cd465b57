"""Matrix products and convolutions: the operations that make units and read them."""

import numpy as np
import torch
from torch import Tensor

from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import VARYING, Constant, Held, Mark, Plane, Positions, Read, Values
from harness.surgery.tracing.tracer import Call, Tracer


def addmm(tracer: Tracer, call: Call) -> None:
    """bias + x @ w."""
    bias, left, right = call.args
    _product(tracer, call, left, right, bias)


def mm(tracer: Tracer, call: Call) -> None:
    """x @ w."""
    left, right = call.args
    _product(tracer, call, left, right, None)


def linear(tracer: Tracer, call: Call) -> None:
    """x @ w.T + bias, where it arrives in one piece."""
    signal, weight = call.args[:2]
    mark = tracer.mark(weight)
    turned = Mark(
        {1 - axis: plane for axis, plane in mark.planes.items()}, False, mark.source, mark.scaled_by
    )
    view = weight.t()
    tracer.tag(view, turned)
    _product(tracer, call, signal, view, call.argument(2, "bias"))


def _product(tracer: Tracer, call: Call, left: Tensor, right: Tensor, bias: Tensor | None) -> None:
    if tracer.mark(right).signal or not tracer.mark(left).signal:
        if bias is not None:
            tracer.freeze(tracer.mark(bias), "added to a product of two signals")
        _signals(tracer, call, left, right)
        return
    last = left.dim() - 1
    mark = tracer.mark(left)
    _read(tracer, mark.planes.get(last), right, 0, 1, bias, padded=False)
    made, maker = _made(tracer, right, 1, bias)
    planes = {axis: Plane(plane.labels, _mixed(plane.constant, bias)) for axis, plane in mark.planes.items()}
    planes.pop(last, None)
    if made is not None:
        planes[last] = made
    tracer.tag(call.out, Mark(planes, read=len(tracer.reads) - 1, maker=maker))


def _mixed(constant: Constant, bias: Tensor | None) -> Constant:
    """Units on an axis that a product leaves alone: silence stays silence if nothing is added."""

    def compute(positions: Positions, held: Held) -> Values:
        values = constant.at(positions, held)
        return np.where(values == 0.0, 0.0, np.nan)

    return VARYING if bias is not None else Constant(compute)


def _either(first: Constant, second: Constant) -> Constant:
    """A product is silent where one of its factors is."""

    def compute(positions: Positions, held: Held) -> Values:
        silent = (first.at(positions, held) == 0.0) | (second.at(positions, held) == 0.0)
        return np.where(silent, 0.0, np.nan)

    return Constant(compute)


def _read(
    tracer: Tracer,
    plane: Plane | None,
    weight: Tensor,
    in_axis: int,
    out_axis: int,
    bias: Tensor | None,
    *,
    padded: bool,
) -> None:
    """A weight reads a signal along an axis: its columns belong to the signal's units."""
    mark = tracer.mark(weight)
    columns = mark.planes.get(in_axis)
    if plane is None:
        if columns is not None:
            tracer.coupling.freeze(columns.labels, "reads a signal of fixed size")
        plane = Plane(np.empty(0, dtype=np.int64))
    elif columns is None:
        tracer.coupling.freeze(
            plane.labels, "read by a weight that is computed in a way surgery cannot follow"
        )
    else:
        tracer.coupling.unite(columns.labels, plane.labels)
    bias_mark = tracer.mark(bias) if bias is not None else None
    source, own_in, own_out, positions = mark.source, in_axis, out_axis, np.arange(0)
    if source is not None and columns is not None and out_axis in mark.planes:
        start = int(columns.labels[0]) if len(columns.labels) else 0
        own_in = tracer.owner(start)[1]
        own_out = tracer.owner(int(mark.planes[out_axis].labels[0]))[1]
        positions = columns.labels - tracer.starts[source][own_in]
    foldable = source is not None and (bias_mark is None or bias_mark.scaled_by == mark.scaled_by)
    tracer.reads.append(
        Read(
            weight=source,
            in_axis=own_in,
            out_axis=own_out,
            in_positions=positions,
            bias=bias_mark.source if bias_mark is not None else None,
            foldable=foldable and (bias is None) == (bias_mark is None or bias_mark.source is None),
            scaled=bool(mark.scaled_by),
            padded=padded,
            signal=plane,
        )
    )


def _made(
    tracer: Tracer, weight: Tensor, out_axis: int, bias: Tensor | None
) -> tuple[Plane | None, str | None]:
    """The units that a weight's rows make, and the layer they are of."""
    rows = tracer.mark(weight).planes.get(out_axis)
    bias_plane = tracer.mark(bias).planes.get(0) if bias is not None else None
    if rows is None:
        if bias_plane is not None:
            tracer.coupling.freeze(bias_plane.labels, "added to a tensor of fixed size")
        return None, None
    if bias_plane is not None:
        tracer.coupling.unite(rows.labels, bias_plane.labels)
    maker = tracer.produce(rows.labels)
    return Plane(rows.labels, _silent_rows(weight, out_axis, bias, rows.labels)), maker


def _silent_rows(weight: Tensor, out_axis: int, bias: Tensor | None, labels: Labels) -> Constant:
    """A unit whose incoming weights are all zero sends its bias."""

    def compute(positions: Positions, held: Held) -> Values:
        index = torch.from_numpy(positions).to(weight.device)
        live = weight.movedim(out_axis, 0)[index].flatten(1).any(1).cpu().numpy()
        value = bias[index].double().cpu().numpy() if bias is not None else np.zeros(len(positions))
        value = np.where(live, np.nan, value)
        if held is not None:
            value = np.where(held[labels[positions]], 0.0, value)
        return np.stack([value, value])

    return Constant(compute)


def convolution(tracer: Tracer, call: Call) -> None:
    """Convolutions of any number of dimensions: plain, transposed, grouped, depthwise."""
    signal, weight, bias, _, padding, _, transposed, _, groups = call.args[:9]
    mark = tracer.mark(signal)
    if tracer.mark(weight).signal:
        for tensor in (signal, weight):
            tracer.freeze(tracer.mark(tensor), "read by a convolution whose weights depend on the input")
        tracer.tag(call.out, Mark({}))
        return
    tracer.freeze(mark, "lies on an axis that a convolution slides along", axes=tuple(range(2, signal.dim())))
    plane = mark.planes.get(1)
    out: Tensor = call.out
    if groups == 1:
        in_axis, out_axis = (0, 1) if transposed else (1, 0)
        # A transposed convolution pads nothing, but its borders are reached by fewer weights: a constant
        # does not arrive as a constant there either.
        borders = transposed and any(size > 1 for size in weight.shape[2:])
        _read(tracer, plane, weight, in_axis, out_axis, bias, padded=any(padding) or borders)
        made, maker = _made(tracer, weight, out_axis, bias)
        planes = {} if made is None else {1: made}
        tracer.tag(out, Mark(planes, read=len(tracer.reads) - 1, maker=maker))
        return
    made, maker = (None, None) if transposed else _made(tracer, weight, 0, bias)
    if made is None or plane is None:
        tracer.freeze(mark, "read by a grouped convolution that surgery cannot cut")
        if made is not None:
            tracer.coupling.freeze(
                made.labels, "made by a grouped convolution that reads a signal of fixed size"
            )
        tracer.tag(out, Mark({}))
        return
    inside = plane.labels.reshape(groups, -1)
    outside = made.labels.reshape(groups, -1)
    tracer.coupling.unite(inside, inside[:, :1])
    tracer.coupling.unite(outside, inside[:, :1])
    sent = _grouped(plane, made, weight, bias, groups, padded=any(padding))
    tracer.tag(out, Mark({1: Plane(made.labels, sent)}, maker=maker))


def _grouped(
    plane: Plane, made: Plane, weight: Tensor, bias: Tensor | None, groups: int, *, padded: bool
) -> Constant:
    """A group that is silent, or reads constants only and no padding, sends a constant."""
    members = len(plane.labels) // groups
    per_group = len(made.labels) // groups

    def compute(positions: Positions, held: Held) -> Values:
        own = made.constant.at(positions, held)
        sources = (positions[:, None] // per_group * members + np.arange(members)).reshape(-1)
        arriving = plane.constant.at(sources, held).reshape(2, len(positions), members)
        index = torch.from_numpy(positions).to(weight.device)
        sums = weight[index].flatten(2).sum(2).double().cpu().numpy()
        added = bias[index].double().cpu().numpy() if bias is not None else np.zeros(len(positions))
        passed = (arriving * sums).sum(axis=2) + added
        if padded:
            passed = np.where((arriving == 0.0).all(axis=2), added, np.nan)
        return np.where(np.isnan(own), passed, own)

    return Constant(compute)


def batched_product(tracer: Tracer, call: Call) -> None:
    """A product of two signals."""
    left, right = call.args[:2]
    _signals(tracer, call, left, right)


def _signals(tracer: Tracer, call: Call, left: Tensor, right: Tensor) -> None:
    """What a product of two signals sums over must stay, what it leaves alone stays marked."""
    marks = tracer.mark(left), tracer.mark(right)
    signal = marks[0].signal or marks[1].signal
    reason = "summed over in a product of two signals"
    tracer.freeze(marks[0], reason, axes=(left.dim() - 1,))
    tracer.freeze(marks[1], reason, axes=(right.dim() - 2,))
    planes: dict[int, Plane] = {}
    for axis in range(left.dim() - 2):
        first, second = marks[0].planes.get(axis), marks[1].planes.get(axis)
        if first is not None and second is not None:
            tracer.coupling.unite(first.labels, second.labels)
            planes[axis] = Plane(first.labels, _either(first.constant, second.constant))
            continue
        for mark in marks:
            tracer.freeze(mark, "multiplied with a tensor of fixed size", axes=(axis,))
    rows, columns = marks[0].planes.get(left.dim() - 2), marks[1].planes.get(right.dim() - 1)
    if rows is not None:
        planes[left.dim() - 2] = Plane(rows.labels, _mixed(rows.constant, None))
    if columns is not None:
        planes[left.dim() - 1] = Plane(columns.labels, _mixed(columns.constant, None))
    tracer.tag(call.out, Mark(planes, signal=signal))


RULES = {"addmm": addmm, "mm": mm, "linear": linear, "convolution": convolution, "bmm": batched_product}
