"""Keeping the weights under weight norm what they are when entries are cut from them."""

import numpy as np
import torch
from torch import Tensor, nn

from harness.surgery.changes.draft import Draft
from harness.surgery.errors import SurgeryError
from harness.surgery.tracing.computed import Normed
from harness.surgery.tracing.tracer import Tracer

Lost = dict[int, np.typing.NDArray[np.bool_]]


def keep_norms(draft: Draft, tracer: Tracer, gone: np.typing.NDArray[np.bool_]) -> None:
    """Before entries are cut from v: scale g so that the weights that stay are what they are.

    Raises:
        SurgeryError: where a unit keeps no weight other than zero, which has no norm to divide by.
    """
    for normed in tracer.normed.values():
        if normed.magnitude is None:
            continue
        lost = lost_of(tracer, normed, gone)
        if any(lost[axis].any() for axis in normed.others) and not any(own.all() for own in lost.values()):
            draft.shift(normed.magnitude, [correction(target, normed, lost) for target in draft.targets])


def lost_of(tracer: Tracer, normed: Normed, gone: np.typing.NDArray[np.bool_]) -> Lost:
    """Axis of v -> which of its positions go; those of a kernel never do."""
    return {axis: gone[tracer.labels(normed.direction, axis)] for axis in (0, 1)}


def correction(network: nn.Module, normed: Normed, lost: Lost) -> Tensor:
    """What g has to become more, in float64, when entries go from v; nothing where g goes itself.

    Raises:
        SurgeryError: as `keep_norms` does.
    """
    assert normed.magnitude is not None
    v, g = network.get_parameter(normed.direction).detach(), network.get_parameter(normed.magnitude).detach()
    left = v.double().clone()
    for axis in normed.others:
        left.movedim(axis, 0)[torch.from_numpy(lost[axis]).to(v.device)] = 0
    dims = tuple(axis for axis in range(v.dim()) if axis != normed.axis)
    before = torch.linalg.vector_norm(v.double(), dim=dims, keepdim=True)
    after = torch.linalg.vector_norm(left, dim=dims, keepdim=True)
    staying = torch.ones_like(after, dtype=torch.bool)
    if normed.axis is not None and normed.axis < 2:
        staying = torch.from_numpy(~lost[normed.axis]).to(v.device).reshape(after.shape)
    if v.device.type != "meta" and bool(((after == 0) & staying).any()):
        raise SurgeryError(
            f"The layer {normed.layer!r} is under weight norm, and a unit of it would keep only weights of "
            "zero, which have no norm to divide by; remove that unit too."
        )
    ratio = torch.where(staying, after / before, torch.ones_like(after)).reshape(g.shape)
    return g.double() * (ratio - 1)
