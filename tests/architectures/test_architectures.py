"""Families of networks: what they build is named and sized as they say."""

from collections.abc import Mapping

import pytest
import torch

from harness.architectures.base import Architecture
from harness.architectures.lenet5 import LeNet5
from harness.architectures.mlp import MLP

CASES = [
    (MLP(hidden_layers=1), (1, 8, 8), {"hidden1": 5}),
    (MLP(hidden_layers=3), (3, 4, 4), {"hidden1": 5, "hidden2": 1, "hidden3": 9}),
    (MLP(hidden_layers=2, activation="tanh"), (7,), {"hidden1": 5, "hidden2": 6}),
    (LeNet5(), (1, 28, 28), {"conv1": 3, "conv2": 5, "fc1": 7}),
    (LeNet5(), (3, 32, 32), {"conv1": 1, "conv2": 1, "fc1": 1}),
    (LeNet5(), (1, 16, 19), {"conv1": 2, "conv2": 2, "fc1": 2}),
]


@pytest.mark.parametrize(("family", "shape", "sizes"), CASES)
def test_a_network_has_the_sizes_asked_for(
    family: Architecture, shape: tuple[int, ...], sizes: Mapping[str, int]
) -> None:
    assert family.sized_layers == tuple(sizes)
    network = family.build(shape, 10, sizes)
    assert network(torch.zeros(2, *shape)).shape == (2, 10)
    assert {layer: len(network.get_parameter(f"{layer}.weight")) for layer in sizes} == dict(sizes)


@pytest.mark.parametrize(("family", "shape", "sizes"), CASES)
def test_the_global_seed_decides_the_weights(
    family: Architecture, shape: tuple[int, ...], sizes: Mapping[str, int]
) -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([parameter.flatten() for parameter in family.build(shape, 10, sizes).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_activations() -> None:
    x = torch.full((1, 2), -3.0)
    for activation, lowest in (("relu", 0.0), ("tanh", -1.0)):
        network = MLP(1, activation).build((2,), 3, {"hidden1": 50})  # type: ignore[arg-type]
        hidden = network[:3](x)  # type: ignore[index]
        assert hidden.min().item() >= lowest
        assert (hidden.min().item() < 0) == (activation == "tanh")


def test_no_hidden_layer_is_no_mlp() -> None:
    with pytest.raises(ValueError, match="hidden_layers must be at least 1 and at most 1,000, found 0"):
        MLP(hidden_layers=0)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 15), (784,), (1, 28)])
def test_examples_that_lenet5_does_not_suit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="lenet5 needs images") as raised:
        LeNet5().check(shape)
    assert str(raised.value).endswith("found " + "x".join(map(str, shape)))
    with pytest.raises(ValueError, match="lenet5 needs images"):
        LeNet5().build(shape, 10, {"conv1": 1, "conv2": 1, "fc1": 1})


def test_an_mlp_suits_any_examples() -> None:
    for shape in ((3,), (1, 8, 8), (2, 3, 4, 5)):
        MLP().check(shape)
