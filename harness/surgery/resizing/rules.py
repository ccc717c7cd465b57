"""Rules of tracing for networks that are cut before they are trained.

Removal from a trained network must leave the function as it is, so units under layer and group normalisation
are refused: a constant unit still shifts the others. Here no function has to be kept, only shapes must fit.
"""

from torch import Tensor

from harness.surgery.tracing.marks import Mark, Plane
from harness.surgery.tracing.rules import RULES
from harness.surgery.tracing.tracer import Call, Rule, Tracer


def layer_norm(tracer: Tracer, call: Call) -> None:
    """Factor and shift go with the units of the signal; how many they are its module is told."""
    signal, shape, weight, *others = call.args[:4]
    last = signal.dim() - 1
    mark = tracer.mark(signal)
    plane = mark.planes.get(last)
    tensors = [tensor for tensor in (weight, *others) if isinstance(tensor, Tensor)]
    if plane is not None and (len(shape) > 1 or not tensors):
        what = "several axes" if len(shape) > 1 else "a width that only code holds, for it has no factors"
        tracer.freeze(mark, f"under layer normalisation over {what}")
    for tensor in tensors:
        own = tracer.mark(tensor).planes.get(tensor.dim() - 1)
        if own is not None and plane is not None:
            tracer.coupling.unite(own.labels, plane.labels)
        elif own is not None:
            tracer.coupling.freeze(own.labels, "normalises a signal of fixed size")
        elif plane is not None:
            tracer.coupling.freeze(plane.labels, "normalised by tensors of fixed size")
    planes = {axis: Plane(plane.labels) for axis, plane in mark.planes.items()}
    tracer.tag(call.out[0] if isinstance(call.out, tuple) else call.out, Mark(planes))


def group_norm(tracer: Tracer, call: Call) -> None:
    """One channel of every group goes together with one of each other: what is left is a multiple of them."""
    signal, weight, bias = call.args[:3]
    groups: int = call.args[6]
    plane = tracer.mark(signal).planes.get(1)
    for tensor in (weight, bias):
        if tensor is None:
            continue
        own = tracer.mark(tensor).planes.get(0)
        if own is not None and plane is not None:
            tracer.coupling.unite(own.labels, plane.labels)
        elif own is not None:
            tracer.coupling.freeze(own.labels, "normalises a signal of fixed size")
        elif plane is not None:
            tracer.coupling.freeze(plane.labels, "normalised by tensors of fixed size")
    if plane is None:
        tracer.tag(call.out[0], Mark({}))
        return
    if weight is None:
        tracer.coupling.freeze(plane.labels, "under group normalisation without factors")
    by_group = plane.labels.reshape(groups, -1)
    tracer.coupling.unite(by_group, by_group[:1])
    tracer.tag(call.out[0], Mark({1: Plane(plane.labels)}))


#: As for removal, but for normalisations that look at several units at once.
RESIZING_RULES: dict[str, Rule] = {
    **RULES,
    "native_layer_norm": layer_norm,
    "_fused_rms_norm": layer_norm,
    "native_group_norm": group_norm,
}
