"""Networks that answer for every place of a picture: detection, segmentation, landmarks."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.surgery.zoo.entry import Entry, pictures, rows


def unit(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    """A convolution, normalised and activated."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.SiLU(inplace=True)
    )


class Pyramid(nn.Module):
    """Three levels from top to bottom, and heads that all levels share (RetinaNet)."""

    def __init__(self, width: int = 16, anchors: int = 3, classes: int = 4) -> None:
        super().__init__()
        self.stem = unit(3, 12, 2)
        self.levels = nn.ModuleList([unit(12, 16, 2), unit(16, 24, 2)])
        self.sides = nn.ModuleList([nn.Conv2d(size, width, 1) for size in (12, 16, 24)])
        self.smooth = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(3)])
        self.scores = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, anchors * classes, 3, padding=1),
        )
        self.boxes = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, anchors * 4, 3, padding=1)
        )
        self.classes = classes

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = [self.stem(x)]
        for level in self.levels:
            found.append(level(found[-1]))
        top: Tensor | None = None
        scores, boxes = [], []
        for level, side, smooth in reversed(list(zip(found, self.sides, self.smooth, strict=True))):
            h = side(level)
            top = h if top is None else h + F.interpolate(top, size=h.shape[-2:], mode="nearest")
            seen = smooth(top)
            made = self.scores(seen).permute(0, 2, 3, 1)
            scores.append(made.reshape(len(x), -1, self.classes))
            boxes.append(self.boxes(seen).permute(0, 2, 3, 1).reshape(len(x), -1, 4))
        return torch.cat(scores, dim=1), torch.cat(boxes, dim=1)


class Partial(nn.Module):
    """Half of the maps pass by the bottlenecks (C2f)."""

    def __init__(self, inputs: int, width: int, depth: int = 2) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, 2 * width, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(unit(width, width), unit(width, width)) for _ in range(depth)
        )
        self.leave = nn.Conv2d((2 + depth) * width, 2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.enter(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(parts[-1] + block(parts[-1]))
        return F.silu(self.leave(torch.cat(parts, 1)))


class OneLook(nn.Module):
    """Two scales joined, pooled at several sizes, and decoupled heads (YOLO)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Sequential(unit(3, 12, 2), Partial(12, 8)),
            nn.Sequential(unit(16, 24, 2), Partial(24, 12)),
        )
        self.pool, self.join = nn.MaxPool2d(5, 1, 2), nn.Conv2d(96, 24, 1)
        self.up, self.mix = nn.Upsample(scale_factor=2), Partial(40, 8)
        self.box, self.label = (
            nn.Sequential(unit(16, 16), nn.Conv2d(16, 4, 1)),
            nn.Sequential(unit(16, 16), nn.Conv2d(16, 3, 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        h = self.second(first)
        once = self.pool(h)
        twice = self.pool(once)
        h = self.join(torch.cat([h, once, twice, self.pool(twice)], 1))
        h = self.mix(torch.cat([self.up(h), first], 1))
        return torch.cat([self.box(h), self.label(h).sigmoid()], 1).flatten(2)


class Atrous(nn.Module):
    """Convolutions of several reaches side by side, and the picture's mean (DeepLab)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(unit(3, 16, 2), unit(16, 24, 2))
        self.reach = nn.ModuleList(nn.Conv2d(24, width, 3, padding=rate, dilation=rate) for rate in (1, 2, 3))
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, width, 1), nn.ReLU())
        self.join = nn.Sequential(nn.Conv2d(4 * width, 24, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.out = nn.Conv2d(24, 3, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.body(x)
        parts = [F.relu(reach(h)) for reach in self.reach]
        parts.append(F.interpolate(self.mean(h), size=h.shape[-2:], mode="bilinear", align_corners=False))
        made = self.out(self.join(torch.cat(parts, dim=1)))
        return {"out": F.interpolate(made, size=x.shape[-2:], mode="bilinear", align_corners=False)}


class AttentionGates(nn.Module):
    """A U-Net whose skips are weighed by what is below (Attention U-Net), with odd sizes padded."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = (
            unit(1, width),
            unit(width, 2 * width),
            unit(2 * width, 4 * width),
        )
        self.up2, self.up1 = (
            nn.ConvTranspose2d(4 * width, 2 * width, 2, 2),
            nn.ConvTranspose2d(2 * width, width, 2, 2),
        )
        self.gate, self.skip = nn.Conv2d(2 * width, 12, 1), nn.Conv2d(2 * width, 12, 1)
        self.weigh = nn.Conv2d(12, 1, 1)
        self.join2, self.join1 = unit(4 * width, 2 * width), unit(2 * width, width)
        self.out, self.deep = nn.Conv2d(width, 2, 1), nn.Conv2d(2 * width, 2, 1)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        first = self.down1(x)
        second = self.down2(F.max_pool2d(first, 2))
        h = self.up2(self.bottom(F.max_pool2d(second, 2)))
        h = F.pad(h, (0, second.shape[3] - h.shape[3], 0, second.shape[2] - h.shape[2]))
        weights = torch.sigmoid(self.weigh(F.relu(self.gate(h) + self.skip(second))))
        middle = self.join2(torch.cat([h, second * weights], dim=1))
        out = self.out(self.join1(torch.cat([self.up1(middle), first], dim=1)))
        return (out, self.deep(middle)) if self.training else out


class Hourglass(nn.Module):
    """Landmarks as heat maps, refined once by looking at the first answer."""

    def __init__(self, width: int = 16, marks: int = 4) -> None:
        super().__init__()
        self.enter = unit(3, width, 2)
        self.down = nn.ModuleList(unit(width, width) for _ in range(2))
        self.up = nn.ModuleList(unit(width, width) for _ in range(2))
        self.side = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(2))
        self.marks = nn.ModuleList(nn.Conv2d(width, marks, 1) for _ in range(2))
        self.back = nn.Conv2d(marks, width, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        h, made = self.enter(x), []
        for down, up, side, marks in zip(self.down, self.up, self.side, self.marks, strict=True):
            low = up(down(F.max_pool2d(h, 2)))
            seen = side(h) + F.interpolate(low, scale_factor=2)
            made.append(marks(seen))
            h = h + self.back(made[-1]) + seen
        return made


class Volumes(nn.Module):
    """A U-Net over volumes with instance normalisation."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv3d(1, width, 3, padding=1), nn.InstanceNorm3d(width, affine=True)
        self.shrink, self.norm2 = nn.Conv3d(width, 2 * width, 2, 2), nn.InstanceNorm3d(2 * width, affine=True)
        self.bottom = nn.Conv3d(2 * width, 2 * width, 3, padding=1)
        self.grow = nn.ConvTranspose3d(2 * width, width, 2, 2)
        self.join, self.out = nn.Conv3d(2 * width, width, 3, padding=1), nn.Conv3d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = F.leaky_relu(self.norm1(self.first(x)), 0.01)
        h = F.leaky_relu(self.norm2(self.shrink(first)), 0.01)
        h = self.grow(F.leaky_relu(self.bottom(h), 0.01))
        return self.out(F.leaky_relu(self.join(torch.cat([h, first], dim=1)), 0.01))


ENTRIES = (
    Entry("pyramid", "feature pyramid", Pyramid, pictures(16)),
    Entry("one_look", "one-stage detector", OneLook, pictures(16)),
    Entry("atrous", "atrous segmentation", Atrous, pictures(16)),
    Entry("attention_gates", "attention U-Net", AttentionGates, pictures(14, 1)),
    Entry("hourglass", "hourglass", Hourglass, pictures(16)),
    Entry("volume_unet", "3-D U-Net", Volumes, rows(1, 4, 4, 4)),
)
