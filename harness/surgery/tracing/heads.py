"""The heads of `nn.MultiheadAttention`: what belongs to them, and how its forward pass is followed."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from harness.surgery.changes.heads import HeadAttention
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import Mark, Plane
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.tracing.units import head_labels


def declare_heads(tracer: Tracer, prefix: str, module: nn.MultiheadAttention) -> None:
    """A head's rows for queries, keys and values go together.

    An attention that has lost some of its heads, or units of what it reads, is exchanged for another one, and
    that knows only PyTorch's own forward pass.
    """
    if _is_known(module) and prefix:
        rows = head_labels(tracer, prefix, module)
        tracer.coupling.unite(rows, rows[:1, :, :1])
        for name in getattr(module, "per_unit", ()):
            if prefix + name in tracer.tensors:
                tracer.coupling.unite(tracer.labels(prefix + name, 0), rows[0, :, 0])
        return
    reason = (
        f"belongs to an attention with a forward pass of its own ({type(module).__name__})"
        if prefix
        else "belongs to an attention that is the whole network, which cannot be exchanged for a lighter one"
    )
    for path in tracer.tensors:
        if path.startswith(prefix):
            for axis in range(tracer.tensors[path].dim()):
                tracer.coupling.freeze(tracer.labels(path, axis), reason)


def _is_known(module: nn.MultiheadAttention) -> bool:
    """Whether an attention does what PyTorch's own does, with plain parameters."""
    forward = type(module).forward
    plain = forward is nn.MultiheadAttention.forward or forward is HeadAttention.forward
    return plain and "forward" not in module.__dict__ and "parametrizations" not in module._modules


@contextmanager
def open_attentions(tracer: Tracer, network: nn.Module) -> Iterator[None]:
    """Have attentions run, for the length of the context, as `HeadAttention` does: step by step, and as they
    will run when they have lost heads."""
    opened = [
        (path, module)
        for path, module in network.named_modules()
        if isinstance(module, nn.MultiheadAttention) and _is_known(module) and path
    ]
    try:
        for path, module in opened:
            labels = head_labels(tracer, f"{path}.", module)[0, :, 0]
            # What an instance has of its own is found before what its class has.
            module.__dict__["forward"] = partial(_forward, tracer, module, labels)
        yield
    finally:
        for _, module in opened:
            module.__dict__.pop("forward", None)


def _forward(
    tracer: Tracer, module: nn.MultiheadAttention, labels: Labels, *args: Any, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    followed = _Followed.of(module)
    followed.tracer, followed.labels = tracer, labels
    # Its own dictionary holds what the module has, this very function too.
    return HeadAttention.forward(followed, *args, **kwargs)


class _Followed(HeadAttention):
    """An attention that tells a tracer which axis of a mask belongs to its heads."""

    tracer: Tracer
    labels: Labels

    def _for_heads(self, mask: Tensor) -> Tensor:
        own = super()._for_heads(mask)
        mark = self.tracer.mark(own)
        self.tracer.tag(own, Mark({**mark.planes, 1: Plane(self.labels)}, mark.signal))
        return own
