"""Fourier transforms, which mix entries along the axes they are asked for alone, and complex numbers."""

from torch import Tensor

from harness.surgery.tracing.marks import Mark, Plane
from harness.surgery.tracing.rules.elementwise import pointwise
from harness.surgery.tracing.rules.meeting import only_silence, sends
from harness.surgery.tracing.rules.shape import keep
from harness.surgery.tracing.tracer import Call, Rule, Tracer


def transform(tracer: Tracer, call: Call) -> None:
    """Sums over some axes: of silence silence is left."""
    signal: Tensor = call.args[0]
    axes = {axis % signal.dim() for axis in call.args[1]}
    _of_two_parts(tracer, call, axes, "mixed by a Fourier transform along its own axis")


def from_parts(tracer: Tracer, call: Call) -> None:
    """[..., 2] to one complex number each."""
    last = call.args[0].dim() - 1
    _of_two_parts(tracer, call, {last}, "holds the two parts of complex numbers")


def in_parts(tracer: Tracer, call: Call) -> None:
    """Complex numbers to [..., 2]."""
    _of_two_parts(tracer, call, set(), "")


def _of_two_parts(tracer: Tracer, call: Call, stay: set[int], reason: str) -> None:
    signal: Tensor = call.args[0]
    mark = tracer.mark(signal)
    tracer.freeze(mark, reason, axes=tuple(stay))
    planes = {
        axis: Plane(plane.labels, only_silence(sends(tracer, signal, mark, axis)))
        for axis, plane in mark.planes.items()
        if axis not in stay
    }
    tracer.tag(call.out, Mark(planes, mark.signal))


RULES: dict[str, Rule] = {
    **dict.fromkeys(("_fft_r2c", "_fft_c2r", "_fft_c2c"), transform),
    "view_as_complex": from_parts,
    "view_as_real": in_parts,
    # What is known to be constant has no imaginary part.
    "_conj": keep,
    "complex": pointwise,
    "polar": pointwise,
    "_neg_view": pointwise,
}
