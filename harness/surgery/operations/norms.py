"""Keeping the weights under weight norm what they are when entries are cut from them."""

import numpy as np
import torch
from torch import Tensor, nn

from harness.surgery.changes.draft import Draft
from harness.surgery.errors import SurgeryError
from harness.surgery.tracing.computed import Normed
from harness.surgery.tracing.tracer import Tracer


def keep_norms(draft: Draft, tracer: Tracer, gone: np.typing.NDArray[np.bool_]) -> None:
    """Before entries are cut from v: scale g so that the weights that stay are what they are.

    Raises:
        SurgeryError: where a unit keeps no weight other than zero, which has no norm to divide by.
    """
    for normed in tracer.normed.values():
        if normed.magnitude is None:
            continue
        lost = {axis: gone[tracer.labels(normed.direction, axis)] for axis in range(2)}
        if not any(entries.any() for axis, entries in lost.items() if axis != normed.axis):
            continue
        if any(entries.all() for entries in lost.values()):
            continue
        draft.shift(normed.magnitude, [_correction(target, normed, lost) for target in draft.targets])


def _correction(network: nn.Module, normed: Normed, lost: dict[int, np.typing.NDArray[np.bool_]]) -> Tensor:
    assert normed.magnitude is not None
    v, g = network.get_parameter(normed.direction), network.get_parameter(normed.magnitude)
    left = v.detach().double().clone()
    for axis, entries in lost.items():
        if axis != normed.axis:
            left.movedim(axis, 0)[torch.from_numpy(entries).to(v.device)] = 0
    dims = tuple(axis for axis in range(v.dim()) if axis != normed.axis)
    before = torch.linalg.vector_norm(v.detach().double(), dim=dims, keepdim=True)
    after = torch.linalg.vector_norm(left, dim=dims, keepdim=True)
    staying = torch.ones_like(after, dtype=torch.bool)
    if normed.axis is not None:
        kept = torch.from_numpy(~lost.get(normed.axis, np.zeros(v.shape[normed.axis], np.bool_)))
        staying = kept.to(v.device).reshape(after.shape)
    if bool(((after == 0) & staying).any()):
        raise SurgeryError(
            f"The layer {normed.layer!r} is under weight norm, and a unit of it would keep only weights of "
            "zero, which have no norm to divide by; remove that unit too."
        )
    ratio = torch.where(staying, after / before, torch.ones_like(after)).reshape(g.shape)
    return g.detach().double() * (ratio - 1)
