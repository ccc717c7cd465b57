"""A small convolutional network for CIFAR, where *Partial Restart* (Han, Zhang) has its "MiniNet".

The paper says nothing of MiniNet but its accuracy on CIFAR-10: 75.66 %, and 79.66 % after restarts. Chosen
here is the network of that size which most had at hand then: the example `cifar10_cnn.py` of Keras, whose
text promises 75 % after 25 epochs and 79 % after 50. It has 1,250,858 parameters, by its own summary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.architectures.base import Architecture
from harness.architectures.images import check_images
from harness.architectures.initialisation import Initialisation, initialise

if TYPE_CHECKING:
    from torch import nn

_PUBLISHED = {"conv1": 32, "conv2": 32, "conv3": 64, "conv4": 64, "fc1": 512}


@dataclass(frozen=True)
class MiniNet(Architecture):
    """Twice two 3x3 convolutions and a pooling, then one hidden layer: a choice, since no paper defines it.

    The second convolution of each pair has no padding. dropout: of a quarter after each pooling and a half
    before the output, as in the source. initialisation: see `harness.architectures.initialisation`.
    """

    dropout: bool = True
    initialisation: Initialisation = "pytorch"

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return tuple(_PUBLISHED)

    @property
    def published(self) -> dict[str, int]:
        """Sized layer -> units, as in the source."""
        return dict(_PUBLISHED)

    def check(self, example_shape: tuple[int, ...]) -> None:
        check_images("mininet", example_shape, 10)

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> "nn.Module":
        from torch import nn

        self.check(example_shape)
        channels, height, width = example_shape
        side = [((side - 2) // 2 - 2) // 2 for side in (height, width)]
        network = nn.Sequential()
        for number in (1, 2, 3, 4):
            layer = f"conv{number}"
            network.add_module(layer, nn.Conv2d(channels, sizes[layer], 3, padding=number % 2))
            network.add_module(f"relu{number}", nn.ReLU())
            channels = sizes[layer]
            if number % 2 == 0:
                network.add_module(f"pool{number // 2}", nn.MaxPool2d(2))
                self._drop(network, f"dropout{number // 2}", 0.25)
        network.add_module("flatten", nn.Flatten())
        network.add_module("fc1", nn.Linear(channels * side[0] * side[1], sizes["fc1"]))
        network.add_module("relu5", nn.ReLU())
        self._drop(network, "dropout3", 0.5)
        network.add_module("output", nn.Linear(sizes["fc1"], outputs))
        initialise(network, self.initialisation)
        return network

    def _drop(self, network: "nn.Module", name: str, share: float) -> None:
        from torch import nn

        if self.dropout:
            network.add_module(name, nn.Dropout(share))
