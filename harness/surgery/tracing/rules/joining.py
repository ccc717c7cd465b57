"""Operations that put tensors together or take them apart: concatenation, padding, splitting, look-ups."""

import numpy as np
import torch
from torch import Tensor

from harness.surgery.tracing.marks import Constant, Held, Mark, Plane, Positions, Values, agreed, always
from harness.surgery.tracing.tracer import Call, Tracer


def split(tracer: Tracer, call: Call) -> None:
    """Equal parts of an axis: they must stay equal, so a unit goes with its like in the other parts."""
    source, size = call.args[:2]
    axis = call.argument(2, "dim", 0) % source.dim()
    mark = tracer.mark(source)
    plane = mark.planes.get(axis)
    others = {a: p for a, p in mark.planes.items() if a != axis}
    fixed = plane is not None and (not isinstance(size, int) or source.shape[axis] % size != 0)
    if plane is not None and fixed:
        tracer.coupling.freeze(plane.labels, "split at fixed bounds")
    elif plane is not None:
        tracer.rigid.append(plane.labels)
        parts = plane.labels.reshape(-1, size)
        tracer.coupling.unite(parts, parts[:1])
    for index, part in enumerate(call.out):
        planes = dict(others)
        if plane is not None and not fixed:
            first = index * size
            planes[axis] = Plane(plane.labels[first : first + size], _offset(plane.constant, first))
        tracer.tag(part, Mark(planes, mark.signal))


def _offset(constant: Constant, first: int) -> Constant:
    def compute(positions: Positions, held: Held) -> Values:
        return constant.at(positions + first, held)

    return Constant(compute)


def cat(tracer: Tracer, call: Call) -> None:
    """Parts one after the other on one axis; on the other axes they lie side by side."""
    parts: list[Tensor] = [part for part in call.args[0] if part.dim() == call.out.dim()]
    out: Tensor = call.out
    axis = call.argument(1, "dim", 0) % out.dim()
    marks = [tracer.mark(part) for part in parts]
    planes: dict[int, Plane] = {}
    for other in range(out.dim()):
        found = [mark.planes.get(other) for mark in marks]
        if all(plane is None for plane in found):
            continue
        if other == axis:
            planes[axis] = _joined(tracer, parts, found, axis)
            continue
        present = [plane for plane in found if plane is not None]
        for plane in present[1:]:
            tracer.coupling.unite(present[0].labels, plane.labels)
        if len(present) < len(found):
            tracer.coupling.freeze(present[0].labels, "concatenated with a tensor of fixed size")
            continue
        planes[other] = Plane(present[0].labels, agreed([plane.constant for plane in present]))
    tracer.tag(out, Mark(planes, any(mark.signal for mark in marks)))


def _joined(tracer: Tracer, parts: list[Tensor], planes: list[Plane | None], axis: int) -> Plane:
    labels = []
    for part, plane in zip(parts, planes, strict=True):
        if plane is not None:
            labels.append(plane.labels)
            continue
        # Positions that belong to no unit (an image put beside features) still take their place.
        labels.append(tracer.coupling.fresh(part.shape[axis]))
        tracer.coupling.freeze(labels[-1], "belongs to a tensor of fixed size")
    ends = np.cumsum([part.shape[axis] for part in parts])

    def compute(positions: Positions, held: Held) -> Values:
        values = np.full((2, len(positions)), np.nan)
        places = np.searchsorted(ends, positions, side="right")
        for place in np.unique(places).tolist():
            plane = planes[place]
            if plane is not None:
                chosen = places == place
                first = ends[place] - parts[place].shape[axis]
                values[:, chosen] = plane.constant.at(positions[chosen] - first, held)
        return values

    return Plane(np.concatenate(labels), Constant(compute))


def pad(tracer: Tracer, call: Call) -> None:
    """A value put around the last axes."""
    source, widths = call.args[:2]
    value = call.argument(2, "value", 0) or 0.0
    mark = tracer.mark(source)
    padded = {source.dim() - 1 - index // 2 for index, width in enumerate(widths) if width}
    tracer.freeze(mark, "padded on its own axis", axes=tuple(padded))
    planes = {
        axis: Plane(plane.labels, _bordered(plane.constant, float(value)))
        for axis, plane in mark.planes.items()
        if axis not in padded
    }
    tracer.tag(call.out, Mark(planes, mark.signal))


def _bordered(constant: Constant, value: float) -> Constant:
    def compute(positions: Positions, held: Held) -> Values:
        values = constant.at(positions, held)
        return np.where(values == value, values, np.nan)

    return Constant(compute)


def mirror_pad(tracer: Tracer, call: Call) -> None:
    """Entries repeated around the last axes: a constant stays one."""
    source: Tensor = call.args[0]
    mark = tracer.mark(source)
    padded = tuple(axis for axis in range(source.dim()) if source.shape[axis] != call.out.shape[axis])
    tracer.freeze(mark, "padded on its own axis", axes=padded)
    tracer.tag(call.out, Mark({a: p for a, p in mark.planes.items() if a not in padded}, mark.signal))


def stack(tracer: Tracer, call: Call) -> None:
    """Parts side by side on a new axis, which belongs to no unit."""
    parts: list[Tensor] = list(call.args[0])
    out: Tensor = call.out
    place = call.argument(1, "dim", 0) % out.dim()
    marks = [tracer.mark(part) for part in parts]
    planes: dict[int, Plane] = {}
    for axis in range(parts[0].dim()):
        found = [mark.planes[axis] for mark in marks if axis in mark.planes]
        for plane in found[1:]:
            tracer.coupling.unite(found[0].labels, plane.labels)
        if found and len(found) < len(parts):
            tracer.coupling.freeze(found[0].labels, "stacked with a tensor of fixed size")
        elif found:
            planes[axis + (axis >= place)] = Plane(found[0].labels, agreed([p.constant for p in found]))
    tracer.tag(out, Mark(planes, any(mark.signal for mark in marks)))


def like(tracer: Tracer, call: Call) -> None:
    """A tensor of the same shape with other values, e.g. the noise of dropout."""
    mark = tracer.mark(call.args[0])
    planes = {axis: Plane(plane.labels) for axis, plane in mark.planes.items()}
    tracer.tag(call.out, Mark(planes, mark.signal))


def filled(tracer: Tracer, call: Call) -> None:
    """A tensor of the same shape that is full of one number."""
    mark = tracer.mark(call.args[0])
    number = {"zeros_like": 0, "ones_like": 1}.get(call.name)
    value = call.argument(1, "fill_value") if number is None else number
    if isinstance(value, Tensor):
        value = value.item() if not tracer.mark(value).signal else np.nan
    planes = {axis: Plane(plane.labels, always(float(value))) for axis, plane in mark.planes.items()}
    tracer.tag(call.out, Mark(planes, mark.signal))


def unbind(tracer: Tracer, call: Call) -> None:
    """All positions of an axis, one by one."""
    source: Tensor = call.args[0]
    axis = call.argument(1, "dim", 0) % source.dim()
    mark = tracer.mark(source)
    tracer.freeze(mark, "taken apart position by position", axes=(axis,))
    planes = {old - (old > axis): plane for old, plane in mark.planes.items() if old != axis}
    for part in call.out:
        tracer.tag(part, Mark(planes, mark.signal))


def embedding(tracer: Tracer, call: Call) -> None:
    """Rows of a table looked up, one by one or in bags: its columns are units."""
    table: Tensor = call.args[0]
    out: Tensor = call.out[0] if isinstance(call.out, tuple) else call.out
    mark = tracer.mark(table)
    tracer.freeze(mark, "indexed by the network's input", axes=(0,))
    plane = mark.planes.get(1)
    if plane is None:
        tracer.tag(out, Mark({}))
        return
    tracer.produce(plane.labels)

    def compute(positions: Positions, held: Held) -> Values:
        live = table[:, torch.from_numpy(positions).to(table.device)].any(0).cpu().numpy()
        value = np.where(live, np.nan, 0.0)
        if held is not None:
            value = np.where(held[plane.labels[positions]], 0.0, value)
        return np.stack([value, value])

    tracer.tag(out, Mark({out.dim() - 1: Plane(plane.labels, Constant(compute))}))


RULES = {
    "split": split,
    "split_with_sizes": split,
    "cat": cat,
    "stack": stack,
    "unbind": unbind,
    "constant_pad_nd": pad,
    "reflection_pad1d": mirror_pad,
    "reflection_pad2d": mirror_pad,
    "replication_pad1d": mirror_pad,
    "replication_pad2d": mirror_pad,
    "embedding": embedding,
    "_embedding_bag": embedding,
    "_embedding_bag_forward_only": embedding,
    "bernoulli": like,
    "empty_like": like,
    "rand_like": like,
    "randint_like": like,
    "randn_like": like,
    **dict.fromkeys(
        ("normal", "uniform", "exponential", "random", "geometric", "log_normal", "cauchy"), like
    ),
    **dict.fromkeys(("zeros_like", "ones_like", "full_like"), filled),
}
