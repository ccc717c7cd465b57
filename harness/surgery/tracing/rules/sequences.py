"""Sequences of several lengths packed into one tensor, and what is done to them beside that."""

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


def made(tracer: Tracer, call: Call) -> None:
    """A tensor of a shape that code gives, whatever is in the one that it is asked of."""
    tracer.note_made(call.out)


def reorder(tracer: Tracer, call: Call) -> None:
    """Positions picked by their indices, of an axis that belongs to no unit."""
    source: Tensor = call.args[0]
    axis = call.args[1] % source.dim() if source.dim() else 0
    mark = tracer.mark(source)
    tracer.freeze(mark, "picked by fixed indices", axes=(axis,))
    tracer.tag(call.out, Mark({own: p for own, p in mark.planes.items() if own != axis}, mark.signal))


RULES = {
    "index_select": reorder,
    "_pack_padded_sequence": pack,
    "new_zeros": made,
    "new_ones": made,
    "new_full": made,
    "new_empty": made,
}
