"""LeNet-5 as the ShrinkNets paper uses it: two convolutions with poolings, one hidden linear layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.architectures.base import Architecture
from harness.architectures.images import check_images
from harness.architectures.initialisation import Initialisation, initialise

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class LeNet5(Architecture):
    """conv1 and conv2 (kernel 5, no padding), each with ReLU and 2x2 max-pooling; then fc1 and the output.

    Sized layers: channels of conv1 and conv2, units of fc1. Examples must be images of at least 16x16.
    """

    initialisation: Initialisation = "pytorch"

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return ("conv1", "conv2", "fc1")

    def check(self, example_shape: tuple[int, ...]) -> None:
        check_images("lenet5", example_shape, 16)

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> "nn.Module":
        from torch import nn

        self.check(example_shape)
        channels, height, width = example_shape
        side = [((side - 4) // 2 - 4) // 2 for side in (height, width)]
        network = nn.Sequential()
        network.add_module("conv1", nn.Conv2d(channels, sizes["conv1"], 5))
        network.add_module("relu1", nn.ReLU())
        network.add_module("pool1", nn.MaxPool2d(2))
        network.add_module("conv2", nn.Conv2d(sizes["conv1"], sizes["conv2"], 5))
        network.add_module("relu2", nn.ReLU())
        network.add_module("pool2", nn.MaxPool2d(2))
        network.add_module("flatten", nn.Flatten())
        network.add_module("fc1", nn.Linear(sizes["conv2"] * side[0] * side[1], sizes["fc1"]))
        network.add_module("relu3", nn.ReLU())
        network.add_module("output", nn.Linear(sizes["fc1"], outputs))
        initialise(network, self.initialisation)
        return network
