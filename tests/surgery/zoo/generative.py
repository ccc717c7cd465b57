"""Networks that make things: autoencoders, a generator, flows, denoisers, enlargers."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.surgery.zoo.entry import Entry, pictures, rows, together


class TiedAutoencoder(nn.Module):
    """The decoder reads the encoder's weights, turned."""

    def __init__(self, size: int = 24, width: int = 32, code: int = 8) -> None:
        super().__init__()
        self.outer, self.inner = nn.Linear(size, width), nn.Linear(width, code)
        self.shift_inner = nn.Parameter(torch.zeros(width))
        self.shift_outer = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        code = torch.sigmoid(self.inner(F.relu(self.outer(x))))
        h = F.relu(F.linear(code, self.inner.weight.t(), self.shift_inner))
        return F.linear(h, self.outer.weight.t(), self.shift_outer)


class Variational(nn.Module):
    """A convolutional variational autoencoder; noise is drawn in training alone."""

    def __init__(self, code: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 12, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(12, 24, 4, 2, 1), nn.LeakyReLU(0.2)
        )
        self.mean, self.spread = nn.Linear(24 * 16, code), nn.Linear(24 * 16, code)
        self.grow = nn.Linear(code, 24 * 16)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(24, 12, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(12, 1, 4, 2, 1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.encoder(x).flatten(1)
        mean, spread = self.mean(h), self.spread(h)
        code = mean + torch.exp(0.5 * spread) * torch.randn_like(mean) if self.training else mean
        h = F.relu(self.grow(code)).view(len(x), -1, 4, 4)
        return torch.sigmoid(self.decoder(h)), mean, spread


def generator() -> nn.Module:
    """From noise to pictures by transposed convolutions (DCGAN)."""
    return nn.Sequential(
        nn.Unflatten(1, (16, 1, 1)),
        nn.ConvTranspose2d(16, 32, 4, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(True),
        nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(True),
        nn.ConvTranspose2d(16, 3, 4, 2, 1),
        nn.Tanh(),
    )


class Critic(nn.Module):
    """Looks at pictures with spectral norm and instance normalisation (PatchGAN)."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.spectral_norm
        self.layers = nn.Sequential(
            norm(nn.Conv2d(3, 16, 4, 2, 1)),
            nn.LeakyReLU(0.2, True),
            norm(nn.Conv2d(16, 24, 4, 2, 1, bias=False)),
            nn.InstanceNorm2d(24, affine=True),
            nn.LeakyReLU(0.2, True),
            norm(nn.Conv2d(24, 1, 3, 1, 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Coupling(nn.Module):
    """One half of the numbers scales and shifts the other."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(size // 2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.scale, self.shift = nn.Linear(width, size // 2), nn.Linear(width, size // 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        left, right = x.chunk(2, dim=-1)
        h = self.net(left)
        scale = torch.tanh(self.scale(h))
        return torch.cat([right * scale.exp() + self.shift(h), left], dim=-1), scale.sum(-1)


class Flow(nn.Module):
    """Couplings in a row (RealNVP): what comes out, and the log of the change of volume."""

    def __init__(self, size: int = 8, width: int = 32, depth: int = 3) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(size, width) for _ in range(depth))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        volume = x.new_zeros(len(x))
        for coupling in self.couplings:
            x, change = coupling(x)
            volume = volume + change
        return x, volume


class TimedBlock(nn.Module):
    """Group normalisation, convolutions, and a shift and scale by the time."""

    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(time, 2 * outputs)
        self.norm2, self.conv2 = nn.GroupNorm(4, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.time(F.silu(time))[:, :, None, None].chunk(2, dim=1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return h + self.skip(x)


class Pixels(nn.Module):
    """Attention between the places of a picture."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = (
            nn.GroupNorm(4, width),
            nn.Conv2d(width, 3 * width, 1),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        height, breadth = x.shape[2:]
        q, k, v = self.qkv(self.norm(x)).flatten(2).chunk(3, dim=1)
        weights = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(q.shape[1]), dim=-1)
        mixed = (v @ weights.transpose(1, 2)).unflatten(2, (height, breadth))
        return x + self.out(mixed)


class Denoiser(nn.Module):
    """A U-Net that is told the time (DDPM)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width = width
        self.time = nn.Sequential(nn.Linear(16, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width))
        self.enter = nn.Conv2d(3, width, 3, padding=1)
        self.down1 = TimedBlock(width, width, 4 * width)
        self.shrink = nn.Conv2d(width, width, 3, 2, 1)
        self.down2 = TimedBlock(width, 2 * width, 4 * width)
        self.middle, self.pixels = TimedBlock(2 * width, 2 * width, 4 * width), Pixels(2 * width)
        self.up2 = TimedBlock(4 * width, width, 4 * width)
        self.up1 = TimedBlock(2 * width, width, 4 * width)
        self.out = nn.Sequential(nn.GroupNorm(4, width), nn.SiLU(), nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        rates = torch.exp(-math.log(1e4) * torch.arange(8, dtype=x.dtype, device=x.device) / 8)
        angles = t[:, None] * rates
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        first = self.down1(self.enter(x), time)
        second = self.down2(self.shrink(first), time)
        h = self.pixels(self.middle(second, time))
        h = self.up2(torch.cat([h, second], dim=1), time)
        h = F.interpolate(h, scale_factor=2, mode="nearest")
        return self.out(self.up1(torch.cat([h, first], dim=1), time))


class Enlarger(nn.Module):
    """Residual blocks without normalisation; pixels are shuffled at the end (EDSR)."""

    def __init__(self, width: int = 24, depth: int = 3) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
            )
            for _ in range(depth)
        )
        self.tail = nn.Sequential(
            nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(width, 3, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        first = h = self.head(x)
        for block in self.body:
            h = h + 0.1 * block(h)
        return self.tail(h + first)


class Styled(nn.Module):
    """A constant is grown to a picture; styles scale and shift what an instance normalisation gives."""

    def __init__(self, code: int = 12, width: int = 24) -> None:
        super().__init__()
        self.mapping = nn.Sequential(
            nn.Linear(code, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2)
        )
        self.start = nn.Parameter(torch.randn(1, width, 4, 4))
        self.convs = nn.ModuleList(
            [nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width // 2, 3, padding=1)]
        )
        self.styles = nn.ModuleList([nn.Linear(32, 2 * width), nn.Linear(32, width)])
        self.norms = nn.ModuleList([nn.InstanceNorm2d(width), nn.InstanceNorm2d(width // 2)])
        self.colour = nn.Conv2d(width // 2, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        style = self.mapping(z)
        x = self.start.expand(len(z), -1, -1, -1)
        for conv, norm, own in zip(self.convs, self.norms, self.styles, strict=True):
            x = norm(F.leaky_relu(conv(F.interpolate(x, scale_factor=2.0, mode="bilinear")), 0.2))
            scale, shift = own(style).unsqueeze(-1).unsqueeze(-1).chunk(2, 1)
            x = x * (scale + 1) + shift
        return self.colour(x)


class Restorer(nn.Module):
    """Layer normalisation over channels, and gates instead of activations (NAFNet)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.enter, self.leave = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Conv2d(width, 2 * width, 1)
        self.deep = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.channels = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width, 1))
        self.narrow = nn.Conv2d(width, width, 1)
        self.strength = nn.Parameter(torch.full((1, width, 1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        first = self.enter(x)
        h = self.norm(first.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        left, right = self.deep(self.wide(h)).chunk(2, dim=1)
        h = left * right
        h = self.narrow(h * self.channels(h))
        return x + self.leave(first + self.strength * h)


def denoising_convolutions() -> nn.Module:
    """A row of convolutions that find the noise (DnCNN)."""
    layers: list[nn.Module] = [nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(True)]
    for _ in range(3):
        layers += [nn.Conv2d(24, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.Conv2d(24, 1, 3, padding=1))


ENTRIES = (
    Entry("tied_autoencoder", "tied autoencoder", TiedAutoencoder, rows(24)),
    Entry("variational", "variational autoencoder", Variational, pictures(16, 1)),
    Entry("generator", "GAN generator", generator, rows(16)),
    Entry("critic", "GAN critic", Critic, pictures(16)),
    Entry("flow", "normalising flow", Flow, rows(8)),
    Entry("denoiser", "diffusion U-Net", Denoiser, together(pictures(8), rows())),
    Entry("enlarger", "super-resolution", Enlarger, pictures(8)),
    Entry("styled", "style generator", Styled, rows(12)),
    Entry("restorer", "restoration", Restorer, pictures(8)),
    Entry("denoising_convolutions", "plain denoiser", denoising_convolutions, pictures(12, 1)),
)
