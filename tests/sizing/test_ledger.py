"""The size ledger, by hand."""

import pytest
import torch
from torch import nn

from harness.architectures.lenet5 import LeNet5
from harness.architectures.mlp import MLP
from harness.sizing.gates.units import attach_gates, gates
from harness.sizing.ledger.counting import multiply_accumulates
from harness.sizing.ledger.measure import measure
from harness.sizing.ledger.size import Size


def an_mlp() -> nn.Module:
    torch.manual_seed(0)
    return MLP(hidden_layers=2).build((1, 2, 3), 4, {"hidden1": 5, "hidden2": 7})


_LAYERS = ("hidden1", "hidden2")
_MACS = 6 * 5 + 5 * 7 + 7 * 4  # 93
_PARAMETERS = _MACS + 5 + 7 + 4  # 109


def test_an_mlp() -> None:
    network = an_mlp()
    assert multiply_accumulates(network, torch.zeros(1, 1, 2, 3)) == _MACS
    assert measure(network, _LAYERS, _MACS) == Size(
        {"hidden1": 5, "hidden2": 7}, _PARAMETERS, _PARAMETERS, _MACS
    )


def test_zeros_are_not_counted_as_nonzeros() -> None:
    network = an_mlp()
    with torch.no_grad():
        network.get_parameter("hidden1.weight")[1] = 0
        network.get_parameter("output.bias")[:] = 0
    size = measure(network, _LAYERS, _MACS)
    assert (size.parameters, size.nonzeros) == (_PARAMETERS, _PARAMETERS - 6 - 4)


def test_gates_are_folded_in() -> None:
    network = an_mlp()
    attach_gates(network, _LAYERS, initial=0.5)
    assert multiply_accumulates(network, torch.zeros(1, 1, 2, 3)) == _MACS
    assert measure(network, _LAYERS, _MACS) == Size(
        {"hidden1": 5, "hidden2": 7}, _PARAMETERS, _PARAMETERS, _MACS
    )
    with torch.no_grad():
        gates(network)["hidden1"][2] = -0.1  # a shut gate: six weights and a bias are as good as zero
        gates(network)["hidden2"][0] = 0.0
    size = measure(network, _LAYERS, _MACS)
    assert (size.parameters, size.nonzeros) == (_PARAMETERS, _PARAMETERS - 7 - 6)


def test_lenet5() -> None:
    network = LeNet5().build((1, 28, 28), 10, {"conv1": 2, "conv2": 3, "fc1": 4})
    macs = 24 * 24 * 2 * 25 + 8 * 8 * 3 * 2 * 25 + 3 * 16 * 4 + 4 * 10
    assert multiply_accumulates(network, torch.zeros(1, 1, 28, 28)) == macs
    size = measure(network, LeNet5().sized_layers, macs)
    assert size.units == {"conv1": 2, "conv2": 3, "fc1": 4}
    assert size.parameters == (2 * 25 + 2) + (3 * 2 * 25 + 3) + (48 * 4 + 4) + (4 * 10 + 10)


def test_grouped_and_strided_convolutions() -> None:
    network = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2, stride=2, padding=1, bias=False))
    assert multiply_accumulates(network, torch.zeros(1, 4, 8, 8)) == 4 * 4 * 8 * (2 * 9)


def test_a_layer_used_twice_counts_twice() -> None:
    layer = nn.Linear(3, 3)
    assert multiply_accumulates(nn.Sequential(layer, layer), torch.zeros(1, 3)) == 18


@pytest.mark.parametrize("training", [True, False])
def test_measuring_changes_nothing(training: bool) -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    multiply_accumulates(network, torch.ones(1, 3))
    assert network.training is training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
