"""Telling a change of what a network gives from what rounding makes of it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from harness.surgery.certificate import Answer, answer, difference
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.scratch import scratch

#: Changes of an output, relative to its scale, that rounding may always make.
_ALWAYS = {torch.float64: 1e-10, torch.complex128: 1e-10, torch.float32: 1e-5, torch.complex64: 1e-5}
#: How often what errors in the last place of each weight come to counts as rounding.
_FACTOR = 20.0


def beyond_rounding(
    network: nn.Module,
    example: Example,
    mode: str,
    before: Answer,
    after: Answer,
    kept_in: torch.dtype | None = None,
) -> float | None:
    """The change between two answers, relative to the outputs' scale, if it is more than rounding; else None.

    What rounding comes to in a network is measured where a change is not next to nothing: normalisation by a
    small batch divides by small spreads, layer after layer, until in single precision nothing can be told.

    Args:
        network: that gave the second answer, and is in the state in which it did.
        kept_in: the precision in which weights are kept, if it is not the one that the answers are of.
    """
    change = difference(before, after)
    kinds = [each.dtype for each in after.tensors if each.is_floating_point() or each.is_complex()]
    always = max((_always(kind) for kind in kinds), default=0.0)
    if change is None or change <= always:
        return None
    unit = max(float(torch.finfo(kind).eps) for kind in (*kinds, *([kept_in] if kept_in else [])))
    with scratch(network, _jolted(unit)):
        jolted = difference(after, answer(network, example, mode, seed=0))
    return change if change > _FACTOR * (jolted or 0.0) else None


def _always(kind: torch.dtype) -> float:
    return _ALWAYS.get(kind, 4 * float(torch.finfo(kind).eps))


def _jolted(unit: float) -> Callable[[Tensor], Tensor]:
    """Parameters with a random error in their last place."""
    generator = torch.Generator().manual_seed(0)

    def value(own: Tensor) -> Tensor:
        if not isinstance(own, nn.Parameter) or not own.is_floating_point():
            return own.detach()
        drawn = torch.rand(own.shape, generator=generator, dtype=torch.float64).to(own) - 0.5
        return own.detach() * (1 + 2 * unit * drawn)

    return value
