"""Units that still send a constant: folded where that is exact, refused by name where it is not."""

from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import Remove, apply
from tests.surgery.helpers import change, images, measure, train
from tests.surgery.networks import mlp

Padding = Literal["zeros", "reflect", "replicate", "circular"]

_EXACT = 1e-10


def _silent(layer: nn.Module, units: list[int], bias: float = 0.0) -> None:
    assert isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)
    with torch.no_grad():
        layer.weight[units] = 0
        if layer.bias is not None:
            layer.bias[units] = bias


@pytest.mark.parametrize(
    "activation", [nn.Sigmoid, nn.Softplus, nn.ELU, nn.GELU, nn.Hardsigmoid, nn.Tanh, nn.PReLU]
)
@pytest.mark.parametrize("bias", [0.0, 0.7])
def test_a_constant_behind_any_activation_is_folded(activation: Callable[[], nn.Module], bias: float) -> None:
    network, x = mlp(activation).double(), images(4, 8)
    _silent(network.get_submodule("1"), [0, 5, 7], bias)
    before = measure(network, x)
    receipt = apply(network, None, [Remove("1", (0, 5, 7), exact=True)], x)
    assert receipt.removed == {"1": 3}
    assert receipt.folded == (("3",) if float(activation()(torch.tensor(bias)).detach()) else ())
    assert max(change(before, measure(network, x))) <= _EXACT


class Blocks(nn.Module):
    """Convolutions, with a normalisation between the two and a pooling before the last layer."""

    def __init__(self, *, padding: int, bias: bool, mode: Padding = "zeros", norm: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, bias=bias)
        self.norm = nn.BatchNorm2d(6) if norm else nn.Identity()
        self.second = nn.Conv2d(6, 8, 3, padding=padding, bias=bias, padding_mode=mode)
        self.after = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.out = nn.Linear(8, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).sigmoid()
        return self.out(self.after(self.second(x)).relu().mean((2, 3)))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("norm", [True, False])
def test_a_constant_before_a_convolution_without_padding_is_folded(bias: bool, norm: bool) -> None:
    """Into its bias, into the running mean of the normalisation behind it, or into a bias made for it."""
    network, x = Blocks(padding=0, bias=bias, norm=norm).double(), images(4, 10)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    train(network, optimizer, x, 5)
    _silent(network.first, [1, 4])
    before = measure(network, x)
    receipt = apply(network, optimizer, [Remove("first", (1, 4), exact=True)], x)
    evaluation, training = change(before, measure(network, x))
    assert receipt.folded == ("second",)
    assert evaluation <= _EXACT
    assert (network.second.bias is not None) == (bias or not norm)
    # Its own normalisation sends sigmoid(shift) in training and another constant in evaluation, which a
    # second normalisation takes out again.
    assert receipt.exact_in_evaluation_only == (("second",) if norm else ())
    assert training <= _EXACT
    own = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert own == {id(p) for p in network.parameters()}
    train(network, optimizer, x, 1)


def test_a_unit_before_normalisation_sends_other_constants_in_training() -> None:
    network = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Sigmoid(), nn.Linear(8, 3)).double()
    x = torch.randn(16, 6, dtype=torch.float64)
    train(network, torch.optim.Adam(network.parameters(), 0.1), x, 5)
    _silent(network[0], [2])
    before = measure(network, x)
    receipt = apply(network, None, [Remove("0", (2,), exact=True)], x)
    evaluation, training = change(before, measure(network, x))
    assert evaluation <= _EXACT
    assert training > 1e-6
    assert receipt.exact_in_evaluation_only == ("3",)


def test_a_constant_before_zero_padding_is_refused_by_name() -> None:
    network, x = Blocks(padding=1, bias=True).double(), images(4, 10)
    _silent(network.first, [1, 4])
    before = dict(network.named_parameters())
    receipt = apply(network, None, [Remove("first", (1, 4))], x)
    assert receipt.removed == {}
    assert receipt.refused is not None
    assert "zero padding of 'second'" in receipt.refused["first"]
    assert all(before[name] is parameter for name, parameter in network.named_parameters())


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_constant_before_padding_by_its_own_kind_is_folded(mode: Padding) -> None:
    network, x = Blocks(padding=1, bias=True, mode=mode).double(), images(4, 10)
    _silent(network.first, [1, 4])
    before = measure(network, x)
    receipt = apply(network, None, [Remove("first", (1, 4), exact=True)], x)
    if receipt.refused is None:
        assert receipt.folded == ("second",)
    assert max(change(before, measure(network, x))) <= _EXACT


def test_a_constant_into_a_padded_depthwise_convolution_varies_at_the_border() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 6, 1),
        nn.Sigmoid(),
        nn.Conv2d(6, 6, 3, padding=1, groups=6),
        nn.ReLU(),
        nn.Conv2d(6, 2, 1),
    ).double()
    x = images(2, 6)
    _silent(network[0], [1, 4])
    _silent(network[2], [4])
    before = measure(network, x)
    receipt = apply(network, None, [Remove("0", (1, 4), exact=True)], x)
    assert receipt.removed == {"0": 1, "2": 1}
    assert receipt.refused == {"0": "still varies"}
    assert max(change(before, measure(network, x))) <= _EXACT


def test_a_constant_through_an_unpadded_depthwise_convolution_is_folded_behind_it() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 6, 1), nn.Sigmoid(), nn.Conv2d(6, 6, 3, groups=6), nn.Sigmoid(), nn.Conv2d(6, 2, 1)
    ).double()
    x = images(2, 6)
    _silent(network[0], [1, 4], 0.3)
    before = measure(network, x)
    receipt = apply(network, None, [Remove("0", (1, 4), exact=True)], x)
    assert receipt.removed == {"0": 2, "2": 2}
    assert receipt.folded == ("4",)
    assert max(change(before, measure(network, x))) <= _EXACT


def test_silence_before_zero_padding_is_no_obstacle() -> None:
    network, x = Blocks(padding=1, bias=True, norm=False).double(), images(4, 10)
    network.forward = lambda x: network.out(network.second(network.first(x).relu()).relu().mean((2, 3)))  # type: ignore[method-assign]
    _silent(network.first, [1, 4])
    before = measure(network, x)
    assert apply(network, None, [Remove("first", (1, 4), exact=True)], x).removed == {"first": 2}
    assert max(change(before, measure(network, x))) <= _EXACT


def test_a_unit_that_nothing_listens_to_goes_though_it_varies() -> None:
    network, x = mlp().double(), images(4, 8)
    with torch.no_grad():
        network.get_parameter("3.weight")[:, [2, 9]] = 0
    before = measure(network, x)
    assert apply(network, None, [Remove("1", (2, 9), exact=True)], x).removed == {"1": 2}
    assert max(change(before, measure(network, x))) <= _EXACT


def test_exact_removal_leaves_units_that_vary() -> None:
    network, x = mlp().double(), images(4, 8)
    _silent(network.get_submodule("1"), [3])
    receipt = apply(network, None, [Remove("1", (3, 4), exact=True)], x)
    assert receipt.removed == {"1": 1}
    assert receipt.refused == {"1": "still varies"}


@pytest.mark.parametrize("norm", [nn.LayerNorm(6), nn.GroupNorm(1, 6)])
def test_units_under_layer_or_group_normalisation_are_refused(norm: nn.Module) -> None:
    network = nn.Sequential(nn.Linear(4, 6), norm, nn.Linear(6, 2)).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    _silent(network[0], [1])
    receipt = apply(network, None, [Remove("0", (1,))], x)
    assert receipt.refused is not None
    assert "normalisation" in receipt.refused["0"]


class Twice(nn.Module):
    """One layer read and made twice."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inside = nn.Linear(5, 7)
        self.shared = nn.Linear(7, 7)
        self.out = nn.Linear(7, 2)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.inside(x))
        return self.out(self.activation(self.shared(self.activation(self.shared(x)))))


def test_a_shared_layer_loses_units_where_it_is_used_and_where_it_is_read() -> None:
    network, x = Twice(torch.relu).double(), torch.randn(6, 5, dtype=torch.float64)
    _silent(network.inside, [1, 2])
    _silent(network.shared, [1, 2])
    before = measure(network, x)
    receipt = apply(network, None, [Remove("shared", (1, 2), exact=True)], x)
    assert receipt.removed == {"inside": 2, "shared": 2}
    assert max(change(before, measure(network, x))) <= _EXACT


def test_constants_into_a_shared_layer_are_refused() -> None:
    network, x = Twice(torch.sigmoid).double(), torch.randn(6, 5, dtype=torch.float64)
    _silent(network.inside, [1])
    _silent(network.shared, [1])
    receipt = apply(network, None, [Remove("shared", (1,), exact=True)], x)
    assert receipt.refused is not None
    assert "used more than once" in receipt.refused["shared"]


class Computed(nn.Module):
    """A layer whose weight is made from others in one way or another."""

    def __init__(self, make: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inside = nn.Linear(5, 7)
        self.outside = nn.Linear(7, 3)
        self.make = make

    def forward(self, x: Tensor) -> Tensor:
        weight = self.make(self.outside.weight)
        return nn.functional.linear(self.inside(x).sigmoid(), weight, self.outside.bias)


@pytest.mark.parametrize(
    "make", [torch.relu, torch.exp, lambda weight: weight * 0.5, lambda weight: weight * weight[:1]]
)
def test_constants_into_computed_weights_are_folded_rightly_or_not_at_all(
    make: Callable[[Tensor], Tensor],
) -> None:
    network, x = Computed(make).double(), torch.randn(6, 5, dtype=torch.float64)
    _silent(network.inside, [1])
    before = measure(network, x)
    receipt = apply(network, None, [Remove("inside", (1,), exact=True)], x)
    assert receipt.refused is not None
    assert "computed" in receipt.refused["inside"] or "varies" in receipt.refused["inside"]
    assert max(change(before, measure(network, x))) <= _EXACT


def test_certificates_measure_the_change_in_both_modes() -> None:
    network, x = mlp(nn.Sigmoid).double(), images(4, 8)
    _silent(network.get_submodule("1"), [0])
    exact = apply(network, None, [Remove("1", (0,), exact=True)], x, certify=True)
    forced = apply(network, None, [Remove("1", (3,))], x, certify=True)
    assert exact.output_change is not None
    assert max(exact.output_change) <= _EXACT
    assert forced.output_change is not None
    assert min(forced.output_change) > 1e-6


def test_folding_survives_what_follows_in_the_same_call() -> None:
    """A layer that is given a bias for a fold, and loses units itself."""
    network = nn.Sequential(
        nn.Linear(5, 6), nn.Sigmoid(), nn.Linear(6, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False)
    ).double()
    x = torch.randn(6, 5, dtype=torch.float64)
    _silent(network[0], [0, 2])
    _silent(network[2], [3])
    before = measure(network, x)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    receipt = apply(network, optimizer, [Remove("0", (0, 2), exact=True), Remove("2", (3,), exact=True)], x)
    assert receipt.removed == {"0": 2, "2": 1}
    assert max(change(before, measure(network, x))) <= _EXACT
    assert network[2].bias.shape == (3,)
    train(network, optimizer, x, 1)
