"""Where an axis goes when a tensor is viewed in another shape."""

from math import prod

import numpy as np

from harness.surgery.tracing.choices import Choice, Option
from harness.surgery.tracing.marks import Constant, Held, Plane, Positions, Values
from harness.surgery.tracing.tracer import Tracer

Shape = tuple[int, ...]


def reshaped(tracer: Tracer, plane: Plane, axis: int, old: Shape, new: Shape) -> list[tuple[int, Plane]]:
    """Axes and planes after a reshape from `old` to `new`.

    An axis that is merged with others keeps its units, each several times. An axis that is split is followed
    on each of its parts until it is seen which of them can be cut (`harness.surgery.tracing.choices`).
    Whether the code stands it is put to the test afterwards (`Tracer.rigid`).
    """
    before, size, after = prod(old[:axis]), old[axis], prod(old[axis + 1 :])
    kept = [
        k for k in range(len(new)) if (prod(new[:k]), new[k], prod(new[k + 1 :])) == (before, size, after)
    ]
    if kept:
        return [((axis if axis in kept else kept[-1]), plane)]
    # From the back: an axis of one unit fits in several places, and flattening puts it before its positions.
    for k, length in reversed(list(enumerate(new))):
        front, back = prod(new[:k]), prod(new[k + 1 :])
        if front and back and before % front == 0 and after % back == 0:
            outer, inner = before // front, after // back
            if outer * size * inner == length:
                tracer.rigid.append(plane.labels)
                return [(k, _merged(plane, outer, inner))]
    tracer.rigid.append(plane.labels)
    return _regrouped(tracer, plane, axis, old, new)


def merged(tracer: Tracer, planes: list[Plane]) -> Plane:
    """Several axes of units that lie on one axis now: the units of one of them can be cut."""
    first = planes[0]
    labels = tracer.fresh(len(first.labels), first.labels)
    tracer.choices.append(Choice(tuple(Option(own.labels, (labels, own.labels)) for own in planes)))

    def compute(positions: Positions, held: Held) -> Values:
        values = first.constant.at(positions, held)
        for other in planes[1:]:
            values = np.where(np.isnan(values), other.constant.at(positions, held), values)
        return values

    return Plane(labels, Constant(compute))


def _merged(plane: Plane, outer: int, inner: int) -> Plane:
    labels = plane.labels if inner == 1 else np.repeat(plane.labels, inner)
    size = len(plane.labels)

    def compute(positions: Positions, held: Held) -> Values:
        return plane.constant.at(positions // inner % size, held)

    return Plane(np.tile(labels, outer) if outer > 1 else labels, Constant(compute))


def _regrouped(tracer: Tracer, plane: Plane, axis: int, old: Shape, new: Shape) -> list[tuple[int, Plane]]:
    """The general case, entry by entry: axes along which units differ may become theirs."""
    entries = _entries(axis, old, new)
    units = tracer.coupling.roots(plane.labels)[entries]
    apart = [k for k in range(len(new)) if (units != units.take([0], axis=k)).any()]
    moving = [k for k in range(len(new)) if entries.shape[k] > 1]
    homes = apart or [(moving or [len(new) - 1])[-1]]
    members = [np.moveaxis(entries, home, 0).reshape(entries.shape[home], -1) for home in homes]
    if len(homes) == 1:
        tracer.coupling.unite(plane.labels[members[0]], plane.labels[members[0][:, :1]])
        return [(homes[0], Plane(plane.labels[members[0][:, 0]], _alike(plane, members[0])))]
    own = [tracer.fresh(len(inside), plane.labels) for inside in members]
    options = zip(own, members, strict=True)
    tracer.choices.append(
        Choice(tuple(Option(labels, (plane.labels[inside], labels[:, None])) for labels, inside in options))
    )
    parts = zip(homes, own, members, strict=True)
    return [(home, Plane(labels, _alike(plane, inside))) for home, labels, inside in parts]


def _entries(axis: int, old: Shape, new: Shape) -> Positions:
    """For each entry after a reshape, where it lay on an axis; one entry along axes that do not matter."""
    before, size, after = prod(old[:axis]), old[axis], prod(old[axis + 1 :])
    for first in range(len(new)):
        for last in range(first + 1, len(new) + 1):
            if (prod(new[:first]), prod(new[first:last]), prod(new[last:])) == (before, size, after):
                # The axis is taken apart, and nothing else is.
                return np.arange(size).reshape(
                    [length if first <= k < last else 1 for k, length in enumerate(new)]
                )
    along = np.arange(size).reshape([-1 if k == axis else 1 for k in range(len(old))])
    entries: Positions = np.broadcast_to(along, old).reshape(new)
    for k in range(len(new)):
        if not (entries != entries.take([0], axis=k)).any():
            entries = entries.take([0], axis=k)
    return entries


def _alike(plane: Plane, members: Positions) -> Constant:
    """What positions send that each stand for several of a plane: a constant if these all send the same."""

    def compute(positions: Positions, held: Held) -> Values:
        chosen = members[positions]
        values = plane.constant.at(chosen.reshape(-1), held).reshape(2, *chosen.shape)
        alike = (values == values[:, :, :1]).all(axis=2)
        return np.where(alike, values[:, :, 0], np.nan)

    return Constant(compute)
