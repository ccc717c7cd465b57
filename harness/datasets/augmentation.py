"""What a study may do to training examples before the network sees them: crop, flip, cut out, mix.

Each is an operation on a whole batch, on the batch's device, with random numbers of its own for every
example. They are drawn for a whole pass over the data at once, from the trial's order generator, as the
pass's order is: so how many are drawn depends on nothing that a method does, and arms that share the order
seed share them all. Validation, test and the probe of the sizing methods see examples as they are.

Where there is nothing of the image, it is 0: the channel's mean, since examples are normalised. Operations
come in one order, whatever the order they are written in: crop, flip, cutout, mixup. Sizes are in pixels of
what the network sees, after any resizing. Importing this module imports no torch: a study is planned without
it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from harness.datasets.base import DatasetFacts

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor


class Batch(NamedTuple):
    """What a step trains on: x [batch, *example_shape], y [batch, *target_shape].

    partner_y, weight: where examples were mixed, the targets of the other example, and the share, [batch], of
    the first in the mixture; None elsewhere.
    """

    x: "Tensor"
    y: "Tensor"
    partner_y: "Tensor | None" = None
    weight: "Tensor | None" = None


class Operation(Protocol):
    """One way to change a batch. Subclass it explicitly; implementations are frozen dataclasses."""

    def check(self, facts: DatasetFacts) -> None:
        """Raise ValueError, in one sentence, if it cannot be done to examples or targets of this data set."""
        ...

    def draw(self, examples: int, example_shape: Sequence[int], generator: "Generator") -> "Tensor":
        """Random numbers for so many examples, one column each: float32 [k, examples], on the CPU."""
        ...

    def apply(self, batch: Batch, draws: "Tensor") -> Batch:
        """The changed batch. draws: the columns of its examples, on its device. Changes nothing in place."""
        ...


@dataclass(frozen=True, slots=True)
class Crop(Operation):
    """Pad by so many pixels on each side, then cut a piece of the old size out at a random place."""

    padding: int

    def check(self, facts: DatasetFacts) -> None:
        height, width = _sides(facts, "random_crop")
        _check_targets_stay(facts, "random_crop")
        if self.padding >= min(height, width):
            raise ValueError(
                f"random_crop: a padding below {min(height, width)} is needed, the smaller side of the "
                f"examples of {facts.name!r} ({height}x{width}), found {self.padding}"
            )

    def draw(self, examples: int, example_shape: Sequence[int], generator: "Generator") -> "Tensor":
        import torch

        return torch.randint(0, 2 * self.padding + 1, (2, examples), generator=generator).float()

    def apply(self, batch: Batch, draws: "Tensor") -> Batch:
        import torch
        from torch.nn import functional

        count, channels, height, width = batch.x.shape
        padded = functional.pad(batch.x, (self.padding,) * 4)
        down, right = draws.long()
        rows = down.unsqueeze(1) + torch.arange(height, device=draws.device)
        columns = right.unsqueeze(1) + torch.arange(width, device=draws.device)
        places = rows.unsqueeze(2) * padded.shape[3] + columns.unsqueeze(1)
        places = places.reshape(count, 1, -1).expand(count, channels, -1)
        return Batch(padded.flatten(2).gather(2, places).view_as(batch.x), batch.y)


@dataclass(frozen=True, slots=True)
class Flip(Operation):
    """Turn half of the examples, at random, left to right."""

    def check(self, facts: DatasetFacts) -> None:
        _sides(facts, "flip")
        _check_targets_stay(facts, "flip")

    def draw(self, examples: int, example_shape: Sequence[int], generator: "Generator") -> "Tensor":
        import torch

        return torch.randint(0, 2, (1, examples), generator=generator).float()

    def apply(self, batch: Batch, draws: "Tensor") -> Batch:
        import torch

        turned = draws[0].bool().view(-1, 1, 1, 1)
        return Batch(torch.where(turned, batch.x.flip(3), batch.x), batch.y)


@dataclass(frozen=True, slots=True)
class Cutout(Operation):
    """Blank a square of so many pixels a side, its middle at any pixel: near an edge, less is seen.

    DeVries and Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout".
    """

    size: int

    def check(self, facts: DatasetFacts) -> None:
        height, width = _sides(facts, "cutout")
        if self.size >= max(height, width):
            raise ValueError(
                f"cutout: a size below {max(height, width)} is needed, or nothing may be left of the "
                f"examples of {facts.name!r} ({height}x{width}), found {self.size}"
            )

    def draw(self, examples: int, example_shape: Sequence[int], generator: "Generator") -> "Tensor":
        import torch

        middles = [torch.randint(0, side, (examples,), generator=generator) for side in example_shape[1:]]
        return torch.stack(middles).float()

    def apply(self, batch: Batch, draws: "Tensor") -> Batch:
        import torch

        inside = []
        for middles, side in zip(draws, batch.x.shape[2:], strict=True):
            from_start = torch.arange(side, device=draws.device) - (middles - self.size // 2).unsqueeze(1)
            inside.append((from_start >= 0) & (from_start < self.size))
        hole = inside[0].unsqueeze(2) & inside[1].unsqueeze(1)
        return Batch(batch.x.masked_fill(hole.unsqueeze(1), 0.0), batch.y)


@dataclass(frozen=True, slots=True)
class Mixup(Operation):
    """Mix each example with the one before it in its batch, the first with the last, in a share drawn from
    Beta(alpha, alpha). The order of a pass is random, so the neighbour is a random partner.

    Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization".
    """

    alpha: float

    def check(self, facts: DatasetFacts) -> None:
        if facts.target == "numbers" and "binary_accuracy" not in facts.constant_scores:
            raise ValueError(
                f"mixup: targets that are classes, or 0 and 1, are needed, those of {facts.name!r} are "
                "numbers: what lies between two examples has no known number"
            )

    def draw(self, examples: int, example_shape: Sequence[int], generator: "Generator") -> "Tensor":
        import torch

        # Student's t with 2 alpha degrees of freedom by the polar method (Bailey 1994), carried to the
        # symmetric beta distribution: exact for every alpha, from two uniform numbers an example.
        spread, angle = torch.rand(2, examples, dtype=torch.float64, generator=generator)
        kept = spread.pow(1 / self.alpha)
        side = (2 * math.pi * angle).cos()
        square = side.square() * (1 - kept)
        distance = (square / (kept + square)).sqrt()
        share: Tensor = 0.5 + 0.5 * side.sign() * distance
        return share.float().unsqueeze(0)

    def apply(self, batch: Batch, draws: "Tensor") -> Batch:
        import torch

        share = draws[0]
        mixed = torch.lerp(batch.x.roll(1, 0), batch.x, share.view(-1, *(1,) * (batch.x.dim() - 1)))
        return Batch(mixed, batch.y, batch.y.roll(1, 0), share)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Operations, one after the other."""

    operations: tuple[Operation, ...]

    def check(self, facts: DatasetFacts) -> None:
        """Raise ValueError, in one sentence, if an operation cannot be done to a data set."""
        for operation in self.operations:
            operation.check(facts)

    def draw(
        self, examples: int, example_shape: Sequence[int], generator: "Generator", device: "torch.device"
    ) -> "tuple[Tensor, ...]":
        """Random numbers for a pass over so many examples: for each operation [k, examples], on the device.

        Drawn on the CPU, so that every device gets the same, and moved in one piece.
        """
        import torch

        drawn = [operation.draw(examples, example_shape, generator) for operation in self.operations]
        moved = torch.cat(drawn).to(device, non_blocking=True)
        return torch.split(moved, [len(part) for part in drawn])

    def apply(self, batch: Batch, draws: "Sequence[Tensor]", start: int) -> Batch:
        """The batch whose first example is the pass's number `start`, augmented."""
        end = start + len(batch.y)
        for operation, drawn in zip(self.operations, draws, strict=True):
            batch = operation.apply(batch, drawn[:, start:end])
        return batch


def _sides(facts: DatasetFacts, operation: str) -> tuple[int, int]:
    if len(facts.example_shape) != 3:
        shape = "x".join(map(str, facts.example_shape))
        raise ValueError(
            f"{operation}: examples with channels, height and width are needed, those of {facts.name!r} have "
            f"the shape {shape}"
        )
    return facts.example_shape[1], facts.example_shape[2]


def _check_targets_stay(facts: DatasetFacts, operation: str) -> None:
    if len(facts.target_shape) > 1:
        raise ValueError(
            f"{operation}: one target an example is needed, those of {facts.name!r} have the shape "
            f"{'x'.join(map(str, facts.target_shape))}: the image would move, and they would not"
        )
