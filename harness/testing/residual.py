"""A residual block with everything in it that behaves otherwise in training than in evaluation."""

from torch import Tensor, nn


class Block(nn.Module):
    """Adds to its input what two normalised convolutions make of it, with dropout between them.

    Args:
        channels: of input and output, which are [batch, channels, height, width].
        inner: channels between the convolutions.
    """

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(channels, inner, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.dropout = nn.Dropout(0.1)
        self.outer = nn.Conv2d(inner, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.norm2(self.outer(self.dropout(self.norm1(self.inner(x)).relu())))
        return (x + added).relu()
