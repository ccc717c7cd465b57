"""Fourier transforms along places leave units alone, and units of complex numbers go like others."""

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import trace
from tests.surgery.trial import cut

_EXACT = 1e-10


class Operator(nn.Module):
    """A Fourier neural operator as its paper writes it: complex weights, put into zeros."""

    def __init__(self, width: int = 8, modes: int = 3) -> None:
        super().__init__()
        self.width, self.modes = width, modes
        self.lift, self.plain = nn.Conv1d(2, width, 1), nn.Conv1d(width, width, 1)
        self.spectral = nn.Parameter(torch.randn(width, width, modes, dtype=torch.cfloat) / width)
        self.out = nn.Conv1d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.lift(x)
        seen = torch.fft.rfft(h)
        mixed = torch.zeros(len(x), self.width, seen.shape[-1], dtype=seen.dtype)
        mixed[:, :, : self.modes] = torch.einsum("bix,iox->box", seen[:, :, : self.modes], self.spectral)
        out: Tensor = self.out(torch.tanh(torch.fft.irfft(mixed, n=h.shape[-1]) + self.plain(h)))
        return out


class Filters(nn.Module):
    """A filter for each unit, over frequencies of two axes (GFNet)."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.enter, self.out = nn.Linear(2, width), nn.Linear(width, 3)
        self.filter = nn.Parameter(torch.randn(4, 3, width, 2))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.fft.rfft2(self.enter(x), dim=(1, 2), norm="ortho") * torch.view_as_complex(self.filter)
        out: Tensor = self.out(torch.fft.irfft2(h, s=(4, 4), dim=(1, 2), norm="ortho").relu())
        return out


class Spectra(nn.Module):
    """Sizes, angles, conjugates and parts of complex numbers, which are made of two parts each."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.one, self.other, self.out = nn.Linear(2, width), nn.Linear(2, width), nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.fft.fft(torch.complex(self.one(x), self.other(x)), dim=1)
        parts = torch.view_as_real(h.conj() * h.exp()).mean(-1)
        out: Tensor = self.out(h.abs() * torch.cos(h.angle()) + h.real - h.imag + parts)
        return out


class Complex(nn.Module):
    """Layers of complex numbers, from real ones to real ones."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.one = nn.Linear(2, width, dtype=torch.cfloat)
        self.other = nn.Linear(width, width, dtype=torch.cfloat)
        self.out = nn.Linear(width, 3, dtype=torch.cfloat)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(torch.tanh(self.other(torch.tanh(self.one(x + 0j))))).abs()
        return out


_SHAPES: dict[type[nn.Module], tuple[int, ...]] = {
    Operator: (2, 10),
    Filters: (4, 4, 2),
    Spectra: (5, 2),
    Complex: (5, 2),
}


def _in_double(network: nn.Module) -> nn.Module:
    """Complex numbers too."""
    return network._apply(lambda own: own.to(torch.complex128 if own.is_complex() else torch.float64))


@pytest.mark.parametrize("kind", _SHAPES)
def test_units_behind_transforms_and_of_complex_numbers_go_exactly(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = _in_double(kind())
    done = cut(network, torch.optim.Adam, torch.randn(3, *_SHAPES[kind], dtype=torch.float64))
    assert done.structure.refused_share < 0.05
    assert not done.refused
    assert all(group.refused is None for group in done.structure.groups[:-1])
    assert max(done.change) <= _EXACT


class Mixed(nn.Module):
    """Units are mixed by a transform along their own axis (FNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.out = nn.Linear(2, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(torch.fft.fft2(self.enter(x)).real)
        return out


def test_units_that_a_transform_mixes_stay() -> None:
    group = trace(Mixed(), torch.randn(3, 5, 2)).group("enter")
    assert group.removable == 0
    assert "Fourier" in str(group.refused)
