"""VGG-16, for CIFAR and for ImageNet.

Thirteen 3x3 convolutions in five stages (Simonyan and Zisserman 2014, arXiv 1409.1556, table 1, column D).

"cifar" is what github szagoruyko/cifar.torch made of it (models/vgg_bn_drop.lua): batch normalisation after
each convolution, dropout, and one hidden linear layer of 512. On CIFAR-10 it has 14,991,946 parameters, the
15.0 M that *Optimal Lobotomy* (Lee) most likely pruned: the recipe which that paper quotes is this one's.

"imagenet" is the original: no normalisation, two hidden linear layers of 4,096. On 224x224 with 1,000 classes
it has 138,357,544 parameters; the paper's table 2 says 138 M.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.architectures.base import Architecture
from harness.architectures.images import check_images
from harness.architectures.initialisation import Initialisation, initialise

if TYPE_CHECKING:
    from torch import nn

#: Stage -> convolutions and their channels.
_STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


@dataclass(frozen=True)
class VGG16(Architecture):
    """Thirteen convolutions, and the linear layers of the version; layers are called conv1_1 to conv5_3, fc1.

    version: "cifar", with batch normalisation and one hidden linear layer; or "imagenet", with neither and
    with two. dropout: as in the sources: three to four tenths within the stages of "cifar", a half before
    linear layers. initialisation: see `harness.architectures.initialisation`; cifar.torch counts a layer's
    outputs where "he-normal" counts its inputs.
    """

    version: Literal["cifar", "imagenet"] = "cifar"
    dropout: bool = True
    initialisation: Initialisation = "he-normal"

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return tuple(self.published)

    @property
    def published(self) -> dict[str, int]:
        """Sized layer -> units, as published."""
        units = {
            f"conv{stage}_{number}": channels
            for stage, (count, channels) in enumerate(_STAGES, 1)
            for number in range(1, count + 1)
        }
        return units | ({"fc1": 512} if self.version == "cifar" else {"fc1": 4096, "fc2": 4096})

    def check(self, example_shape: tuple[int, ...]) -> None:
        check_images("vgg16", example_shape, 1)

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> "nn.Module":
        from torch import nn

        self.check(example_shape)
        channels, *sides = example_shape
        network = nn.Sequential()
        for stage, (count, _) in enumerate(_STAGES, 1):
            for number in range(1, count + 1):
                layer = f"conv{stage}_{number}"
                network.add_module(layer, nn.Conv2d(channels, sizes[layer], 3, padding=1))
                channels = sizes[layer]
                self._activate(network, layer, nn.BatchNorm2d, channels)
                if self.version == "cifar" and number < count:
                    self._drop(network, layer, 0.3 if stage == 1 else 0.4)
            # Rounded up, as in cifar.torch, so that small images are left with a pixel.
            network.add_module(f"pool{stage}", nn.MaxPool2d(2, ceil_mode=True))
            sides = [(side + 1) // 2 for side in sides]
        network.add_module("flatten", nn.Flatten())
        inputs = channels * sides[0] * sides[1]
        if self.version == "cifar":
            self._drop(network, "flatten", 0.5)
        for layer in (layer for layer in self.sized_layers if layer.startswith("fc")):
            network.add_module(layer, nn.Linear(inputs, sizes[layer]))
            inputs = sizes[layer]
            self._activate(network, layer, nn.BatchNorm1d, inputs)
            self._drop(network, layer, 0.5)
        network.add_module("output", nn.Linear(inputs, outputs))
        initialise(network, self.initialisation)
        return network

    def _activate(self, network: "nn.Module", layer: str, norm: "type[nn.Module]", units: int) -> None:
        from torch import nn

        name = layer.removeprefix("conv")
        if self.version == "cifar":
            network.add_module(f"norm{name}", norm(units, eps=1e-3))
        network.add_module(f"relu{name}", nn.ReLU())

    def _drop(self, network: "nn.Module", after: str, share: float) -> None:
        from torch import nn

        if self.dropout:
            network.add_module(f"dropout{after.removeprefix('conv')}", nn.Dropout(share))
