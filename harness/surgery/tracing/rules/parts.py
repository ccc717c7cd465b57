"""Operations that take an axis in parts: splits, slices, gated halves, single positions."""

import numpy as np
from torch import Tensor

from harness.surgery.tracing.bounds import found_alone, found_together
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import Constant, Held, Mark, Plane, Positions, Values
from harness.surgery.tracing.tracer import Call, Tracer

_BOUNDS = "cut at fixed bounds"


def split(tracer: Tracer, call: Call) -> None:
    """Parts of an axis. Equal ones must stay equal: a unit goes with its like in the others."""
    source: Tensor = call.args[0]
    axis = call.argument(2, "dim", 0) % source.dim()
    mark = tracer.mark(source)
    plane = mark.planes.get(axis)
    parts = _taken_apart(tracer, plane, call.args[1]) if plane is not None else []
    others = {a: p for a, p in mark.planes.items() if a != axis}
    for index, part in enumerate(call.out):
        tracer.tag(part, Mark(others | ({axis: parts[index]} if parts else {}), mark.signal))


def _taken_apart(tracer: Tracer, plane: Plane, given: int | list[int]) -> list[Plane]:
    """The parts of an axis by their length or lengths; none where nothing says how they go on."""
    count = len(plane.labels)
    sizes = [given] * (count // max(given, 1)) if isinstance(given, int) else list(given)
    ends = np.cumsum(sizes).tolist()
    parts = [_stretch(plane, end - size, end) for size, end in zip(sizes, ends, strict=True)]
    labels = [part.labels for part in parts]
    if not isinstance(given, int) and found_together(tracer, labels):
        _stand(tracer, plane, labels, [True] * len(labels))
        return parts
    if len(set(sizes)) == 1 and ends[-1] == count:
        return [_part(tracer, plane, end - size, size, 1) for size, end in zip(sizes, ends, strict=True)]
    if isinstance(given, int):
        tracer.coupling.freeze(plane.labels, _BOUNDS)
        return []
    _stand(tracer, plane, labels, found_alone(tracer, labels))
    return parts


def _stretch(plane: Plane, start: int, end: int) -> Plane:
    places = np.arange(start, end)
    return Plane(plane.labels[places], at(plane.constant, places))


def _stand(tracer: Tracer, plane: Plane, stretches: list[Labels], known: list[bool]) -> None:
    """Stretches of an axis stay as long as they are, but for those whose length is a number that is known."""
    tracer.rigid.append(plane.labels)
    for labels, follows in zip(stretches, known, strict=True):
        if follows:
            tracer.stretches.append(labels)
        else:
            tracer.coupling.freeze(labels, _BOUNDS)


def _part(tracer: Tracer, plane: Plane, start: int, size: int, step: int) -> Plane:
    """One of equal parts of an axis, in blocks of `size` or every `step`-th; like goes with like."""
    tracer.rigid.append(plane.labels)
    if step == 1:
        parts = plane.labels.reshape(-1, size)
        tracer.coupling.unite(parts, parts[:1])
    else:
        parts = plane.labels.reshape(-1, step)
        tracer.coupling.unite(parts, parts[:, :1])
    places = np.arange(start, start + size * step, step)
    return Plane(plane.labels[places], at(plane.constant, places))


def at(constant: Constant, places: Positions) -> Constant:
    """What the positions `places` send, one for each position of another axis."""

    def compute(positions: Positions, held: Held) -> Values:
        return constant.at(places[positions], held)

    return Constant(compute)


def slice_(tracer: Tracer, call: Call) -> None:
    """A range of an axis: of units it must be one of equal parts, as the halves of a gated unit are."""
    source: Tensor = call.args[0]
    out: Tensor = call.out
    axis = call.argument(1, "dim", 0) % source.dim()
    mark = tracer.mark(source)
    count, size = source.shape[axis], out.shape[axis]
    if size == count:
        tracer.tag(out, mark)
        return
    plane = mark.planes.get(axis)
    planes = {a: p for a, p in mark.planes.items() if a != axis}
    if plane is not None:
        start = call.argument(2, "start") or 0
        start = max(start + count, 0) if start < 0 else start
        step = call.argument(4, "step", 1)
        whole = size > 1 and count % size == 0
        if whole and (start % size == 0 if step == 1 else step * size == count and start < step):
            planes[axis] = _part(tracer, plane, start, size, step)
        elif step == 1 and (start == 0 or start + size == count):
            planes[axis] = _end(tracer, plane, start, start + size, call)
        else:
            tracer.coupling.freeze(plane.labels, _BOUNDS)
    tracer.tag(out, Mark(planes, mark.signal))


def _end(tracer: Tracer, plane: Plane, start: int, end: int, call: Call) -> Plane:
    """What lies before a bound, or behind it: the code says how far that is from one of the ends."""
    given = call.argument(3, "end") if start == 0 else call.argument(2, "start")
    bound = end if start == 0 else start
    counted, rest = (plane.labels[:bound], plane.labels[bound:])[:: -1 if given < 0 else 1]
    _stand(tracer, plane, [counted], found_alone(tracer, [counted]))
    tracer.stretches.append(rest)
    return _stretch(plane, start, end)


def gated(tracer: Tracer, call: Call) -> None:
    """The first half of an axis, times the sigmoid of the second."""
    source: Tensor = call.args[0]
    axis = call.argument(1, "dim", -1) % source.dim()
    mark = tracer.mark(source)
    planes = {a: Plane(p.labels, _glu(p.constant, p.constant)) for a, p in mark.planes.items()}
    if axis in planes:
        half = source.shape[axis] // 2
        value, gate = (_part(tracer, mark.planes[axis], first, half, 1) for first in (0, half))
        planes[axis] = Plane(value.labels, _glu(value.constant, gate.constant))
    tracer.tag(call.out, Mark(planes, mark.signal))


def _glu(value: Constant, gate: Constant) -> Constant:
    def compute(positions: Positions, held: Held) -> Values:
        sent = value.at(positions, held)
        return np.where(sent == 0.0, 0.0, sent / (1 + np.exp(-gate.at(positions, held))))

    return Constant(compute)


def flip(tracer: Tracer, call: Call) -> None:
    """Axes read backwards."""
    source: Tensor = call.args[0]
    mark = tracer.mark(source)
    planes = dict(mark.planes)
    for axis in {axis % source.dim() for axis in call.args[1]} & mark.planes.keys():
        places = np.arange(source.shape[axis])[::-1].copy()
        planes[axis] = Plane(planes[axis].labels[places], at(planes[axis].constant, places))
    tracer.tag(call.out, Mark(planes, mark.signal))


def roll(tracer: Tracer, call: Call) -> None:
    """Entries moved along axes of which none may belong to units."""
    source: Tensor = call.args[0]
    mark = tracer.mark(source)
    axes = tuple(a % source.dim() for a in call.argument(2, "dims", [])) or tuple(range(source.dim()))
    tracer.freeze(mark, "moved by roll", axes=axes)
    tracer.tag(call.out, Mark({a: p for a, p in mark.planes.items() if a not in axes}, mark.signal))


def select(tracer: Tracer, call: Call) -> None:
    """One position of an axis."""
    source: Tensor = call.args[0]
    axis = call.args[1] % source.dim()
    mark = tracer.mark(source)
    tracer.freeze(mark, "picked by a fixed index", axes=(axis,))
    planes = {old - (old > axis): plane for old, plane in mark.planes.items() if old != axis}
    tracer.tag(call.out, Mark(planes, mark.signal, mark.source, mark.scaled_by))


def unbind(tracer: Tracer, call: Call) -> None:
    """All positions of an axis, one by one."""
    source: Tensor = call.args[0]
    axis = call.argument(1, "dim", 0) % source.dim()
    mark = tracer.mark(source)
    tracer.freeze(mark, "taken apart position by position", axes=(axis,))
    planes = {old - (old > axis): plane for old, plane in mark.planes.items() if old != axis}
    for part in call.out:
        tracer.tag(part, Mark(planes, mark.signal))


RULES = {
    "split": split,
    "split_with_sizes": split,
    "slice": slice_,
    "glu": gated,
    "flip": flip,
    "roll": roll,
    "select": select,
    "unbind": unbind,
}
