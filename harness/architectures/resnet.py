"""Residual networks for CIFAR: ResNet-20 to ResNet-110.

He, Zhang, Ren and Sun 2015 (arXiv 1512.03385), section 4.2 and table 6: a 3x3 convolution, three stages of n
blocks of two 3x3 convolutions with 16, 32 and 64 channels, averaging, one linear layer; 6n + 2 layers. The
paper's counts are .27 M (20), .46 M (32), .66 M (44), .85 M (56) and 1.7 M (110), with identity shortcuts.
Weights start as in He et al. 2015 (arXiv 1502.01852), which the paper names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.architectures.base import MOST_LAYERS, Architecture
from harness.architectures.images import check_images
from harness.architectures.initialisation import Initialisation, initialise

if TYPE_CHECKING:
    from torch import nn

_FIRST_CHANNELS = 16
#: Each has twice the channels of the one before, on half the height and width.
_MOST_STAGES = 12


@dataclass(frozen=True)
class ResNet(Architecture):
    """Stages of residual blocks, stage1.0, stage1.1, ..., each stage on half the height and width.

    Sized layers: `conv1`, which sizes the stream of the first stage; `stageN.0.conv2`, which sizes that of
    every later one; and `stageN.M.conv1`, what lies between a block's two convolutions. All blocks of a
    stage add to one stream, so its other layers have its size and none of their own.

    depth: 6n + 2 for three stages of n blocks. blocks: of each stage, instead of what `depth` says.
    shortcut: where a stage begins, "identity" takes every second pixel and fills up with zeros, and has no
    parameters (option A of the paper); "projection" is a 1x1 convolution (option B). Where a later stream is
    narrower than the one before, "identity" leaves channels out, of which the paper has no case.
    initialisation: see `harness.architectures.initialisation`.
    """

    depth: int = 20
    blocks: tuple[int, ...] | None = None
    shortcut: Literal["identity", "projection"] = "identity"
    initialisation: Initialisation = "he-normal"

    def __post_init__(self) -> None:
        if self.blocks is None and (self.depth < 8 or (self.depth - 2) % 6):
            raise ValueError(f"depth must be 6n + 2 (8, 14, 20, ...), found {self.depth}")
        if self.blocks is not None and (not self.blocks or min(self.blocks) < 1):
            raise ValueError(f"blocks must name at least one stage of at least 1 block, found {self.blocks}")
        if (blocks := sum(self._blocks)) > MOST_LAYERS:
            raise ValueError(f"there may be {MOST_LAYERS:,} blocks at the most, found {blocks:,}")
        if self.blocks is not None and len(self.blocks) > _MOST_STAGES:
            raise ValueError(f"blocks may name {_MOST_STAGES} stages at the most, found {len(self.blocks)}")

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return tuple(self.published)

    @property
    def published(self) -> dict[str, int]:
        """Sized layer -> units, as published."""
        units = {"conv1": _FIRST_CHANNELS}
        for stage, count in enumerate(self._blocks, 1):
            channels = _FIRST_CHANNELS * 2 ** (stage - 1)
            for number in range(count):
                units[f"stage{stage}.{number}.conv1"] = channels
                if stage > 1 and number == 0:
                    units[f"stage{stage}.0.conv2"] = channels
        return units

    def check(self, example_shape: tuple[int, ...]) -> None:
        check_images("resnet", example_shape, 1)

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> "nn.Module":
        from torch import nn

        from harness.architectures.residual import Block

        self.check(example_shape)
        stream = sizes["conv1"]
        network = nn.Sequential()
        network.add_module("conv1", nn.Conv2d(example_shape[0], stream, 3, padding=1, bias=False))
        network.add_module("norm1", nn.BatchNorm2d(stream))
        network.add_module("relu1", nn.ReLU())
        for stage, count in enumerate(self._blocks, 1):
            inner = [sizes[f"stage{stage}.{number}.conv1"] for number in range(count)]
            outer = stream if stage == 1 else sizes[f"stage{stage}.0.conv2"]
            blocks = [
                Block(stream if number == 0 else outer, units, outer, number == 0 < stage - 1, self.shortcut)
                for number, units in enumerate(inner)
            ]
            network.add_module(f"stage{stage}", nn.Sequential(*blocks))
            stream = outer
        network.add_module("pool", nn.AdaptiveAvgPool2d(1))
        network.add_module("flatten", nn.Flatten())
        network.add_module("output", nn.Linear(stream, outputs))
        initialise(network, self.initialisation)
        return network

    @property
    def _blocks(self) -> tuple[int, ...]:
        return self.blocks if self.blocks is not None else ((self.depth - 2) // 6,) * 3
