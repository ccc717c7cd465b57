"""Variances and deviations over some axes, as weights are standardised with."""

from torch import Tensor

from harness.surgery.tracing.marks import Mark, Plane
from harness.surgery.tracing.tracer import Call, Tracer


def spread(tracer: Tracer, call: Call) -> None:
    """What lies on the axes gone over decides about all else, by its values and by how many they are."""
    source: Tensor = call.args[0]
    given = call.argument(1, "dim")
    listed = [given] if isinstance(given, int) else given
    axes = {axis % source.dim() for axis in listed or range(source.dim())}
    mark = tracer.mark(source)
    tracer.freeze(mark, f"its {_SAID[call.name]} is taken", axes=tuple(axes))
    outs: tuple[Tensor, ...] = call.out if isinstance(call.out, tuple) else (call.out,)
    for out in outs:
        same = out.dim() == source.dim()
        planes = {
            axis if same else axis - sum(gone < axis for gone in axes): Plane(plane.labels)
            for axis, plane in mark.planes.items()
            if axis not in axes
        }
        tracer.tag(out, Mark(planes, mark.signal))


_SAID = {"var": "variance", "std": "deviation", "var_mean": "variance", "std_mean": "deviation"}

RULES = dict.fromkeys(_SAID, spread)
