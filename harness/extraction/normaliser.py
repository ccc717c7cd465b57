"""What is done to the data as layers, for networks that are fed what the source holds."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness.datasets.base import Normalisation
from harness.datasets.on_demand import resize


class Normalise(nn.Module):
    """(x - mean) / std in double precision, rounded to float32: as the training data were made.

    axes: of one example; the first of them is the channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, normalisation: Normalisation, axes: int) -> None:
        super().__init__()
        shape = (-1, *(1,) * (axes - 1))
        self.register_buffer("mean", torch.tensor(normalisation.mean, dtype=torch.float64).view(shape))
        self.register_buffer("std", torch.tensor(normalisation.std, dtype=torch.float64).view(shape))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, *example_shape] of any real type to float32 of the same shape."""
        return ((x.double() - self.mean) / self.std).float()


class Resize(nn.Module):
    """Images brought to a height and width, as they were in training."""

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.size = (size[0], size[1])

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, any, any] to [batch, channels, *size]."""
        return resize(x, self.size)
