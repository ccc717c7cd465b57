"""What a sizing method may measure while it decides: batches and losses of the training part alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from harness.datasets.base import Part
from harness.objectives.base import Objective, Reduction


@dataclass(frozen=True, slots=True)
class Probe:
    """Batches and losses of the training part. Validation and test parts are out of reach by construction.

    Whatever is computed while a method is asked for edits, with the probe or without, is charged to the
    trial: its seconds, and its matrix products and convolutions, forward and backward, as FLOPs.
    """

    part: Part
    batch_size: int
    objective: Objective

    def batch(self, generator: Generator, size: int | None = None) -> tuple[Tensor, Tensor]:
        """A random batch: x [size, ...], y [size, ...]. `generator` lives on the CPU."""
        count = min(size or self.batch_size, len(self.part))
        chosen = torch.randperm(len(self.part), generator=generator)[:count].to(self.part.y.device)
        return self.part.x[chosen], self.part.y[chosen]

    def batches(self, size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The whole training part once, in its stored order; the last batch may be smaller."""
        size = size or self.batch_size
        for start in range(0, len(self.part), size):
            yield self.part.x[start : start + size], self.part.y[start : start + size]

    def criterion(self, outputs: Tensor, y: Tensor, reduction: Reduction = "mean") -> Tensor:
        """The loss that training descends, of outputs that a method has computed."""
        return self.objective.loss(outputs, y, reduction)

    def loss(self, network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Mean loss of the network on a batch, with its graph: a scalar."""
        return self.objective.loss(network(x), y)
