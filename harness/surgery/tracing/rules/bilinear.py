"""Bilinear layers: every output is a sum over pairs of units of two signals."""

from torch import Tensor

from harness.surgery.tracing.marks import Mark
from harness.surgery.tracing.rules.contractions import made, read
from harness.surgery.tracing.tracer import Call, Tracer

#: What `nn.functional.bilinear` makes of its inputs [n, i], [o, i, j] and [n, j].
_BILINEAR = [[1, 3], [0], [1, 2], [2, 3]]


def trilinear(tracer: Tracer, call: Call) -> None:
    """sum_ij x[n, i] w[o, i, j] y[n, j]: nothing is added for a unit that is silent."""
    left, weight, right = call.args[:3]
    marks = [tracer.mark(tensor) for tensor in (left, weight, right)]
    signals = [mark.signal for mark in marks]
    out: Tensor = call.out
    if [list(axes) for axes in call.args[3:7]] != _BILINEAR or signals != [True, False, True]:
        for mark in marks:
            tracer.freeze(mark, "read by a product of three tensors")
        tracer.tag(out, Mark({}, any(signals)))
        return
    # A constant would be multiplied with the other signal, for which no bias can stand: read twice, it stays.
    for axis, mark in ((1, marks[0]), (2, marks[2])):
        read(tracer, mark.planes.get(1), weight, axis, 0, None, padded=False)
    own, maker = made(tracer, weight, 0, None)
    planes = {} if own is None else {1: own}
    for mark in (marks[0], marks[2]):
        if 0 in mark.planes:
            tracer.coupling.freeze(mark.planes[0].labels, "lies on an axis of examples of a bilinear layer")
    tracer.tag(out, Mark(planes, maker=maker))


RULES = {"_trilinear": trilinear}
