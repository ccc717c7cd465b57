"""Matrix products: operations that make units and read them."""

import numpy as np
import torch
from torch import Tensor

from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import (
    VARYING,
    Constant,
    Held,
    Mark,
    Pair,
    Plane,
    Positions,
    Read,
    Values,
    real_numbers,
)
from harness.surgery.tracing.paths import layer_of
from harness.surgery.tracing.rules.elementwise import pointwise
from harness.surgery.tracing.rules.meeting import only_silence, sends
from harness.surgery.tracing.tracer import Call, Tracer


def addmm(tracer: Tracer, call: Call) -> None:
    """bias + x @ w."""
    bias, left, right = call.args
    if bias.dim() == 1 and [call.kwargs.get(name, 1) for name in ("alpha", "beta")] == [1, 1]:
        _product(tracer, call, left, right, bias)
        return
    read = len(tracer.reads)
    product = call.out.detach()
    _product(tracer, Call("mm", call.func, call.args[1:], {}, product), left, right, None)
    for own in tracer.reads[read:]:
        own.foldable = False  # whatever weighs the two, no constant can be put into a bias here
    _weighed_sum(tracer, call, bias, product)


def _weighed_sum(tracer: Tracer, call: Call, bias: Tensor, product: Tensor) -> None:
    """beta * bias + alpha * product."""
    alpha, beta = (call.kwargs.get(name, 1) for name in ("alpha", "beta"))
    added = bias.detach() * beta
    if beta == 0:  # what is not counted may hold anything
        added = torch.zeros_like(bias)
        tracer.fill(added, 0.0)
    else:
        tracer.tag(added, Mark(tracer.mark(bias).planes, tracer.mark(bias).signal))
    if alpha != 1:
        planes = {
            a: Plane(p.labels, only_silence(p.constant)) for a, p in tracer.mark(product).planes.items()
        }
        tracer.tag(product, Mark(planes, tracer.mark(product).signal))
    pointwise(tracer, Call("add", torch.ops.aten.add.Tensor, (product, added), {}, call.out))


def added_product(tracer: Tracer, call: Call) -> None:
    """beta * x + alpha * y @ z, of batches or of a matrix and a vector."""
    bias, left, right = call.args[:3]
    product = call.out.detach()
    rule = vector_product if right.dim() == 1 else batched_product
    rule(tracer, Call("bmm", call.func, (left, right), {}, product))
    _weighed_sum(tracer, call, bias, product)


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
    read(tracer, mark.planes.get(last), right, 0, 1, bias, padded=False)
    own, maker = made(tracer, right, 1, bias)
    planes = {axis: Plane(plane.labels, _mixed(plane.constant, bias)) for axis, plane in mark.planes.items()}
    planes.pop(last, None)
    if own is not None:
        planes[last] = own
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


def read(
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
        tracer.coupling.freeze(plane.labels, _mixed_by(tracer, mark.planes.get(out_axis)))
    else:
        tracer.coupling.unite(columns.labels, plane.labels)
    bias_mark = tracer.mark(bias) if bias is not None else None
    source, own_in, own_out, positions = mark.source, in_axis, out_axis, np.arange(0)
    if source is not None and columns is not None and out_axis in mark.planes:
        start = int(columns.labels[0]) if len(columns.labels) else 0
        own_in = tracer.owner(start)[1]
        rows = mark.planes[out_axis].labels
        own_out = tracer.owner(int(rows[0]))[1] if len(rows) else 1 - own_in
        positions = columns.labels - tracer.starts[source][own_in]
    plain = source is not None and not weight.is_complex()
    foldable = plain and (bias_mark is None or bias_mark.scaled_by == mark.scaled_by)
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


def _mixed_by(tracer: Tracer, rows: Plane | None) -> str:
    """Why units stay that are read by weights that no longer have an entry of their own for each."""
    if rows is None or not len(rows.labels):
        return "read by a weight that is computed in a way surgery cannot follow"
    layer = layer_of(tracer.owner(int(rows.labels[0]))[0])
    return f"read by {layer!r}, whose weight is computed from its entries together (standardised, say)"


def made(
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
    if not len(rows.labels):  # a layer of no unit, as some heads of a class are
        return None, None
    maker = tracer.produce(rows.labels)
    return Plane(rows.labels, silent_rows(weight, out_axis, bias, rows.labels)), maker


def silent_rows(weight: Tensor, out_axis: int, bias: Tensor | None, labels: Labels) -> Constant:
    """A unit whose incoming weights are all zero sends its bias."""

    def compute(positions: Positions, held: Held) -> Values:
        index = torch.from_numpy(positions).to(weight.device)
        live = weight.movedim(out_axis, 0)[index].flatten(1).any(1).cpu().numpy()
        value = real_numbers(bias[index]) if bias is not None else np.zeros(len(positions))
        value = np.where(live, np.nan, value)
        if held is not None:
            value = np.where(held[labels[positions]], 0.0, value)
        return np.stack([value, value])

    return Constant(compute)


def batched_product(tracer: Tracer, call: Call) -> None:
    """A product of two signals."""
    left, right = call.args[:2]
    _signals(tracer, call, left, right)


def vector_product(tracer: Tracer, call: Call) -> None:
    """A matrix times a vector, or two vectors: what is summed over stays where neither factor is zero."""
    left, right = call.args[:2]
    marks = tracer.mark(left), tracer.mark(right)
    summed_over(tracer, _plane(tracer, left, left.dim() - 1), _plane(tracer, right, 0))
    rows = _plane(tracer, left, 0) if left.dim() > 1 else None
    planes = {} if rows is None else {0: Plane(rows.labels, _mixed(rows.constant, None))}
    tracer.tag(call.out, Mark(planes, marks[0].signal or marks[1].signal))


def _plane(tracer: Tracer, tensor: Tensor, axis: int) -> Plane | None:
    """Units along an axis, and what they send; of a tensor made of weights that is read off it."""
    mark = tracer.mark(tensor)
    plane = mark.planes.get(axis)
    return None if plane is None else Plane(plane.labels, sends(tracer, tensor, mark, axis))


def _signals(tracer: Tracer, call: Call, left: Tensor, right: Tensor) -> None:
    """What a product of two signals sums over must stay, what it leaves alone stays marked."""
    marks = tracer.mark(left), tracer.mark(right)
    signal = marks[0].signal or marks[1].signal
    summed_over(tracer, _plane(tracer, left, left.dim() - 1), _plane(tracer, right, right.dim() - 2))
    planes: dict[int, Plane] = {}
    for axis in range(left.dim() - 2):
        first, second = _plane(tracer, left, axis), _plane(tracer, right, axis)
        if first is not None and second is not None:
            tracer.coupling.unite(first.labels, second.labels)
            planes[axis] = Plane(first.labels, _either(first.constant, second.constant))
            continue
        for mark in marks:
            tracer.freeze(mark, "multiplied with a tensor of fixed size", axes=(axis,))
    rows, columns = _plane(tracer, left, left.dim() - 2), _plane(tracer, right, right.dim() - 1)
    if rows is not None:
        planes[left.dim() - 2] = Plane(rows.labels, _mixed(rows.constant, None))
    if columns is not None:
        planes[left.dim() - 1] = Plane(columns.labels, _mixed(columns.constant, None))
    tracer.tag(call.out, Mark(planes, signal=signal))


def summed_over(tracer: Tracer, left: Plane | None, right: Plane | None) -> None:
    """A product of two signals sums over an axis: a unit of the one goes with its like of the other."""
    if left is not None and right is not None:
        tracer.coupling.unite(left.labels, right.labels)
        tracer.pairs.append(Pair(left, right))
        return
    for plane in (left, right):
        if plane is not None:
            tracer.coupling.freeze(plane.labels, "summed over with a tensor of fixed size")


RULES = {
    "addmm": addmm,
    "mm": mm,
    "linear": linear,
    "bmm": batched_product,
    "baddbmm": added_product,
    "addmv": added_product,
    "mv": vector_product,
    "dot": vector_product,
}
