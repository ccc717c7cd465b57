"""Examples that become what a network takes only when they are asked for."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from harness.datasets.augmentation import Batch
from harness.datasets.base import Examples, Part

#: Gathered at once ahead of their use, where examples are streamed to another device.
_CHUNK_BYTES = 1 << 26


@dataclass(frozen=True, slots=True, eq=False)
class OnDemand:
    """Examples of a part, in place of a tensor of them: indexed by a slice or by a tensor of indices, they
    are gathered, moved, normalised and resized, to float32 [chosen, *example_shape]. To the last bit what a
    tensor of them all would give that was normalised when the data were split.

    stored: [any, *stored_shape], uint8 or float32, in memory, mapped into it, or on the device.
    rows: which of them are the part's, in its order, int64 beside `stored`; None for all.
    mean, std: by which they are normalised, float64 [1, channels, 1, ...] on the device; None if they are.
    size: height and width that images are brought to (bilinear, antialiased); None to leave them.
    device: where examples are wanted.
    """

    stored: Tensor
    device: torch.device
    rows: Tensor | None = None
    mean: Tensor | None = None
    std: Tensor | None = None
    size: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.stored if self.rows is None else self.rows)

    @property
    def shape(self) -> torch.Size:
        """[examples, *example_shape], as a tensor of them all would have it."""
        example = self.stored.shape[1:] if self.size is None else (self.stored.shape[1], *self.size)
        return torch.Size((len(self), *example))

    @property
    def is_streamed(self) -> bool:
        """Whether examples come from another memory than the device's own."""
        return self.stored.device != self.device

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        if isinstance(chosen, slice) and self.rows is None:
            return self.finish(self.stored[chosen].to(self.device))
        if isinstance(chosen, slice):
            chosen = torch.arange(*chosen.indices(len(self)), device=self.stored.device)
        return self.finish(self.gather(chosen.to(self.stored.device)).to(self.device, non_blocking=True))

    def gather(self, chosen: Tensor) -> Tensor:
        """The stored values of chosen examples, beside `stored`; in pinned memory where a GPU fetches them.

        Args:
            chosen: int64 [n], beside `stored`.
        """
        rows = chosen if self.rows is None else self.rows[chosen]
        pinned = self.is_streamed and self.device.type == "cuda"
        if not pinned:
            return self.stored[rows]
        shape = (len(rows), *self.stored.shape[1:])
        into = torch.empty(shape, dtype=self.stored.dtype, pin_memory=True)
        return torch.index_select(self.stored, 0, rows, out=into)

    def finish(self, values: Tensor) -> Tensor:
        """What a network takes, from stored values on the device."""
        if self.mean is not None and self.std is not None:
            # In double precision and this order, as data are normalised when they are split.
            values = values.to(torch.float64).sub_(self.mean).div_(self.std).to(torch.float32)
        return values if self.size is None else resize(values, self.size)


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images [batch, channels, any, any] of this height and width: bilinear, antialiased."""
    if images.shape[2:] == size:
        return images
    return functional.interpolate(images, size, mode="bilinear", antialias=True)


def on_demand(x: Examples) -> OnDemand:
    """Examples of a part as such, whatever they are."""
    if isinstance(x, OnDemand):
        return x
    assert isinstance(x, Tensor), "a part holds a tensor or this"
    return OnDemand(x, x.device)


def batches(part: Part, order: Tensor, size: int) -> Iterator[Batch]:
    """A pass over a part, in batches of so many examples; the last may be smaller.

    Args:
        order: indices of examples, on the CPU. What comes does not depend on where the examples are kept.
    """
    x, there = part.x, order.to(part.y.device)
    if isinstance(x, OnDemand) and x.is_streamed:
        yield from map(Batch, _streamed(x, order, size), part.y[there].split(size))
        return
    for start in range(0, len(order), size):
        chosen = there[start : start + size]
        yield Batch(x[chosen], part.y[chosen])


def _streamed(x: OnDemand, order: Tensor, size: int) -> Iterator[Tensor]:
    """Batches in the given order; while one chunk of them is used, the next is gathered."""
    bytes_each = x.stored[0].numel() * x.stored.element_size()
    chunk = max(1, _CHUNK_BYTES // (bytes_each * size)) * size
    with ThreadPoolExecutor(1) as gatherer:
        ahead = gatherer.submit(x.gather, order[:chunk])
        for start in range(0, len(order), chunk):
            gathered = ahead.result()
            if start + chunk < len(order):
                ahead = gatherer.submit(x.gather, order[start + chunk : start + 2 * chunk])
            moved = gathered.to(x.device, non_blocking=True)
            for batch in moved.split(size):
                yield x.finish(batch)
