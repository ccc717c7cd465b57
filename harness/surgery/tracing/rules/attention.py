"""Scaled dot-product attention: heads go together; features of a head only where the scale is written out."""

import numpy as np
from torch import Tensor

from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import Constant, Mark, Plane
from harness.surgery.tracing.rules.contractions import summed_over
from harness.surgery.tracing.tracer import Call, Tracer


def attention(tracer: Tracer, call: Call) -> None:
    """softmax(scale q k^T + mask) v over [..., positions, features]; a mean of constants is that constant."""
    query, key, value = call.args[:3]
    marks = [tracer.mark(tensor) for tensor in (query, key, value)]
    mask = next((a for a in (*call.args[3:], *call.kwargs.values()) if isinstance(a, Tensor)), None)
    last = query.dim() - 1
    if call.kwargs.get("scale") is None:
        for mark in marks[:2]:
            tracer.freeze(mark, "scaled by the number of features of a head", axes=(last,))
    else:
        summed_over(tracer, marks[0].planes.get(last), marks[1].planes.get(last))
    for mark in marks:
        tracer.freeze(mark, "positions of an attention", axes=(last - 1,))
    planes: dict[int, Plane] = {}
    for axis in range(last - 1):
        found = [mark.planes.get(axis) for mark in marks]
        own = [
            _in_groups(plane, query.shape[axis], tensor.shape[axis])
            for plane, tensor in zip(found, (query, key, value), strict=True)
        ]
        own += _of_mask(tracer, mask, axis - query.dim())
        present = [labels for labels in own if labels is not None]
        for labels in present[1:]:
            tracer.coupling.unite(present[0], labels)
        if not present:
            continue
        if len(present) < len(own):
            for labels in present:
                tracer.coupling.freeze(labels, "attends to heads of a fixed number")
        elif found[2] is not None and own[2] is not None:
            planes[axis] = Plane(own[2], _shared(found[2], query.shape[axis]))
    if mask is not None:
        behind = tuple(range(max(mask.dim() - 2, 0), mask.dim()))
        tracer.freeze(tracer.mark(mask), "positions of an attention", axes=behind)
    if last in marks[2].planes:
        planes[last] = marks[2].planes[last]
    out: Tensor = call.out[0] if isinstance(call.out, tuple) else call.out
    tracer.tag(out, Mark(planes))


def _in_groups(plane: Plane | None, heads: int, own: int) -> Labels | None:
    """Labels for every head of the queries, where several of them share one of keys and values."""
    if plane is None or own == heads:
        return None if plane is None else plane.labels
    return np.repeat(plane.labels, heads // own)


def _shared(plane: Plane, heads: int) -> Constant:
    """What every head of the queries sends, where several of them share one of keys and values."""
    times = heads // len(plane.labels)
    return Constant(lambda positions, held: plane.constant.at(positions // times, held))


def _of_mask(tracer: Tracer, mask: Tensor | None, axis: int) -> list[Labels | None]:
    """What a mask has on an axis of heads (counted from the end); nothing where it is the same for all."""
    if mask is None or mask.dim() < -axis or mask.shape[axis] == 1:
        return []
    plane = tracer.mark(mask).planes.get(mask.dim() + axis)
    return [None if plane is None else plane.labels]


RULES = {
    "_scaled_dot_product_flash_attention_for_cpu": attention,
    "_scaled_dot_product_flash_attention": attention,
    "_scaled_dot_product_efficient_attention": attention,
    "_scaled_dot_product_cudnn_attention": attention,
    "_scaled_dot_product_fused_attention_overrideable": attention,
    "scaled_dot_product_attention": attention,
}
