"""Networks of convolutions over time, planes and volumes."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from tests.surgery.zoo.entry import Entry, pictures, rows


def network_in_network() -> nn.Module:
    """Convolutions of one pixel between larger ones; classes are means of maps."""

    def stage(inputs: int, width: int, size: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, width, size, padding=size // 2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 1),
            nn.ReLU(inplace=True),
        ]

    return nn.Sequential(
        *stage(3, 16, 5),
        nn.MaxPool2d(3, 2, 1),
        *stage(16, 24, 3),
        nn.AvgPool2d(2),
        nn.Conv2d(24, 10, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


class StandardConv2d(nn.Conv2d):
    """A convolution whose weight is standardised row by row each time."""

    def forward(self, input: Tensor) -> Tensor:
        spread, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        weight = (self.weight - mean) / torch.sqrt(spread + 1e-10)
        return F.conv2d(input, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class BitUnit(nn.Module):
    """A bottleneck that normalises by groups before it convolves."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.norm1, self.conv1 = nn.GroupNorm(4, inputs), StandardConv2d(inputs, inner, 1, bias=False)
        self.norm2 = nn.GroupNorm(4, inner)
        self.conv2 = StandardConv2d(inner, inner, 3, stride, 1, bias=False)
        self.norm3, self.conv3 = nn.GroupNorm(4, inner), StandardConv2d(inner, outputs, 1, bias=False)
        self.down = StandardConv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm1(x))
        shortcut = x if self.down is None else self.down(h)
        h = self.conv2(F.relu(self.norm2(self.conv1(h))))
        return shortcut + self.conv3(F.relu(self.norm3(h)))


def big_transfer() -> nn.Module:
    """BiT (Kolesnikov et al. 2020), narrow."""
    return nn.Sequential(
        StandardConv2d(3, 16, 3, 1, 1, bias=False),
        BitUnit(16, 64, 2),
        BitUnit(64, 64, 1),
        BitUnit(64, 128, 2),
        nn.GroupNorm(8, 128),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(128, 5),
    )


class TemporalBlock(nn.Module):
    """Two causal convolutions with normalised weights, and a residual sum."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.reach = 2 * dilation
        self.first = weight_norm(nn.Conv1d(inputs, outputs, 3, padding=self.reach, dilation=dilation))
        self.second = weight_norm(nn.Conv1d(outputs, outputs, 3, padding=self.reach, dilation=dilation))
        self.match = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.first(x)[:, :, : -self.reach])
        h = F.relu(self.second(h)[:, :, : -self.reach])
        return F.relu(h + self.match(x))


class Temporal(nn.Module):
    """A temporal convolutional network (Bai et al. 2018); the last step is read."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            TemporalBlock(4, 24, 1), TemporalBlock(24, 24, 2), TemporalBlock(24, 32, 4)
        )
        self.head = nn.Linear(32, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x)[:, :, -1])


class GatedWave(nn.Module):
    """Dilated convolutions with gates; sums of skips are read (WaveNet)."""

    def __init__(self, width: int = 24, skips: int = 32, depth: int = 4) -> None:
        super().__init__()
        self.enter = nn.Conv1d(1, width, 1)
        self.both = nn.ModuleList(nn.Conv1d(width, 2 * width, 2, dilation=2**n) for n in range(depth))
        self.stay = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(depth))
        self.skip = nn.ModuleList(nn.Conv1d(width, skips, 1) for _ in range(depth))
        self.out = nn.Sequential(nn.ReLU(), nn.Conv1d(skips, 32, 1), nn.ReLU(), nn.Conv1d(32, 10, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        total: Tensor | None = None
        for n, (both, stay, skip) in enumerate(zip(self.both, self.stay, self.skip, strict=True)):
            filtered, gate = both(F.pad(x, (2**n, 0))).chunk(2, dim=1)
            h = torch.tanh(filtered) * torch.sigmoid(gate)
            total = skip(h) if total is None else total + skip(h)
            x = x + stay(h)
        assert total is not None
        return self.out(total)


def volumes() -> nn.Module:
    """Convolutions over volumes with batch normalisation (C3D)."""
    return nn.Sequential(
        nn.Conv3d(1, 12, 3, padding=1),
        nn.BatchNorm3d(12),
        nn.ReLU(),
        nn.MaxPool3d((1, 2, 2)),
        nn.Conv3d(12, 16, 3, padding=1),
        nn.BatchNorm3d(16),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Flatten(),
        nn.Linear(16 * 2 * 2 * 2, 32),
        nn.ReLU(),
        nn.Linear(32, 4),
    )


class Fire(nn.Module):
    """Squeeze, then widen in two ways side by side."""

    def __init__(self, inputs: int, squeeze: int, wide: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.one, self.three = nn.Conv2d(squeeze, wide, 1), nn.Conv2d(squeeze, wide, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.elu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], dim=1)


class Attended(nn.Module):
    """Attention to channels by two poolings, and to places by the channels' mean and maximum (CBAM)."""

    def __init__(self, width: int, reduction: int = 4) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.shrink, self.grow = (
            nn.Conv2d(width, width // reduction, 1),
            nn.Conv2d(width // reduction, width, 1),
        )
        self.where = nn.Conv2d(2, 1, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm(self.conv(x)))
        mean = self.grow(F.relu(self.shrink(F.adaptive_avg_pool2d(h, 1))))
        most = self.grow(F.relu(self.shrink(F.adaptive_max_pool2d(h, 1))))
        h = h * torch.sigmoid(mean + most)
        places = torch.cat([h.mean(1, keepdim=True), h.amax(1, keepdim=True)], dim=1)
        return x + h * torch.sigmoid(self.where(places))


def fires() -> nn.Module:
    """Fire modules in a row."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1),
        nn.ReLU(),
        Fire(16, 8, 12),
        Fire(24, 8, 16),
        nn.MaxPool2d(2),
        Fire(32, 12, 16),
        nn.Conv2d(32, 5, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def attended() -> nn.Module:
    """Two attended blocks."""
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, 2, 1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        Attended(24),
        Attended(24),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 5),
    )


def speech_commands() -> nn.Module:
    """Depthwise separable convolutions over a spectrogram (DS-CNN)."""

    def separable(width: int, out: int) -> list[nn.Module]:
        return [
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU6(),
            nn.Conv2d(width, out, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU6(),
        ]

    return nn.Sequential(
        nn.Conv2d(1, 24, (5, 3), (2, 1), (2, 1), bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU6(),
        *separable(24, 24),
        *separable(24, 32),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
        nn.Linear(32, 8),
    )


class Ghosts(nn.Module):
    """Half of the maps are cheap copies of the other half; maps are shuffled between groups."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs // 2, 1, bias=False),
            nn.BatchNorm2d(outputs // 2),
            nn.PReLU(outputs // 2),
        )
        self.cheap = nn.Sequential(
            nn.Conv2d(outputs // 2, outputs // 2, 3, padding=1, groups=outputs // 2, bias=False),
            nn.BatchNorm2d(outputs // 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        main = self.main(x)
        joined = torch.stack([main, self.cheap(main)], dim=2)
        return joined.flatten(1, 2)


def ghosts() -> nn.Module:
    """Three modules of ghosts."""
    return nn.Sequential(
        Ghosts(3, 16),
        nn.MaxPool2d(2),
        Ghosts(16, 24),
        nn.MaxPool2d(2),
        Ghosts(24, 32),
        nn.Flatten(),
        nn.Linear(512, 5),
    )


ENTRIES = (
    Entry("network_in_network", "network in network", network_in_network, pictures(16)),
    Entry("big_transfer", "group-normalised residual", big_transfer, pictures(16)),
    Entry("temporal", "temporal convolution", Temporal, rows(4, 24)),
    Entry("gated_wave", "WaveNet", GatedWave, rows(1, 24)),
    Entry("volumes", "3-D convolution", volumes, rows(1, 4, 8, 8)),
    Entry("fires", "fire modules", fires, pictures(16)),
    Entry("attended", "attention to channels", attended, pictures(16)),
    Entry("speech_commands", "depthwise separable", speech_commands, rows(1, 20, 10)),
    Entry("ghosts", "ghost modules", ghosts, pictures(16)),
)
