"""What a network does in one mode alone counts like what it does in both."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.surgery import Remove, apply, trace


class TrainingAlone(nn.Module):
    """A sum with a second branch, or with the input, in training mode alone."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 3)
        self.fixed = nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x).relu()
        if self.training:
            h = h + self.b(x).relu()
        made: Tensor = self.out(h) + self.fixed
        return made


class BothAlone(TrainingAlone):
    """One branch in each mode: every parameter is read in evaluation mode too."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x).relu()
        made: Tensor = self.out(h * self.b(x).sigmoid() if not self.training else h + self.b(x))
        return made


class Scored(TrainingAlone):
    """In training mode the very features are given, as for a loss of their own."""

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:  # type: ignore[override]
        h = self.a(x).relu()
        made = self.out(h) + self.b(x).sum()
        return (made, h) if self.training else made


@pytest.mark.parametrize("make", [TrainingAlone, BothAlone])
def test_units_that_only_training_couples_go_together(make: type[TrainingAlone]) -> None:
    network, x = make().double(), torch.randn(4, 4, dtype=torch.float64)
    with torch.no_grad():
        for layer in (network.a, network.b):
            layer.weight[1], layer.bias[1] = 0, 0
    before = [network.train(mode)(x) for mode in (False, True)]
    assert apply(network, None, [Remove("a", (1,), exact=True)], x).removed == {"a": 1, "b": 1}
    for mode, output in zip((False, True), before, strict=True):
        assert torch.allclose(network.train(mode)(x), output, rtol=0, atol=1e-12)


def test_features_that_training_alone_gives_belong_to_the_output() -> None:
    structure = trace(Scored(), torch.randn(4, 4))
    assert structure.group("a").refused == "belongs to the network's output"


class Shifted(nn.Module):
    """A constant of its own for each mode."""

    def __init__(self, twice: bool = False) -> None:
        super().__init__()
        self.a, self.out, self.twice = nn.Linear(4, 6), nn.Linear(6, 3), twice

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x).sigmoid()
        made: Tensor = self.out(h + 1 if self.training else h)
        return made + self.out(h) if self.twice and self.training else made


def test_a_constant_that_differs_between_the_modes_is_told() -> None:
    network, x = Shifted().double(), torch.randn(4, 4, dtype=torch.float64)
    with torch.no_grad():
        network.a.weight[1] = 0
    before = network.eval()(x)
    receipt = apply(network, None, [Remove("a", (1,), exact=True)], x)
    assert receipt.folded == receipt.exact_in_evaluation_only == ("out",)
    assert torch.allclose(network.eval()(x), before, rtol=0, atol=1e-12)


def test_a_layer_that_training_uses_twice_takes_no_constant() -> None:
    network, x = Shifted(twice=True).double(), torch.randn(4, 4, dtype=torch.float64)
    with torch.no_grad():
        network.a.weight[1] = 0
    receipt = apply(network, None, [Remove("a", (1,), exact=True)], x)
    assert receipt.refused is not None
    assert "used more than once" in receipt.refused["a"]


class Dropping(nn.Module):
    """Dropout as a module, as a function, and in attention."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.drop = nn.Dropout(0.5)
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        h = F.dropout(self.a(x).sigmoid(), 0.5, self.training)
        h = self.drop(self.b(h).sigmoid())[:, None]
        made: Tensor = self.out(self.attention(h, h, h, need_weights=False)[0][:, 0])
        return made


def test_dropout_neither_hinders_nor_shifts_a_constant() -> None:
    network, x = Dropping().double(), torch.randn(4, 4, dtype=torch.float64)
    assert trace(network, x).group("attention").refused is None
    with torch.no_grad():
        network.a.weight[1] = 0
    before = network.eval()(x)
    receipt = apply(network.train(), None, [Remove("a", (1,), exact=True)], x)
    assert receipt.folded == ("b",)
    assert not receipt.exact_in_evaluation_only
    assert network.attention.dropout == 0.5
    assert network.drop.training
    assert torch.allclose(network.eval()(x), before, rtol=0, atol=1e-12)
