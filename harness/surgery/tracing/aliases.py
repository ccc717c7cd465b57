"""Tensors that lie in one memory: what is written through one of them is known of the others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import Constant, Held, Mark, Plane, Positions, Values, always

if TYPE_CHECKING:
    from harness.surgery.tracing.tracer import Tracer

#: Positions on an axis for each entry of a tensor, -1 for none.
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_REASON = "written through another view of its memory"


@dataclass(frozen=True, slots=True)
class Write:
    """One operation that wrote in place: when, through which tensor, and what that one holds since."""

    time: int
    writer: Tensor
    mark: Mark


class Aliases:
    """Which of the tensors that are followed share memory, and what was written there in the meantime.

    A tensor learns of what was written through others when it is read next, and not before: most are never
    read again.
    """

    def __init__(self) -> None:
        self._time = 0
        self._noted: dict[int, int] = {}
        self._residents: dict[int, dict[int, Tensor]] = {}
        self._writes: dict[int, list[Write]] = {}
        self._owned: dict[int, list[str]] = {}
        self._blanks: dict[int, float] = {}
        self._kinds: dict[Any, tuple[tuple[int | str, ...], bool]] = {}

    @property
    def now(self) -> int:
        """Number of writes so far."""
        return self._time

    def note(self, tensor: Tensor) -> None:
        """A tensor has been marked, as its memory is now."""
        self._noted[id(tensor)] = self._time
        self._residents.setdefault(_home(tensor), {})[id(tensor)] = tensor

    def own(self, path: str, tensor: Tensor) -> None:
        """A parameter or buffer: its values are given back after the pass."""
        self._owned.setdefault(_home(tensor), []).append(path)

    def owners(self, tensor: Tensor) -> list[str]:
        """The parameters and buffers in whose memory a tensor lies."""
        return self._owned.get(_home(tensor), [])

    def fill(self, tensor: Tensor, value: float) -> None:
        """A tensor was made full of one number, by code that names no other tensor's entries."""
        self._blanks[_home(tensor)] = value

    def blank(self, tensor: Tensor, before: int | None = None) -> float | None:
        """The number that a tensor is full of, NaN if nobody knows; None once something was written there.

        Args:
            before: look at writes before this one alone.
        """
        home = _home(tensor) if self._blanks else None
        if home is None or home not in self._blanks:
            return None
        writes = self._writes.get(home, [])
        untouched = not any(before is None or write.time < before for write in writes)
        return self._blanks[home] if untouched else None

    def lodges(self, tensor: Tensor) -> bool:
        """Whether a tensor lies in the memory of one that is followed."""
        return _home(tensor) in self._residents

    def residents(self, tensor: Tensor) -> list[Tensor]:
        """The tensors that are followed in a tensor's memory, or the one that lies there just as it does."""
        found = list(self._residents.get(_home(tensor), {}).values())
        return next(([other] for other in found if _same(tensor, other)), found)

    def wrote(self, writer: Tensor, mark: Mark) -> None:
        """Something was written through a tensor, which is marked accordingly."""
        self._time += 1
        self._writes.setdefault(_home(writer), []).append(Write(self._time, writer, mark))
        self._noted[id(writer)] = self._time

    def missed(self, tensor: Tensor) -> list[Write]:
        """What was written into a tensor's memory since it was marked, in order."""
        writes = self._writes.get(_home(tensor)) if self._writes else None
        since = self._noted.get(id(tensor), 0)
        return [write for write in writes if write.time > since] if writes else []

    def holds(self, tensor: Tensor, time: int) -> bool:
        """Whether a tensor has, after the pass, the values that it had at some time in it."""
        writes = self._writes.get(_home(tensor), []) if self._writes else []
        if self.owners(tensor):
            return all(write.time > time for write in writes)
        return all(write.time <= time for write in writes)

    def written(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Any]:
        """The arguments into which an operation writes, as its schema says."""
        for place in self._kind(func)[0]:
            if isinstance(place, str):
                if place in kwargs:
                    yield kwargs[place]
            elif place < len(args):
                yield args[place]

    def reshapes(self, func: Any) -> bool:
        """Whether an operation gives its argument itself another shape."""
        return self._kind(func)[1]

    def _kind(self, func: Any) -> tuple[tuple[int | str, ...], bool]:
        known = self._kinds.get(func)
        if known is None:
            reshapes = torch.Tag.inplace_view in func.tags
            places: list[int | str] = []
            for number, argument in enumerate(func._schema.arguments):
                if not reshapes and argument.alias_info is not None and argument.alias_info.is_write:
                    places.append(argument.name if argument.kwarg_only else number)
            known = self._kinds[func] = tuple(places), reshapes
        return known


def _home(tensor: Tensor) -> int:
    """What tells memories apart: where they begin, or else the storage."""
    if not torch._C._has_storage(tensor):
        return -id(tensor)
    storage = tensor.untyped_storage()
    return storage.data_ptr() or -storage._cdata


def _same(first: Tensor, second: Tensor) -> bool:
    return (
        first.dtype == second.dtype
        and first.shape == second.shape
        and first.stride() == second.stride()
        and bool(first.storage_offset() == second.storage_offset())
    )


def seen_through(
    tracer: "Tracer", tensor: Tensor, mark: Mark, writer: Tensor, new: Mark, blank: float | None = None
) -> Mark:
    """What is known of a tensor, marked before, after a write through another one in the same memory.

    Args:
        blank: the number that the memory was full of until then, if it was.
    """
    if _same(tensor, writer):
        return Mark(new.planes, new.signal, new.source, new.scaled_by)
    if tensor.dtype != writer.dtype:
        tracer.freeze(mark, _REASON)
        tracer.freeze(new, _REASON)
        return Mark({}, mark.signal or new.signal)
    covered = _painted(writer, None, tensor) >= 0
    if not covered.any():
        return mark
    whole = bool(covered.all())
    laid: dict[int, tuple[Places, Plane]] = {}
    for axis, plane in new.planes.items():
        found = _along(_painted(writer, axis, tensor), plane.labels)
        if found is None or found[0] in laid:
            tracer.coupling.freeze(plane.labels, _REASON)
        else:
            laid[found[0]] = found[1], plane
    planes: dict[int, Plane] = {}
    for axis in range(tensor.dim()):
        before = mark.planes.get(axis) if not whole else None
        if axis not in laid:
            if before is not None:
                tracer.coupling.freeze(before.labels, _REASON)
            continue
        places, plane = laid[axis]
        first = places[:, 0]
        if whole:
            planes[axis] = Plane(plane.labels[first], _at(plane.constant, places))
            continue
        met = first >= 0
        if before is None and blank is not None and met.all():
            before = Plane(plane.labels[first], always(blank))
        if before is None:
            tracer.coupling.freeze(plane.labels, _REASON)
        else:
            tracer.coupling.unite(before.labels[met], plane.labels[first[met]])
            full: Flags = np.logical_and.reduce(np.moveaxis(covered, axis, 0).reshape(len(first), -1), axis=1)
            planes[axis] = Plane(
                before.labels, _partly(before.constant, _at(plane.constant, places), met, full)
            )
    return Mark(planes, new.signal or (mark.signal and not whole))


def _painted(writer: Tensor, axis: int | None, tensor: Tensor) -> Places:
    """For each entry of a tensor, the position on an axis of another one in the same memory, or -1."""
    length = max(
        own.storage_offset() + sum((n - 1) * s for n, s in zip(own.shape, own.stride(), strict=True)) + 1
        for own in (writer, tensor)
    )
    memory = np.full(length, -1, dtype=np.int64)
    if not writer.numel() or not tensor.numel():
        return np.full(tuple(tensor.shape), -1, dtype=np.int64)
    along = np.zeros((1,) * writer.dim(), dtype=np.int64)
    if axis is not None:
        along = np.arange(writer.shape[axis]).reshape([-1 if k == axis else 1 for k in range(writer.dim())])
    _laid_out(memory, writer)[...] = along
    return _laid_out(memory, tensor)


def _laid_out(memory: Places, tensor: Tensor) -> Places:
    strides = [stride * memory.itemsize for stride in tensor.stride()]
    return np.lib.stride_tricks.as_strided(memory[tensor.storage_offset() :], tuple(tensor.shape), strides)


def _along(painted: Places, labels: Labels) -> tuple[int, Places] | None:
    """The one axis that decides which unit an entry belongs to, and [size, n]: what its positions were
    painted with (-1: with nothing)."""
    _, alike = np.unique(labels, return_inverse=True)
    units = np.where(painted < 0, -1, alike[painted])
    for axis in range(painted.ndim):
        rows = np.moveaxis(units, axis, 0).reshape(painted.shape[axis], -1)
        highest = rows.max(axis=1)
        if ((rows == highest[:, None]) | (rows < 0)).all() and len(np.unique(highest[highest >= 0])) > 1:
            seen = np.moveaxis(painted, axis, 0).reshape(painted.shape[axis], -1)
            last = seen.max(axis=1, keepdims=True)
            seen = np.where(seen < 0, last, seen)
            return axis, last if (seen == last).all() else np.unique(seen, axis=1)
    return None


def _at(constant: Constant, places: Places) -> Constant:
    """What several positions send where they all send the same."""

    def compute(positions: Positions, held: Held) -> Values:
        chosen = places[positions]
        values = np.full((2, *chosen.shape), np.nan)
        met = chosen[:, 0] >= 0
        values[:, met] = constant.at(chosen[met].reshape(-1), held).reshape(2, -1, chosen.shape[1])
        return np.where((values == values[:, :, :1]).all(axis=2), values[:, :, 0], np.nan)

    return Constant(compute)


def _partly(before: Constant, after: Constant, met: Flags, full: Flags) -> Constant:
    """What was there before where nothing was put over it, and where something was, but not over all."""

    def compute(positions: Positions, held: Held) -> Values:
        old, new = before.at(positions, held), after.at(positions, held)
        mixed = np.where(full[positions] | (old == new), new, np.nan)
        return np.where(met[positions], mixed, old)

    return Constant(compute)
