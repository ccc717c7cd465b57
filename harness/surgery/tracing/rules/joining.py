"""Operations that put tensors together, pad them, or make others of their shape."""

import numpy as np
from torch import Tensor

from harness.surgery.tracing.marks import (
    VARYING,
    Constant,
    Held,
    Mark,
    Plane,
    Positions,
    Values,
    agreed,
    always,
)
from harness.surgery.tracing.rules.meeting import meet, sends
from harness.surgery.tracing.tracer import Call, Rule, Tracer


def cat(tracer: Tracer, call: Call) -> None:
    """Parts one after the other on one axis; on the other axes they lie side by side."""
    parts: list[Tensor] = [part for part in call.args[0] if part.dim() == call.out.dim()]
    out: Tensor = call.out
    axis = call.argument(1, "dim", 0) % out.dim()
    marks = [tracer.mark(part) for part in parts]
    planes: dict[int, Plane] = {}
    if any(axis in mark.planes for mark in marks):
        planes[axis] = _joined(tracer, parts, marks, axis)
    for other in range(out.dim()):
        if other != axis and (plane := _side_by_side(tracer, parts, marks, other)) is not None:
            planes[other] = plane
    tracer.tag(out, Mark(planes, any(mark.signal for mark in marks)))


def _side_by_side(tracer: Tracer, parts: list[Tensor], marks: list[Mark], axis: int) -> Plane | None:
    there = [(part, mark, axis) for part, mark in zip(parts, marks, strict=True)]
    labels = meet(tracer, there, "concatenated with a tensor of fixed size")
    if labels is None:
        return None
    return Plane(labels, agreed([sends(tracer, *own) for own in there]))


def _joined(tracer: Tracer, parts: list[Tensor], marks: list[Mark], axis: int) -> Plane:
    planes: list[Plane] = []
    for part, mark in zip(parts, marks, strict=True):
        if axis in mark.planes:
            planes.append(Plane(mark.planes[axis].labels, sends(tracer, part, mark, axis)))
        else:
            # Positions that belong to no unit (an image put beside features) still take their place.
            planes.append(_fixed(tracer, part.shape[axis], VARYING))
    return _row(planes)


def _fixed(tracer: Tracer, count: int, constant: Constant) -> Plane:
    labels = tracer.coupling.fresh(count)
    tracer.coupling.freeze(labels, "belongs to a tensor of fixed size")
    return Plane(labels, constant)


def _row(planes: list[Plane]) -> Plane:
    """Planes one after the other."""
    ends = np.cumsum([len(plane.labels) for plane in planes])

    def compute(positions: Positions, held: Held) -> Values:
        values = np.full((2, len(positions)), np.nan)
        places = np.searchsorted(ends, positions, side="right")
        for place in np.unique(places).tolist():
            chosen = places == place
            first = ends[place] - len(planes[place].labels)
            values[:, chosen] = planes[place].constant.at(positions[chosen] - first, held)
        return values

    return Plane(np.concatenate([plane.labels for plane in planes]), Constant(compute))


def pad(tracer: Tracer, call: Call) -> None:
    """A value put around the last axes; around units it takes places that must stay."""
    source, widths = call.args[:2]
    value = float(call.argument(2, "value", 0) or 0.0)
    mark = tracer.mark(source)
    planes: dict[int, Plane] = {}
    last = source.dim() - 1
    around = {last - place: (widths[2 * place], widths[2 * place + 1]) for place in range(len(widths) // 2)}
    bordered = {axis for axis, (before, after) in around.items() if before > 0 or after > 0}
    for axis, plane in mark.planes.items():
        before, after = around.get(axis, (0, 0))
        if before < 0 or after < 0:
            tracer.freeze(mark, "cut at fixed bounds", axes=(axis,))
            continue
        constant = _bordered(plane.constant, value) if bordered - {axis} else plane.constant
        planes[axis] = Plane(plane.labels, constant)
        if axis in bordered:
            own = [_fixed(tracer, width, always(value)) for width in (before, after)]
            planes[axis] = _row([own[0], planes[axis], own[1]])
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
    place = call.argument(1, "dim", 0) % call.out.dim()
    marks = [tracer.mark(part) for part in parts]
    planes: dict[int, Plane] = {}
    for axis in range(parts[0].dim()):
        if (plane := _side_by_side(tracer, parts, marks, axis)) is not None:
            planes[axis + (axis >= place)] = plane
    tracer.tag(call.out, Mark(planes, any(mark.signal for mark in marks)))


def anew(tracer: Tracer, call: Call) -> None:
    """A tensor of any shape, full of one number, of the kind of another tensor."""
    value = {"new_zeros": 0.0, "new_ones": 1.0, "new_full": call.argument(2, "fill_value", np.nan)}
    tracer.fill(call.out, float(value.get(call.name, np.nan)))


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


RULES: dict[str, Rule] = {
    "cat": cat,
    "stack": stack,
    "constant_pad_nd": pad,
    **dict.fromkeys(
        (f"{kind}_pad{n}d" for kind in ("reflection", "replication") for n in (1, 2, 3)), mirror_pad
    ),
    **dict.fromkeys(("new_zeros", "new_ones", "new_full", "new_empty", "new_empty_strided"), anew),
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
