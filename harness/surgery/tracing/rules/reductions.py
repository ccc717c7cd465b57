"""Pooling, means and other operations over positions, and softmax."""

import numpy as np
from torch import Tensor

from harness.surgery.tracing.marks import Constant, Held, Mark, Plane, Positions, Values
from harness.surgery.tracing.tracer import Call, Tracer


def pool(tracer: Tracer, call: Call) -> None:
    """Windows that slide over the axes behind the channels: a constant stays what it is."""
    signal: Tensor = call.args[0]
    _window(tracer, call, signal, keeps=True)


def average_pool(tracer: Tracer, call: Call) -> None:
    """The same, but zeros around the signal may count as values."""
    signal: Tensor = call.args[0]
    padding = call.argument(3, "padding", [0])
    counted = call.argument(5, "count_include_pad", True)
    _window(tracer, call, signal, keeps=not (any(padding) and counted))


def _window(tracer: Tracer, call: Call, signal: Tensor, *, keeps: bool) -> None:
    mark = tracer.mark(signal)
    out: Tensor = call.out[0] if isinstance(call.out, tuple) else call.out
    slid = tuple(axis for axis in range(signal.dim()) if signal.shape[axis] != out.shape[axis] or axis > 1)
    tracer.freeze(mark, "lies on an axis that a window slides along", axes=slid)
    planes = {
        axis: plane if keeps else Plane(plane.labels, _silence(plane.constant))
        for axis, plane in mark.planes.items()
        if axis not in slid
    }
    tracer.tag(out, Mark(planes))
    if isinstance(call.out, tuple):
        # Where the largest stood, channel by channel.
        tracer.tag(call.out[1], Mark({axis: Plane(plane.labels) for axis, plane in planes.items()}))


def _silence(constant: Constant) -> Constant:
    """Only zero survives the borders."""

    def compute(positions: Positions, held: Held) -> Values:
        return np.where(constant.at(positions, held) == 0.0, 0.0, np.nan)

    return Constant(compute)


def reduce(tracer: Tracer, call: Call) -> None:
    """Means and extremes over some axes, sums too (of which only zero stays constant)."""
    signal: Tensor = call.args[0]
    given = call.argument(1, "dim")
    axes = _axes(signal, given)
    mark = tracer.mark(signal)
    kept = [axis for axis in range(signal.dim()) if axis not in axes]
    out: Tensor = call.out[0] if isinstance(call.out, tuple) else call.out
    same = out.dim() == signal.dim()
    planes = {}
    for position, axis in enumerate(kept):
        plane = mark.planes.get(axis)
        if plane is not None:
            constant = plane.constant if call.name != "sum" else _silence(plane.constant)
            planes[axis if same else position] = Plane(plane.labels, constant)
    tracer.tag(out, Mark(planes, signal=mark.signal))
    for axis in axes:
        if axis in mark.planes:
            # Attention gives the mean of its weights to whoever called it, and few want it.
            labels = mark.planes[axis].labels
            for made in call.out if isinstance(call.out, tuple) else (out,):
                tracer.freeze_if_read(made, labels, f"summed over by {call.name}")


def _axes(signal: Tensor, given: list[int] | int | None) -> tuple[int, ...]:
    if given is None or given == []:
        return tuple(range(signal.dim()))
    return tuple(axis % signal.dim() for axis in ([given] if isinstance(given, int) else given))


def softmax(tracer: Tracer, call: Call) -> None:
    """Entries along the normalised axis depend on each other."""
    signal: Tensor = call.args[0]
    mark = tracer.mark(signal)
    tracer.freeze(mark, "normalised by softmax", axes=(call.args[1] % signal.dim(),))
    tracer.tag(call.out, Mark({axis: Plane(plane.labels) for axis, plane in mark.planes.items()}))


RULES = {
    "max_pool2d_with_indices": pool,
    "max_pool3d_with_indices": pool,
    "adaptive_max_pool2d": pool,
    "_adaptive_avg_pool2d": pool,
    "_adaptive_avg_pool3d": pool,
    "upsample_nearest1d": pool,
    "upsample_nearest2d": pool,
    "upsample_bilinear2d": pool,
    "upsample_bicubic2d": pool,
    "avg_pool2d": average_pool,
    "avg_pool3d": average_pool,
    "mean": reduce,
    "sum": reduce,
    "amax": reduce,
    "amin": reduce,
    "_softmax": softmax,
    "_log_softmax": softmax,
}
