"""AlexNet for CIFAR: its five convolutions, and no hidden linear layers.

Of ImageNet's AlexNet as *One weird trick* has it (Krizhevsky 2014, arXiv 1404.5997), paddings are widened
and the hidden linear layers left out, since five poolings and strides leave a single pixel of 32x32. This is
the version of github bearpaw/pytorch-classification, which names 2.47 M parameters and an error of 22.78 % on
CIFAR-10. ImageNet's own has 61 M and is `torchvision:alexnet`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.architectures.base import Architecture
from harness.architectures.images import check_images
from harness.architectures.initialisation import Initialisation, initialise

if TYPE_CHECKING:
    from torch import nn

_PUBLISHED = {"conv1": 64, "conv2": 192, "conv3": 384, "conv4": 256, "conv5": 256}
#: Layer -> kernel, stride, padding.
_WINDOWS = {
    "conv1": (11, 4, 5),
    "conv2": (5, 1, 2),
    "conv3": (3, 1, 1),
    "conv4": (3, 1, 1),
    "conv5": (3, 1, 1),
}
_POOLED = ("conv1", "conv2", "conv5")


@dataclass(frozen=True)
class AlexNet(Architecture):
    """Five convolutions, 11x11 with stride 4, 5x5, and three of 3x3; poolings after the first, second, last.

    initialisation: see `harness.architectures.initialisation`. Images must have at least 29x29 pixels.
    """

    initialisation: Initialisation = "pytorch"

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return tuple(_PUBLISHED)

    @property
    def published(self) -> dict[str, int]:
        """Sized layer -> units, as published."""
        return dict(_PUBLISHED)

    def check(self, example_shape: tuple[int, ...]) -> None:
        check_images("alexnet", example_shape, 29)

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> "nn.Module":
        from torch import nn

        self.check(example_shape)
        channels, height, width = example_shape
        side = [((side - 1) // 4 + 1) // 8 for side in (height, width)]
        network = nn.Sequential()
        for number, (layer, (kernel, stride, padding)) in enumerate(_WINDOWS.items(), 1):
            network.add_module(layer, nn.Conv2d(channels, sizes[layer], kernel, stride, padding))
            network.add_module(f"relu{number}", nn.ReLU())
            if layer in _POOLED:
                network.add_module(f"pool{number}", nn.MaxPool2d(2))
            channels = sizes[layer]
        network.add_module("flatten", nn.Flatten())
        network.add_module("output", nn.Linear(channels * side[0] * side[1], outputs))
        initialise(network, self.initialisation)
        return network
