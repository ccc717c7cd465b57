"""A plug-in that grows by blocks: a prototype of layer growing, and a small residual network for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harness.architectures.base import Architecture
from harness.sizing.base import Situation, State
from harness.sizing.fixed import Fixed
from harness.surgery import InsertBlock, Mask, Recipe, Remove, RemoveBlock, Residual, donor


class Block(nn.Module):
    """relu(x + scale * branch(x)): arguments and attributes have other names, so it needs a recipe."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, inner, 3, padding=1)
        self.conv2 = nn.Conv2d(inner, width, 3, padding=1, bias=False)
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.scale * self.conv2(self.conv1(x).relu())
        return made.relu()


@dataclass(frozen=True)
class TinyResNet(Architecture):
    """A convolution, two blocks in one stage, averaging, a linear layer."""

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return ("conv1", "stage.0.conv1", "stage.1.conv1")

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> nn.Module:
        width = sizes["conv1"]
        network = nn.Sequential()
        network.add_module("conv1", nn.Conv2d(example_shape[0], width, 3, padding=1))
        network.add_module("relu1", nn.ReLU())
        blocks = [Block(width, sizes[layer]) for layer in self.sized_layers[1:]]
        for block in blocks:
            nn.init.constant_(block.scale, 0.5)
        network.add_module("stage", nn.Sequential(*blocks))
        network.add_module("pool", nn.AdaptiveAvgPool2d(2))
        network.add_module("flatten", nn.Flatten())
        network.add_module("output", nn.Linear(4 * width, outputs))
        return network


def _grown(width: int) -> nn.Module:
    branch = nn.Sequential(
        nn.Conv2d(width, 5, 3, padding=1, bias=False),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Conv2d(5, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
    )
    nn.init.zeros_(branch[4].weight)  # type: ignore[arg-type]
    return Residual(branch, nn.ReLU())


@dataclass(frozen=True)
class Growing(Fixed):
    """Puts blocks in and takes them out, at ends of epochs."""

    def edits(self, now: Situation) -> tuple[State, Sequence[Any]]:
        width = len(now.network.get_submodule("conv1").weight)  # type: ignore[arg-type]
        epoch, generator = now.moment.epoch, now.generator
        if epoch == 1:
            recipe = Recipe("growing.py:Block", {"width": width, "inner": 3})
            return now.state, [
                InsertBlock("stage.0", donor(lambda: _grown(width), generator)),
                InsertBlock("stage.1", donor(lambda: Block(width, 3), generator), recipe),
            ]
        if epoch == 2:
            keep = torch.ones(5, width, 3, 3, dtype=torch.bool)
            keep[1, 0] = False
            return now.state, [
                RemoveBlock("stage.1"),
                Remove("stage.0_1.branch.0", (0, 3)),
                Mask("stage.0_1.branch.0.weight", keep),
                InsertBlock("stage.1", donor(lambda: _grown(width), generator)),
            ]
        if epoch == 3:
            return now.state, [Remove("stage.1_1.conv1", (1,)), RemoveBlock("stage.0")]
        return now.state, ()


METHODS = {"growing": Growing}
ARCHITECTURES = {"tiny-resnet": TinyResNet}
