"""Entries looked up, gathered and scattered by index, as in graph networks, and tables of embeddings."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
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
    real_numbers,
)
from harness.surgery.tracing.rules.meeting import added, meet, only_silence, sends
from harness.surgery.tracing.tracer import Call, Rule, Tracer

Combined = Callable[[Constant, Constant], Constant]

_INDEXED = "indexed by position"


def index_select(tracer: Tracer, call: Call) -> None:
    """Some positions of one axis, in any order."""
    source, axis, index = call.args[:3]
    axis %= source.dim()
    mark = tracer.mark(source)
    tracer.freeze(mark, _INDEXED, axes=(axis,))
    tracer.freeze(tracer.mark(index), "used as an index")
    planes = _kept(tracer, source, mark, {a: a for a in range(source.dim()) if a != axis})
    tracer.tag(call.out, Mark(planes, mark.signal or tracer.mark(index).signal))


def _kept(tracer: Tracer, source: Tensor, mark: Mark, places: dict[int, int]) -> dict[int, Plane]:
    """Planes of the axes that go to other places; what each position of a weight sends is read off it."""
    return {
        new: Plane(mark.planes[old].labels, sends(tracer, source, mark, old))
        for old, new in places.items()
        if old in mark.planes
    }


def index(tracer: Tracer, call: Call) -> None:
    """x[:, indices], as NumPy has it."""
    source, indices = call.args[:2]
    mark = tracer.mark(source)
    signal = _looked_up(tracer, indices) or mark.signal
    places = _places(source, indices, call.out.dim())
    tracer.freeze(mark, _INDEXED, axes=tuple(a for a in range(source.dim()) if a not in places))
    tracer.tag(call.out, Mark(_kept(tracer, source, mark, places), signal))


def _looked_up(tracer: Tracer, indices: Iterable[Tensor | None]) -> bool:
    """Whether any of the indices depends on the network's input; units of theirs must stay."""
    marks = [tracer.mark(own) for own in indices if own is not None]
    for mark in marks:
        tracer.freeze(mark, "used as an index")
    return any(mark.signal for mark in marks)


def _places(source: Tensor, indices: Sequence[Tensor | None], dims: int) -> dict[int, int]:
    """Where the axes that no index looks into lie in a result of so many axes."""
    taken: list[int] = []
    free: list[int] = []
    axis = 0
    for own in indices:
        width = own.dim() if own is not None and own.dtype in (torch.bool, torch.uint8) else 1
        (free if own is None else taken).extend(range(axis, axis + width))
        axis += width
    free.extend(range(axis, source.dim()))
    broadcast = dims - len(free)
    # Axes of indices that are not neighbours come first.
    first = taken[0] if taken and taken == list(range(taken[0], taken[-1] + 1)) else 0
    return {old: number + (broadcast if number >= first else 0) for number, old in enumerate(free)}


def index_put(tracer: Tracer, call: Call) -> None:
    """x[:, indices] = values: on the other axes the units of both lie side by side."""
    target, indices, values = call.args[:3]
    shape = target[tuple(slice(None) if own is None else own for own in indices)].shape
    places = _places(target, indices, len(shape))
    signal = _looked_up(tracer, indices)
    axes = {axis: place - len(shape) + values.dim() for axis, place in places.items()}
    adds = bool(call.argument(3, "accumulate", False))
    _put(tracer, call, target, values, axes, how=added if adds else _over, signal=signal)


def _put(
    tracer: Tracer,
    call: Call,
    target: Tensor,
    values: Tensor,
    axes: Mapping[int, int],
    *,
    how: Combined,
    signal: bool,
    others: Sequence[tuple[Tensor, Mark]] = (),
) -> None:
    """Values put at places of a target, or added to what is there.

    Args:
        axes: axis of the target along which its positions stay what they are -> the values' axis beside it,
            which may be none of them (negative) or of one position.
        how: what is left of a constant of the target and one of the values.
        others: tensors with axes like the values', such as indices.
    """
    mark, put = tracer.mark(target), tracer.mark(values)
    planes: dict[int, Plane] = {}
    met: set[int] = set()
    for axis, place in axes.items():
        there, arriving = [(target, mark, axis)], VARYING
        if place >= 0 and values.shape[place] == target.shape[axis]:
            met.add(place)
            there += [(values, put, place), *((own, its, place) for own, its in others)]
            arriving = sends(tracer, values, put, place)
        elif values.numel() == 1 and not put.signal:
            arriving = _number(tracer, values)
        labels = meet(tracer, there)
        if labels is not None:
            before = sends(tracer, target, mark, axis)
            planes[axis] = Plane(labels, how(before, arriving))
    tracer.freeze(mark, _INDEXED, axes=tuple(a for a in mark.planes if a not in axes))
    for own in (put, *(its for _, its in others)):
        tracer.freeze(own, _INDEXED, axes=tuple(a for a in own.planes if a not in met))
    tracer.tag(call.out, Mark(planes, mark.signal or put.signal or signal))


def _number(tracer: Tracer, tensor: Tensor) -> Constant:
    time = tracer.aliases.now

    def compute(positions: Positions, held: Held) -> Values:
        value = float(real_numbers(tensor).reshape(())) if tracer.aliases.holds(tensor, time) else np.nan
        return np.full((2, len(positions)), value)

    return Constant(compute)


def gather(tracer: Tracer, call: Call) -> None:
    """Entries picked along one axis, at every place of the others by an index of its own."""
    source, axis, indices = call.args[:3]
    axis %= max(source.dim(), 1)
    mark, where = tracer.mark(source), tracer.mark(indices)
    planes: dict[int, Plane] = {}
    for other in range(source.dim()):
        there = (source, mark, other), (indices, where, other)
        if other == axis or source.shape[other] != indices.shape[other]:
            tracer.freeze(mark, _INDEXED, axes=(other,))
            tracer.freeze(where, "used as an index", axes=(other,))
        elif (labels := meet(tracer, there)) is not None:
            planes[other] = Plane(
                labels, sends(tracer, source, mark, other) if other in mark.planes else VARYING
            )
    tracer.tag(call.out, Mark(planes, mark.signal or where.signal))


def scatter(tracer: Tracer, call: Call) -> None:
    """Entries put or added along one axis, at every place of the others by an index of its own."""
    target, axis, indices, values = call.args[:4]
    axis %= max(target.dim(), 1)
    where = tracer.mark(indices)
    if not isinstance(values, Tensor):
        values = torch.full_like(indices, values, dtype=target.dtype)
        tracer.fill(values, float(call.args[3]))
    same = {a: a for a in range(target.dim()) if a != axis and indices.shape[a] == target.shape[a]}
    _put(tracer, call, target, values, same, how=_how(call), signal=where.signal, others=[(indices, where)])


def _how(call: Call) -> Combined:
    """What is left of two constants where one was put over the other, or both were counted together."""
    if call.name.rstrip("_") in ("scatter_add", "index_add"):
        return added
    reduced = call.argument(4, "reduce", "amax")
    if reduced in ("mean", "amax", "amin"):
        return _over
    return _over_silence


def _over(before: Constant, arriving: Constant) -> Constant:
    return agreed([before, arriving])


def _over_silence(before: Constant, arriving: Constant) -> Constant:
    return only_silence(agreed([before, arriving]))


def index_add(tracer: Tracer, call: Call) -> None:
    """Slices put or added along one axis, at positions of an index."""
    target, axis, indices, values = call.args[:4]
    axis %= max(target.dim(), 1)
    signal = _looked_up(tracer, [indices])
    same = {a: a for a in range(target.dim()) if a != axis}
    _put(tracer, call, target, values, same, how=_how(call), signal=signal)


def index_fill(tracer: Tracer, call: Call) -> None:
    """A number put at some positions of one axis."""
    target, axis, indices, value = call.args[:4]
    mark = tracer.mark(target)
    signal = _looked_up(tracer, [indices]) or mark.signal
    tracer.freeze(mark, _INDEXED, axes=(axis % target.dim(),))
    number = always(np.nan if isinstance(value, Tensor) else float(value))
    planes = {
        a: Plane(p.labels, agreed([p.constant, number]))
        for a, p in mark.planes.items()
        if a != axis % target.dim()
    }
    tracer.tag(call.out, Mark(planes, signal))


def embedding(tracer: Tracer, call: Call) -> None:
    """Rows of a table looked up: its columns are units."""
    _table(tracer, call, call.args[0], call.out)


def embedding_bag(tracer: Tracer, call: Call) -> None:
    """Rows of a table looked up and added, averaged, or of which each column's highest is taken."""
    weights = call.argument(6, "per_sample_weights")
    if weights is not None:
        tracer.freeze(tracer.mark(weights), "weights of a bag")
    _table(tracer, call, call.args[0], call.out[0])


def _table(tracer: Tracer, call: Call, table: Tensor, out: Tensor) -> None:
    mark = tracer.mark(table)
    tracer.freeze(mark, "indexed by the network's input", axes=(0,))
    plane = mark.planes.get(1)
    if plane is None:
        tracer.tag(out, Mark({}))
        return
    if not mark.signal:
        tracer.produce(plane.labels)

    def compute(positions: Positions, held: Held) -> Values:
        live = table[:, torch.from_numpy(positions).to(table.device)].any(0).cpu().numpy()
        value = np.where(live, np.nan, 0.0)
        if held is not None:
            value = np.where(held[plane.labels[positions]], 0.0, value)
        return np.stack([value, value])

    constant = only_silence(plane.constant) if mark.signal else Constant(compute)
    tracer.tag(out, Mark({out.dim() - 1: Plane(plane.labels, constant)}))


RULES: dict[str, Rule] = {
    "index_select": index_select,
    "index": index,
    "_unsafe_index": index,
    "index_put": index_put,
    "_index_put_impl": index_put,
    "gather": gather,
    "scatter": scatter,
    "scatter_add": scatter,
    "scatter_reduce": scatter,
    "index_add": index_add,
    "index_copy": index_add,
    "index_reduce": index_add,
    "index_fill": index_fill,
    "embedding": embedding,
    "_embedding_bag": embedding_bag,
    "_embedding_bag_forward_only": embedding_bag,
}
