"""Sequences of several lengths packed into one tensor."""

from torch import Tensor

from harness.surgery.tracing.marks import Mark
from harness.surgery.tracing.tracer import Call, Tracer


def pack(tracer: Tracer, call: Call) -> None:
    """[steps, examples, ...] without what is behind a sequence's end: [entries, ...]."""
    source: Tensor = call.args[0]
    mark = tracer.mark(source)
    tracer.freeze(mark, "lies on an axis of steps or examples that is packed", axes=(0, 1))
    planes = {axis - 1: plane for axis, plane in mark.planes.items() if axis > 1}
    tracer.tag(call.out[0], Mark(planes, mark.signal))


RULES = {"_pack_padded_sequence": pack}
