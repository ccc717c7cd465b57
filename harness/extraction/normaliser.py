"""The data's normalisation as a layer, for networks that are fed what the source holds."""

import torch
from torch import Tensor, nn

from harness.datasets.base import Normalisation


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
