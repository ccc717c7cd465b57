"""Networks that methods are tried on beside an MLP: one that changes when it is run, and one of one size."""

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import registry
from harness.architectures.base import Architecture

if TYPE_CHECKING:
    from torch import nn

RESIDUAL, OF_ONE_SIZE = "conformance-residual", "conformance-of-one-size"
_CHANNELS = 4


@dataclass(frozen=True)
class Residual(Architecture):
    """A convolution, a residual block with batch normalisation and dropout, a hidden layer.

    Sized are the channels within the block and the units of the hidden layer.
    """

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return ("block.inner", "hidden1")

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> "nn.Module":
        from torch import nn

        from harness.testing.residual import Block

        network = nn.Sequential()
        network.add_module("stem", nn.Conv2d(example_shape[0], _CHANNELS, 3, padding=1))
        network.add_module("stem_relu", nn.ReLU())  # so that the block can be left out
        network.add_module("block", Block(_CHANNELS, sizes["block.inner"]))
        network.add_module("pool", nn.AdaptiveAvgPool2d(2))
        network.add_module("flatten", nn.Flatten())
        network.add_module("hidden1", nn.Linear(4 * _CHANNELS, sizes["hidden1"]))
        network.add_module("relu", nn.ReLU())
        network.add_module("output", nn.Linear(sizes["hidden1"], outputs))
        return network


@dataclass(frozen=True)
class OfOneSize(Architecture):
    """A network without sized layers; it is planned for and looked at, and never trained."""

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return ()

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> "nn.Module":
        from torch import nn

        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(example_shape), outputs))


@contextmanager
def offered() -> Iterator[None]:
    """Let studies name these networks meanwhile."""
    with ExitStack() as stack:
        stack.enter_context(registry.offering("architectures", RESIDUAL, Residual))
        stack.enter_context(registry.offering("architectures", OF_ONE_SIZE, OfOneSize))
        yield
