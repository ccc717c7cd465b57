"""Choices, comparisons and casts of units: a constant goes through exactly, or is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import Remove, apply, trace
from tests.surgery.helpers import change, images, measure, removals, silence, some_classes

_EXACT = 1e-10
_CHOICES: dict[str, Callable[[Tensor], Tensor]] = {
    "where": lambda h: torch.where(h > 0, h, 0.1 * h),
    "where of another value": lambda h: torch.where(h >= 0, h + 0.5, -1.0),
    "where by the input": lambda h: torch.where(h.mean(1, keepdim=True) > 0, h, 2 * h),
    "where of what is decided": lambda h: torch.where(h.abs() > 0, h, h + 1),
    "masked_fill": lambda h: h.masked_fill(h > 0.1, 0.3),
    "masked_fill by one unit": lambda h: h.masked_fill(h[:, :1] > 0, 0.0),
    "and, or, not": lambda h: torch.where((h > -1) & ~(h > 1) | (h < -2), h, h * 0),
    "exclusive or": lambda h: h * ((h > 0) ^ (h > 0.5)),
    "truth as a number": lambda h: h * 0.5 + (h > -0.1).to(h.dtype),
    "rounded": lambda h: h + (h + 0.7).to(torch.int64),
    "lower precision": lambda h: h + (h + 0.7).half(),
    "sign": lambda h: h * torch.sign(h + 0.2),
}


class Chosen(nn.Module):
    """A function of units between two layers."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.between(self.first(x)))
        return out


@pytest.mark.parametrize("name", _CHOICES)
def test_what_choices_make_of_silent_units_is_kept(name: str) -> None:
    torch.manual_seed(0)
    network, x = Chosen(_CHOICES[name]).double(), torch.randn(7, 4, dtype=torch.float64)
    structure = trace(network, x)
    classes = some_classes(structure)
    silence(network, structure, classes)
    before = measure(network, x)
    receipt = apply(network, None, removals(structure, classes), x)
    assert structure.group("first").refused is not None or receipt.removed["first"] == len(classes)
    assert max(change(before, measure(network, x))) <= _EXACT


class Squeezed(nn.Module):
    """A squeeze of all axes behind a global pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.first(x).relu().mean((2, 3), keepdim=True).squeeze())
        return out


def test_a_unit_is_kept_where_a_squeeze_would_take_the_last_ones_axis_away() -> None:
    network, x = Squeezed().double(), images(3, 6)
    receipt = apply(network, None, [Remove("first", (0, 1, 2, 4, 5))], x)
    assert receipt.removed == {"first": 4}
    assert receipt.refused is not None
    assert "squeeze" in receipt.refused["first"]
    assert network(x).shape == (3, 2)
