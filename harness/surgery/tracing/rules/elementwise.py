"""Operations that treat every entry alone, with broadcasting."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import (
    Constant,
    Held,
    Mark,
    Plane,
    Positions,
    Values,
    always,
    real_numbers,
    rounded,
)
from harness.surgery.tracing.rules.meeting import meet, read_off
from harness.surgery.tracing.tracer import Call, Tracer

_PRODUCTS = frozenset({"mul", "mul_"})
_QUOTIENTS = frozenset({"div", "div_"})
_CHOICES = frozenset({"where", "masked_fill", "masked_fill_"})


def pointwise(tracer: Tracer, call: Call) -> None:
    """Units of all operands that lie on the same axis of the result are coupled."""
    out: Tensor = call.out[0] if isinstance(call.out, tuple) else call.out
    operands = [(tensor, tracer.mark(tensor)) for tensor in call.args if isinstance(tensor, Tensor)]
    planes: dict[int, Plane] = {}
    for axis, size in enumerate(out.shape):
        labels = _align(tracer, operands, axis - out.dim(), size)
        if labels is not None:
            planes[axis] = Plane(labels, _constant(tracer, call, operands, axis - out.dim(), size))
    if any(mark.signal for _, mark in operands):
        tracer.tag(out, Mark(planes))
    else:
        tracer.tag(out, _scaled(call, operands, planes))


def fill(tracer: Tracer, call: Call) -> None:
    """One number in all places."""
    target: Tensor = call.args[0]
    mark = tracer.mark(target)
    value = call.argument(1, "value", 0.0)
    unknown = isinstance(value, Tensor) and (tracer.mark(value).signal or value.device.type == "meta")
    if unknown or isinstance(value, complex):
        number = np.nan
    else:
        number = float(real_numbers(value)) if isinstance(value, Tensor) else float(value)
    planes = {axis: Plane(plane.labels, always(number)) for axis, plane in mark.planes.items()}
    tracer.tag(
        call.out, Mark(planes, mark.signal or (isinstance(value, Tensor) and tracer.mark(value).signal))
    )


def copy(tracer: Tracer, call: Call) -> None:
    """Entries put over those of another tensor, of which only the places stay."""
    target, given = call.args[:2]
    operands = [(tensor, tracer.mark(tensor)) for tensor in (target, given)]
    sent = Call("copy", torch.ops.aten.clone.default, (given,), {}, call.out)
    planes: dict[int, Plane] = {}
    for axis, size in enumerate(target.shape):
        labels = _align(tracer, operands, axis - target.dim(), size)
        if labels is not None:
            constant = _constant(tracer, sent, operands[1:], axis - target.dim(), size)
            planes[axis] = Plane(labels, rounded(constant, target.dtype))
    tracer.tag(call.out, Mark(planes, operands[1][1].signal or bool(planes)))


def _align(tracer: Tracer, operands: list[tuple[Tensor, Mark]], axis: int, size: int) -> Labels | None:
    """Couple what lies on one axis (counted from the end) of the operands; its labels in the result."""
    there = [(own, mark, own.dim() + axis) for own, mark in operands if own.dim() >= -axis]
    for tensor, mark, place in there:
        if tensor.shape[place] != size and place in mark.planes:
            tracer.freeze(mark, "a single unit is spread over a whole axis", axes=(place,))
    return meet(tracer, [own for own in there if own[0].shape[own[2]] == size])


def _scaled(call: Call, operands: list[tuple[Tensor, Mark]], planes: dict[int, Plane]) -> Mark:
    """The mark of a tensor made of weights alone: a parameter scaled row by row, or by a single number, still
    stands for it."""
    (_, first), *others = operands
    if not others:
        # A gate behind a function is still that gate; a weight behind one is another weight.
        source = first.source if call.out.dim() <= 1 else None
        return Mark(planes, signal=False, source=source, scaled_by=(*first.scaled_by, call.name))
    if call.name not in _PRODUCTS or len(others) != 1:
        return Mark(planes, signal=False)
    (big, kept), (small, scale) = sorted(operands, key=lambda operand: operand[0].dim(), reverse=True)
    rows = big.shape[:1] + (1,) * (big.dim() - 1)
    if scale.source is None or (small.dim() and small.shape != rows):
        return Mark(planes, signal=False)
    scaled_by = (*kept.scaled_by, scale.source, *scale.scaled_by)
    return Mark(planes, signal=False, source=kept.source, scaled_by=scaled_by)


def _constant(
    tracer: Tracer, call: Call, operands: list[tuple[Tensor, Mark]], axis: int, size: int
) -> Constant:
    time = tracer.aliases.now
    blanks = {id(tensor): tracer.aliases.blank(tensor) for tensor, mark in operands if not mark.signal}

    def arriving(tensor: Tensor, mark: Mark, positions: Positions, held: Held) -> Values:
        if mark.signal:
            return _sent(tensor, mark, axis, size, positions, held)
        if (blank := blanks[id(tensor)]) is not None:
            return np.full((2, len(positions)), blank)
        # What weights and other tensors held then cannot be read off them if they were written to.
        if not tracer.aliases.holds(tensor, time):
            return np.full((2, len(positions)), np.nan)
        return _sent(tensor, mark, axis, size, positions, held)

    def compute(positions: Positions, held: Held) -> Values:
        values = {id(tensor): arriving(tensor, mark, positions, held) for tensor, mark in operands}
        if call.name in _PRODUCTS and any((value == 0).all() for value in values.values()):
            return np.zeros((2, len(positions)))
        if call.name in _CHOICES:
            return _chosen(call, values, len(positions))
        moving = np.isnan(sum(values.values()))
        sent = np.where(moving, np.nan, _evaluated(call, values))
        if call.name in _PRODUCTS:
            silent = np.logical_or.reduce([value == 0 for value in values.values()])
            sent = np.where(silent, 0.0, sent)
        if call.name in _QUOTIENTS and isinstance(call.args[0], Tensor):
            # A network whose divisors can be zero is none before either.
            nothing = values[id(call.args[1])] == 0 if isinstance(call.args[1], Tensor) else call.args[1] == 0
            sent = np.where((values[id(call.args[0])] == 0) & ~np.asarray(nothing), 0.0, sent)
        return sent

    return Constant(compute)


def _evaluated(call: Call, values: Mapping[int, Values]) -> Values:
    """The operation itself, on what its operands send; NaN where it is of a kind that floats cannot show."""
    if torch.Tag.nondeterministic_seeded in call.func.tags:  # type: ignore[attr-defined]
        return np.full_like(next(iter(values.values())), np.nan)
    arguments: list[Any] = [_as(values[id(a)], a.dtype) if isinstance(a, Tensor) else a for a in call.args]
    named = {name: value for name, value in call.kwargs.items() if name != "out"}
    if "out" in call.kwargs:
        named["out"] = torch.empty(0, dtype=call.out.dtype)
    result = call.func(*arguments, **named)
    return real_numbers(result[0] if isinstance(result, tuple) else result)


def _as(values: npt.NDArray[np.float64], dtype: torch.dtype) -> Tensor:
    """Numbers of the kind that an operation was given: truths, integers, complex, or else doubles."""
    if dtype.is_complex:
        return torch.from_numpy(values.copy()).to(torch.complex128)
    if dtype.is_floating_point:
        return torch.from_numpy(values.copy())
    return torch.from_numpy(np.nan_to_num(values)).to(dtype)


def _chosen(call: Call, values: Mapping[int, Values], count: int) -> Values:
    """Entries of two tensors by a third: a constant where the choice is one, or both say the same."""
    sent = [
        values[id(a)] if isinstance(a, Tensor) else np.full((2, count), a, dtype=np.float64)
        for a in call.args[:3]
    ]
    # The one says where the value is put over the tensor, the other where the first tensor stands.
    other, condition, one = sent if call.name.startswith("masked_fill") else (sent[2], sent[0], sent[1])
    picked = np.where(condition != 0, one, other)
    return np.where(np.isnan(condition), np.where(one == other, one, np.nan), picked)


def _sent(tensor: Tensor, mark: Mark, axis: int, size: int, positions: Positions, held: Held) -> Values:
    """What one operand sends at positions of an axis (counted from the end, of some size) of the result."""
    on_axis = tensor.dim() >= -axis
    plane = mark.planes.get(tensor.dim() + axis) if on_axis else None
    if mark.signal:
        if plane is None or tensor.shape[axis] != size:
            return np.full((2, len(positions)), np.nan)
        return plane.constant.at(positions, held)
    if tensor.numel() == 1:
        return np.full((2, len(positions)), real_numbers(tensor.reshape(())), dtype=np.float64)
    if not on_axis or tensor.shape[axis] != size:
        return np.full((2, len(positions)), np.nan)
    return read_off(tensor, plane, axis, positions, held)
