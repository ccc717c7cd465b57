"""Operations that only move entries: views, permutations, slices."""

from collections.abc import Callable

from torch import Tensor

from harness.surgery.tracing.marks import Mark, Plane, rounded
from harness.surgery.tracing.rules.reshape import merged, reshaped
from harness.surgery.tracing.tracer import Call, Tracer


def keep(tracer: Tracer, call: Call) -> None:
    """The same entries in the same places."""
    tracer.tag(_first(call.out), tracer.mark(call.args[0]))


def cast(tracer: Tracer, call: Call) -> None:
    """The same entries in another type, which may not hold every number."""
    source: Tensor = call.args[0]
    mark = tracer.mark(source)
    kind = call.out.dtype
    if kind == source.dtype or not mark.signal:
        tracer.tag(call.out, mark)
        return
    planes = {axis: Plane(plane.labels, rounded(plane.constant, kind)) for axis, plane in mark.planes.items()}
    tracer.tag(call.out, Mark(planes))


def _first(out: object) -> Tensor:
    tensor = out[0] if isinstance(out, tuple) else out
    assert isinstance(tensor, Tensor)
    return tensor


def view(tracer: Tracer, call: Call) -> None:
    """Axes merged or split."""
    source: Tensor = call.args[0]
    mark = tracer.mark(source)
    out: Tensor = call.out
    if out.dtype != source.dtype:
        tracer.freeze(mark, "read as numbers of another type, bit by bit")
        tracer.tag(out, Mark(signal=mark.signal))
        return
    found: dict[int, list[Plane]] = {}
    # Longest first: an axis of one position that is merged into another is what cannot be cut, not the other.
    for axis, plane in sorted(mark.planes.items(), key=lambda item: -len(item[1].labels)):
        for home, moved in reshaped(tracer, plane, axis, tuple(source.shape), tuple(out.shape)):
            if home in found and len(plane.labels) == 1:
                tracer.coupling.freeze(plane.labels, "two axes of units are merged into one")
            else:
                found.setdefault(home, []).append(moved)
    planes = {home: own[0] if len(own) == 1 else merged(tracer, own) for home, own in found.items()}
    # A vector set up to scale rows is still that vector; a weight in another shape is another weight.
    same = [size for size in source.shape if size > 1] == [size for size in out.shape if size > 1]
    kept = mark.source if same else None
    tracer.tag(out, Mark(planes, mark.signal, kept, mark.scaled_by, read=None))


def as_strided(tracer: Tracer, call: Call) -> None:
    """Strides rewritten: followed where the shape stays."""
    source: Tensor = call.args[0]
    mark = tracer.mark(source)
    if tuple(call.args[1]) == tuple(source.shape) and source.numel() == call.out.numel():
        tracer.tag(call.out, mark)
        return
    tracer.freeze(mark, "read through as_strided")
    tracer.tag(call.out, Mark({}, mark.signal))


def _moved(order: Callable[[Call, int], list[int]]) -> Callable[[Tracer, Call], None]:
    def rule(tracer: Tracer, call: Call) -> None:
        source: Tensor = call.args[0]
        mark = tracer.mark(source)
        axes = [axis % source.dim() for axis in order(call, source.dim())]
        planes = {new: mark.planes[old] for new, old in enumerate(axes) if old in mark.planes}
        tracer.tag(call.out, Mark(planes, mark.signal, mark.source, mark.scaled_by))

    return rule


def _swapped(call: Call, dims: int) -> list[int]:
    first, second = call.args[1] % dims, call.args[2] % dims
    axes = list(range(dims))
    axes[first], axes[second] = axes[second], axes[first]
    return axes


def unsqueeze(tracer: Tracer, call: Call) -> None:
    """A new axis of one position."""
    out: Tensor = call.out
    place = call.args[1] % out.dim()
    _shifted(tracer, call, {axis: axis + (axis >= place) for axis in range(out.dim() - 1)})


def squeeze(tracer: Tracer, call: Call) -> None:
    """Axes of one position dropped."""
    source: Tensor = call.args[0]
    given = call.argument(1, "dim")
    asked = range(source.dim()) if given is None else [given] if isinstance(given, int) else given
    dropped = {axis % source.dim() for axis in asked if source.shape[axis] == 1}
    mark = tracer.mark(source)
    tracer.freeze(mark, "an axis of one unit is squeezed away", axes=tuple(dropped))
    staying = {axis % source.dim() for axis in asked} - dropped
    tracer.squeezed.extend(plane.labels for axis, plane in mark.planes.items() if axis in staying)
    kept = [axis for axis in range(source.dim()) if axis not in dropped]
    _shifted(tracer, call, {old: new for new, old in enumerate(kept)})


def _shifted(tracer: Tracer, call: Call, places: dict[int, int]) -> None:
    mark = tracer.mark(call.args[0])
    planes = {places[axis]: plane for axis, plane in mark.planes.items() if axis in places}
    tracer.tag(call.out, Mark(planes, mark.signal, mark.source, mark.scaled_by))


def expand(tracer: Tracer, call: Call) -> None:
    """Axes of one position repeated, new axes in front."""
    source, out = call.args[0], call.out
    mark = tracer.mark(source)
    extra = out.dim() - source.dim()
    planes = {}
    for axis, plane in mark.planes.items():
        if out.shape[axis + extra] == source.shape[axis]:
            planes[axis + extra] = plane
        else:
            tracer.coupling.freeze(plane.labels, "a single unit is spread over a whole axis")
    if mark.planes:
        for axis in range(1, out.dim()):
            # Entries that are repeated are repeated as often as is asked: as there are heads, for example.
            before = source.shape[axis - extra] if axis >= extra else 1
            if axis not in planes and before != out.shape[axis] and axis - extra not in mark.planes:
                labels = next(iter(mark.planes.values())).labels
                planes[axis] = Plane(tracer.fresh(out.shape[axis], labels))
                tracer.rigid.append(planes[axis].labels)
    tracer.tag(out, Mark(planes, mark.signal))


RULES = {
    "view": view,
    "_unsafe_view": view,
    "_reshape_alias": view,
    "as_strided": as_strided,
    "permute": _moved(lambda call, dims: list(call.args[1])),
    "transpose": _moved(_swapped),
    "t": _moved(lambda call, dims: [1, 0][:dims]),
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    "expand": expand,
    "clone": keep,
    "detach": keep,
    "alias": keep,
    "contiguous": keep,
    "_to_copy": cast,
    "lift_fresh": keep,
    "native_dropout": keep,
}
