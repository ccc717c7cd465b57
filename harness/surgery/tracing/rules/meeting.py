"""What happens where tensors meet on an axis: whose units lie there, and what they send."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import (
    VARYING,
    Constant,
    Held,
    Mark,
    Plane,
    Positions,
    Values,
    always,
    real_numbers,
)
from harness.surgery.tracing.tracer import Tracer

_FIXED = "combined with a tensor of fixed size"


def pliable(tracer: Tracer, tensor: Tensor, axis: int) -> bool:
    """Whether all positions on an axis are one and the same, so that there may as well be fewer of them.

    So it is for one position that was spread, and for a tensor that code has just filled with a number. If
    the code does not ask for the size of another tensor when it does so, it fails with fewer.
    """
    if tensor.shape[axis] > 1 and tensor.stride(axis) == 0:
        return True
    return tracer.aliases.blank(tensor) is not None


def meet(tracer: Tracer, others: Iterable[tuple[Tensor, Mark, int]], reason: str = _FIXED) -> Labels | None:
    """Couple the units that lie on axes of one size of several tensors.

    Args:
        others: (tensor, its mark, its axis), for each tensor.
        reason: why units must stay that meet positions of no unit.

    Returns:
        The labels of the positions, or None if they belong to no unit.
    """
    labels, fixed, spread = None, False, False
    others = list(others)
    if all(tensor.shape[axis] == 1 for tensor, _, axis in others):
        alone = [mark.planes[axis] for _, mark, axis in others if axis in mark.planes]
        if len(alone) < len(others):
            # A single number beside an axis of one position, such as a learnable factor of all entries.
            for single in alone:
                tracer.coupling.freeze(single.labels, reason)
            return None
    for tensor, mark, axis in others:
        plane = mark.planes.get(axis)
        if plane is None:
            yields = pliable(tracer, tensor, axis)
            # An axis of one position carries no unit of its own unless it is marked.
            fixed, spread = fixed or (not yields and tensor.shape[axis] > 1), spread or yields
        elif labels is None:
            labels = plane.labels
        else:
            tracer.coupling.unite(labels, plane.labels)
    if labels is not None and fixed:
        tracer.coupling.freeze(labels, reason)
        return None
    if labels is not None and spread:
        tracer.rigid.append(labels)
    return labels


def sends(tracer: Tracer, tensor: Tensor, mark: Mark, axis: int) -> Constant:
    """What the positions on an axis of a tensor send."""
    plane = mark.planes.get(axis)
    if mark.signal:
        return plane.constant if plane is not None else VARYING
    time, blank = tracer.aliases.now, tracer.aliases.blank(tensor)
    if blank is not None:
        return always(blank)

    def compute(positions: Positions, held: Held) -> Values:
        if not tracer.aliases.holds(tensor, time):
            return np.full((2, len(positions)), np.nan)
        return read_off(tensor, plane, axis, positions, held)

    return Constant(compute)


def read_off(tensor: Tensor, plane: Plane | None, axis: int, positions: Positions, held: Held) -> Values:
    """The one number in all entries of each position of a tensor that does not depend on the input."""
    rows = tensor.movedim(axis, 0)[torch.from_numpy(positions).to(tensor.device)]
    picked = real_numbers(rows.reshape(len(positions), -1))
    alike = (picked == picked[:, :1]).all(axis=1)
    value = np.where(alike, picked[:, 0], np.nan)
    if plane is not None and held is not None:
        value = np.where(held[plane.labels[positions]], 0.0, value)
    return np.stack([value, value])


def only_silence(constant: Constant) -> Constant:
    """Zero, where it is zero that is sent."""

    def compute(positions: Positions, held: Held) -> Values:
        return np.where(constant.at(positions, held) == 0.0, 0.0, np.nan)

    return Constant(compute)


def added(first: Constant, second: Constant) -> Constant:
    """What the first sends, where the second sends nothing that could be added to it here and there."""

    def compute(positions: Positions, held: Held) -> Values:
        return np.where(second.at(positions, held) == 0.0, first.at(positions, held), np.nan)

    return Constant(compute)
