"""Where the entries of a network's tensors, as a method saw them, lie by now."""

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from harness.surgery.errors import SurgeryError

#: [size of an axis by now]: the position that was seen of each position, -1 where it was put in since.
Places = npt.NDArray[np.int64]


@runtime_checkable
class Moving(Protocol):
    """A reshaping that takes positions out of axes, or puts some in."""

    def __call__(self, tensor: Tensor) -> Tensor:
        """New values from old ones."""
        ...

    def places(self, before: tuple[Places, ...]) -> tuple[Places, ...]:
        """For each axis: what stands where afterwards."""
        ...


class Seen:
    """The tensors and modules of a network before the first edit of a proposal, and what became of them.

    A tied tensor has several paths and is one tensor. What was put in since has no place here.
    """

    def __init__(self, network: nn.Module) -> None:
        self.modules = dict(network.named_modules(remove_duplicate=False))
        self._gone: set[str] = set()
        self._owner: dict[str, str] = {}
        self._paths: dict[str, list[str]] = {}
        self._places: dict[str, tuple[Places, ...]] = {}
        self._shapes: dict[str, torch.Size] = {}
        first: dict[int, str] = {}
        for kind in (network.named_parameters, network.named_buffers):
            for path, tensor in kind(remove_duplicate=False):
                owner = self._owner[path] = first.setdefault(id(tensor), path)
                self._paths.setdefault(owner, []).append(path)
                self._shapes[owner] = tensor.shape

    def shape(self, path: str) -> torch.Size:
        """Of a parameter or buffer as it was seen.

        Raises:
            SurgeryError: if there was none.
        """
        if path not in self._owner:
            raise SurgeryError(f"The network has no parameter or buffer {path!r}.")
        return self._shapes[self._owner[path]]

    def now(self, path: str) -> str | None:
        """A path that a tensor has by now; None if it is gone. Raises SurgeryError as `shape` does."""
        self.shape(path)
        left = self._paths[self._owner[path]]
        return path if path in left else next(iter(left), None)

    def stands(self, path: str) -> bool:
        """Whether a module that was seen is still in its place.

        Raises:
            SurgeryError: if there was none.
        """
        if path not in self.modules:
            raise SurgeryError(f"The network has no module {path!r}.")
        return path not in self._gone

    def is_moved(self, path: str) -> bool:
        """Whether positions of a tensor were taken out or put in since."""
        return self._owner.get(path) in self._places

    def position(self, path: str, axis: int, seen: int) -> int | None:
        """Where a position of an axis lies by now; None if it is gone."""
        owner = self._owner[path]
        if not self._paths[owner]:
            return None
        if owner not in self._places:
            return seen
        found = np.flatnonzero(self._places[owner][axis] == seen)
        return int(found[0]) if len(found) else None

    def laid(self, path: str, values: Tensor, onto: Tensor, *, but: int | None = None) -> Tensor:
        """Values shaped as what was seen, put onto a tensor shaped as it is now; the rest of it stays.

        Args:
            path: of the parameter or buffer.
            values: [shape as seen], on the axis `but` of any size.
            onto: [shape by now], on the axis `but` as long as `values`.
            but: an axis that is given as it shall be.

        Raises:
            SurgeryError: if values have another shape.
        """
        seen, owner = list(self.shape(path)), self._owner[path]
        if but is not None and values.dim() == len(seen):
            seen[but] = values.shape[but]
        if list(values.shape) != seen:
            raise SurgeryError(
                f"New values of {path!r} must have shape {tuple(seen)}, as the network was when the method "
                f"was asked, not {tuple(values.shape)}."
            )
        if owner not in self._places:
            return values.to(onto)
        taken, put = [], []
        for axis, places in enumerate(self._places[owner]):
            every = np.arange(values.shape[axis])
            taken.append(every if axis == but else places[places >= 0])
            put.append(every if axis == but else np.flatnonzero(places >= 0))
        laid = onto.clone()
        laid[_grid(put)] = values.to(onto)[_grid(taken)]
        return laid

    def move(self, path: str, reshaping: Moving) -> None:
        """Note that positions of a tensor were taken out or put in."""
        owner = self._owner.get(path)
        if owner is not None and self._paths[owner]:
            whole = tuple(np.arange(size, dtype=np.int64) for size in self._shapes[owner])
            self._places[owner] = reshaping.places(self._places.get(owner, whole))

    def replaced(self, path: str) -> None:
        """Note that a module, with all it holds, was taken out of its place."""
        below = f"{path}."
        self._gone.update(own for own in self.modules if own == path or own.startswith(below))
        for own in self._paths.values():
            own[:] = [each for each in own if not each.startswith(below)]


def _grid(axes: list[npt.NDArray[np.int64]]) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(index) for index in np.ix_(*axes))
