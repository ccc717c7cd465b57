"""Channels laid out in blocks: windows unfolded into channels and back, shuffles, repetitions, unpooling."""

from math import prod

import numpy as np
from torch import Tensor

from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import Constant, Held, Mark, Plane, Positions, Values
from harness.surgery.tracing.tracer import Call, Tracer


def unfold(tracer: Tracer, call: Call) -> None:
    """[..., channels, h, w] to [..., channels * window, places]: each channel stands once for each place of
    the window; zeros are put around it where it is padded."""
    signal: Tensor = call.args[0]
    mark = _of_channels(tracer, call, signal.dim() - 3)
    keeps = not any(call.args[3])
    _spread(tracer, call, mark, signal.dim() - 3, prod(call.args[1]), keeps=keeps)


def pixel_unshuffle(tracer: Tracer, call: Call) -> None:
    """[..., channels, h * r, w * r] to [..., channels * r * r, h, w]."""
    signal: Tensor = call.args[0]
    mark = _of_channels(tracer, call, signal.dim() - 3)
    _spread(tracer, call, mark, signal.dim() - 3, int(call.args[1]) ** 2, keeps=True)


def _of_channels(tracer: Tracer, call: Call, axis: int) -> Mark:
    """The mark of a signal whose axes behind the channels are moved about."""
    mark = tracer.mark(call.args[0])
    tracer.freeze(mark, f"moved by {call.name}", axes=tuple(a for a in mark.planes if a > axis))
    return Mark({a: plane for a, plane in mark.planes.items() if a <= axis}, mark.signal)


def _spread(tracer: Tracer, call: Call, mark: Mark, axis: int, block: int, *, keeps: bool) -> None:
    planes = dict(mark.planes)
    if axis in planes:
        plane = planes[axis]

        def compute(positions: Positions, held: Held) -> Values:
            values = plane.constant.at(positions // block, held)
            return values if keeps else np.where(values == 0.0, 0.0, np.nan)

        planes[axis] = Plane(np.repeat(plane.labels, block), Constant(compute))
    tracer.tag(call.out, Mark(planes, mark.signal))


def fold(tracer: Tracer, call: Call) -> None:
    """[..., channels * window, places] to [..., channels, h, w]: what lies on one place is summed up."""
    signal: Tensor = call.args[0]
    axis = signal.dim() - 2
    mark = _of_channels(tracer, call, axis)
    planes, block = dict(mark.planes), prod(call.args[2])
    if axis in planes:
        plane = planes[axis]
        parts = plane.labels.reshape(-1, block)
        tracer.coupling.unite(parts, parts[:, :1])

        def compute(positions: Positions, held: Held) -> Values:
            members = (positions[:, None] * block + np.arange(block)).reshape(-1)
            values = plane.constant.at(members, held).reshape(2, len(positions), block)
            return np.where((values == 0.0).all(axis=2), 0.0, np.nan)

        planes[axis] = Plane(parts[:, 0], Constant(compute))
    tracer.tag(call.out, Mark(planes, mark.signal))


def channel_shuffle(tracer: Tracer, call: Call) -> None:
    """Channels of all groups dealt out in turn: groups must stay as large as each other."""
    mark = tracer.mark(call.args[0])
    planes, groups = dict(mark.planes), int(call.args[1])
    if 1 in planes:
        plane = planes[1]
        parts = plane.labels.reshape(groups, -1)
        tracer.coupling.unite(parts, parts[:1])
        planes[1] = _dealt(plane, np.arange(len(plane.labels)).reshape(groups, -1).T.reshape(-1))
    tracer.tag(call.out, Mark(planes, mark.signal))


def _dealt(plane: Plane, order: Positions) -> Plane:
    def compute(positions: Positions, held: Held) -> Values:
        return plane.constant.at(order[positions], held)

    labels: Labels = plane.labels[order]
    return Plane(labels, Constant(compute))


def repeat(tracer: Tracer, call: Call) -> None:
    """A whole axis several times over, and new axes in front."""
    source, out = call.args[0], call.out
    mark = tracer.mark(source)
    extra = out.dim() - source.dim()
    planes = {
        axis + extra: _tiled(plane, out.shape[axis + extra] // max(1, source.shape[axis]))
        for axis, plane in mark.planes.items()
    }
    tracer.tag(out, Mark(planes, mark.signal))


def _tiled(plane: Plane, times: int) -> Plane:
    return plane if times == 1 else _dealt(plane, np.tile(np.arange(len(plane.labels)), times))


def unpool(tracer: Tracer, call: Call) -> None:
    """Values put back where they were pooled from, zeros around them."""
    signal, places = call.args[:2]
    axis = signal.dim() - int(call.name[-2]) - 1
    mark = _of_channels(tracer, call, axis)
    others = tracer.mark(places).planes
    planes = {}
    for own, plane in mark.planes.items():
        if own not in others:
            tracer.coupling.freeze(plane.labels, "put to places of a signal of fixed size")
            continue
        tracer.coupling.unite(plane.labels, others[own].labels)
        planes[own] = Plane(plane.labels, _silent(plane.constant))
    tracer.tag(call.out, Mark(planes))


def sampled(tracer: Tracer, call: Call) -> None:
    """Every channel read at the same places of a grid, zeros around it."""
    grid: Tensor = call.args[1]
    mark = _of_channels(tracer, call, 1)
    tracer.freeze(tracer.mark(grid), "says where another signal is read")
    planes = {}
    for axis, plane in mark.planes.items():
        if axis == 0:
            tracer.coupling.freeze(plane.labels, "lies on an axis of examples that are read at places")
        else:
            planes[axis] = Plane(plane.labels, _silent(plane.constant))
    tracer.tag(call.out, Mark(planes, mark.signal or tracer.mark(grid).signal))


def _silent(constant: Constant) -> Constant:
    """Only zero stays constant."""

    def compute(positions: Positions, held: Held) -> Values:
        return np.where(constant.at(positions, held) == 0.0, 0.0, np.nan)

    return Constant(compute)


RULES = {
    "im2col": unfold,
    "col2im": fold,
    "pixel_unshuffle": pixel_unshuffle,
    "channel_shuffle": channel_shuffle,
    "native_channel_shuffle": channel_shuffle,
    "repeat": repeat,
    "max_unpool2d": unpool,
    "max_unpool3d": unpool,
    "grid_sampler_2d": sampled,
    "grid_sampler_3d": sampled,
    "_grid_sampler_2d_cpu_fallback": sampled,
}
