"""Scaled dot-product attention: heads go together, what a head reads may not be cut inside."""

from torch import Tensor

from harness.surgery.tracing.marks import Mark, Plane
from harness.surgery.tracing.tracer import Call, Tracer


def attention(tracer: Tracer, call: Call) -> None:
    """softmax(q k^T) v over [..., positions, features]; a mean of constants is that constant."""
    query, key, value = call.args[:3]
    marks = [tracer.mark(tensor) for tensor in (query, key, value)]
    last = query.dim() - 1
    for mark in marks[:2]:
        tracer.freeze(mark, "scaled by the number of features of a head", axes=(last,))
    for mark in marks:
        tracer.freeze(mark, "positions of an attention", axes=(last - 1,))
    planes: dict[int, Plane] = {}
    for axis in range(last - 1):
        found = [mark.planes.get(axis) for mark in marks]
        present = [plane for plane in found if plane is not None]
        for plane in present[1:]:
            tracer.coupling.unite(present[0].labels, plane.labels)
        if len(present) == len(found):
            planes[axis] = present[-1]
        elif present:
            tracer.coupling.freeze(present[0].labels, "attends to heads of a fixed number")
    if last in marks[2].planes:
        planes[last] = marks[2].planes[last]
    out: Tensor = call.out[0] if isinstance(call.out, tuple) else call.out
    tracer.tag(out, Mark(planes))


RULES = {
    "_scaled_dot_product_flash_attention_for_cpu": attention,
    "_scaled_dot_product_flash_attention": attention,
    "_scaled_dot_product_efficient_attention": attention,
    "_scaled_dot_product_cudnn_attention": attention,
    "_scaled_dot_product_fused_attention_overrideable": attention,
    "scaled_dot_product_attention": attention,
}
