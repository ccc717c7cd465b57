"""Windows that slide over positions, and changes of resolution: pooling, upsampling."""

import re

import numpy as np
from torch import Tensor

from harness.surgery.tracing.marks import Constant, Held, Mark, Plane, Positions, Values
from harness.surgery.tracing.rules.meeting import only_silence
from harness.surgery.tracing.tracer import Call, Rule, Tracer, leaves

_SLID = "lies on an axis that a window slides along"


def pool(tracer: Tracer, call: Call) -> None:
    """Windows that slide over the last axes: a constant stays what it is."""
    _window(tracer, call, keeps=True)


def average_pool(tracer: Tracer, call: Call) -> None:
    """The same, but zeros around the signal may count as values."""
    padding = call.argument(3, "padding", [0])
    counted = call.argument(5, "count_include_pad", True)
    divisor = call.argument(6, "divisor_override")
    _window(tracer, call, keeps=not (any(padding) and counted) and divisor is None)


def _window(tracer: Tracer, call: Call, *, keeps: bool) -> None:
    signal: Tensor = call.args[0]
    mark = tracer.mark(signal)
    outs = leaves(call.out)
    slid = tuple(
        axis
        for axis in range(signal.dim())
        if signal.shape[axis] != outs[0].shape[axis] or axis >= signal.dim() - _dimensions(call.name)
    )
    tracer.freeze(mark, _SLID, axes=slid)
    planes = {
        axis: plane if keeps else Plane(plane.labels, only_silence(plane.constant))
        for axis, plane in mark.planes.items()
        if axis not in slid
    }
    tracer.tag(outs[0], Mark(planes, mark.signal))
    for indices in outs[1:]:
        tracer.tag(indices, Mark({axis: Plane(plane.labels) for axis, plane in planes.items()}, mark.signal))


def _dimensions(name: str) -> int:
    """Along how many axes an operation slides, by its name."""
    found = re.search(r"([123])d", name)
    return int(found[1]) if found else 2


def pixel_shuffle(tracer: Tracer, call: Call) -> None:
    """Blocks of channels spread over positions: a block is one unit from then on."""
    source: Tensor = call.args[0]
    mark = tracer.mark(source)
    axis = source.dim() - 3
    block = int(call.args[1]) ** 2
    plane = mark.planes.get(axis)
    tracer.freeze(mark, "moved by pixel_shuffle", axes=tuple(a for a in mark.planes if a > axis))
    planes = {a: p for a, p in mark.planes.items() if a < axis}
    if plane is not None:
        parts = plane.labels.reshape(-1, block)
        tracer.coupling.unite(parts, parts[:, :1])

        def compute(positions: Positions, held: Held) -> Values:
            members = (positions[:, None] * block + np.arange(block)).reshape(-1)
            values = plane.constant.at(members, held).reshape(2, len(positions), block)
            alike = (values == values[:, :, :1]).all(axis=2)
            return np.where(alike, values[:, :, 0], np.nan)

        planes[axis] = Plane(parts[:, 0], Constant(compute))
    tracer.tag(call.out, Mark(planes, mark.signal))


def windows_of(tracer: Tracer, call: Call) -> None:
    """Windows along one axis, their entries on a new last axis."""
    source: Tensor = call.args[0]
    mark = tracer.mark(source)
    axis = call.args[1] % source.dim()
    tracer.freeze(mark, _SLID, axes=(axis,))
    tracer.tag(call.out, Mark({a: p for a, p in mark.planes.items() if a != axis}, mark.signal))


_POOLS = (
    *("max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool3d"),
    *("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "fractional_max_pool2d", "fractional_max_pool3d"),
    *(f"upsample_nearest{n}d" for n in (1, 2, 3)),
    *(f"_upsample_nearest_exact{n}d" for n in (1, 2, 3)),
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
)

RULES: dict[str, Rule] = {
    **dict.fromkeys(_POOLS, pool),
    "avg_pool1d": average_pool,
    "avg_pool2d": average_pool,
    "avg_pool3d": average_pool,
    "pixel_shuffle": pixel_shuffle,
    "unfold": windows_of,
}
