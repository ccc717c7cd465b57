"""What a sizing method may measure while it decides: batches and losses of the training part alone."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from harness.datasets.base import Part


@dataclass(frozen=True, slots=True)
class Probe:
    """Batches and losses of the training part. Validation and test parts are out of reach by construction."""

    part: Part
    batch_size: int

    def batch(self, generator: Generator, size: int | None = None) -> tuple[Tensor, Tensor]:
        """A random batch: x [size, ...], y [size]. `generator` lives on the CPU."""
        count = min(size or self.batch_size, len(self.part))
        chosen = torch.randperm(len(self.part), generator=generator)[:count].to(self.part.y.device)
        return self.part.x[chosen], self.part.y[chosen]

    def loss(self, network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy of the network on a batch, with its graph: a scalar."""
        return functional.cross_entropy(network(x), y)
