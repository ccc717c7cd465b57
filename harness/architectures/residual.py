"""The blocks of the residual networks for CIFAR."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """relu(branch + shortcut), the branch two 3x3 convolutions with batch normalisation.

    Maps [batch, inputs, height, width] to [batch, outputs, ...], half as high and wide if it begins a stage;
    else the shortcut is the input itself.
    """

    def __init__(self, inputs: int, inner: int, outputs: int, begins: bool, shortcut: str) -> None:
        super().__init__()
        stride = 2 if begins else 1
        self.conv1 = nn.Conv2d(inputs, inner, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(inner, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if begins and shortcut == "projection":
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        elif begins:
            self.shortcut = PaddedIdentity(inputs, outputs, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        branch = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        made: Tensor = self.relu2(branch + self.shortcut(x))
        return made


class PaddedIdentity(nn.Module):
    """Every so many pixels, and channels of zeros for those that there are more of: no parameters.

    Written as a 1x1 convolution whose weights, a buffer, are one where a channel goes on and zero elsewhere.
    So each stream keeps units of its own, and surgery can take one out of either: a channel whose source
    has gone has a row of zeros.
    """

    weight: Tensor

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("weight", torch.eye(outputs, inputs)[:, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight, stride=self.stride)
