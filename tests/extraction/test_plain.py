"""A network as a method leaves it, against the plain one."""

from collections.abc import Mapping

import pytest
import torch
from torch import nn

from harness.architectures.mlp import MLP
from harness.extraction import ExtractionError
from harness.extraction.plain import make_plain
from harness.sizing.gates.units import attach_gates
from harness.surgery import Remove, apply

_SIZES = {"hidden1": 6, "hidden2": 5}


def _network() -> tuple[MLP, nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    architecture = MLP(hidden_layers=2)
    return architecture, architecture.build((3, 2), 4, _SIZES), torch.randn(20, 3, 2)


def test_gates_dead_and_alive_are_folded_and_the_original_is_left_alone() -> None:
    architecture, network, x = _network()
    attach_gates(network, ["hidden1", "hidden2"])
    with torch.no_grad():
        network.get_parameter("hidden1.gate")[2] = -0.5
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    plain = make_plain(network, architecture, (3, 2), 4, _SIZES, x)
    assert plain.difference <= 1e-6
    assert type(plain.network.get_submodule("hidden1")) is nn.Linear
    assert not plain.network.get_parameter("hidden1.weight")[2].any()
    assert {name: tensor.shape for name, tensor in plain.network.state_dict().items()} == {
        name: tensor.shape for name, tensor in before.items() if not name.endswith("gate")
    }
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_masks_and_a_methods_buffers_stay_behind() -> None:
    architecture, network, x = _network()
    layer, weight = network.get_submodule("hidden2"), network.get_parameter("hidden2.weight")
    keep = torch.rand_like(weight) > 0.5
    layer.register_buffer("weight_mask", keep)
    layer.register_buffer("age", torch.zeros(5))
    with torch.no_grad():
        weight.mul_(keep)
    plain = make_plain(network, architecture, (3, 2), 4, _SIZES, x)
    assert plain.difference == 0
    assert sorted(plain.network.state_dict()) == sorted(architecture.build((3, 2), 4, _SIZES).state_dict())


def test_parameters_that_the_architecture_does_not_build_are_refused_by_name() -> None:
    architecture, network, x = _network()
    network.add_module("extra", nn.Linear(4, 4))
    with pytest.raises(ExtractionError, match=r"extra\.weight, extra\.bias differ"):
        make_plain(network, architecture, (3, 2), 4, _SIZES, x)


def test_other_sizes_are_refused_by_name() -> None:
    architecture, network, x = _network()
    with pytest.raises(ExtractionError, match=r"hidden2\.weight, hidden2\.bias, output\.weight differ"):
        make_plain(network, architecture, (3, 2), 4, _SIZES | {"hidden2": 4}, x)


def test_a_network_that_computes_something_else_is_refused() -> None:
    architecture, network, x = _network()
    network.relu1 = nn.Tanh()
    with pytest.raises(ExtractionError, match="computes something else than the trained one"):
        make_plain(network, architecture, (3, 2), 4, _SIZES, x)


class _Heads(nn.Module):
    """Attention over three places by hand, in heads of two features each."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.heads, self.mixed, self.out = 4, nn.Linear(2, 24), nn.Linear(8, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.mixed(x).reshape(len(x), 3, 3, self.heads, 2).permute(2, 0, 3, 1, 4)
        made = (q @ k.mT).softmax(-1) @ v
        return torch.as_tensor(self.out(made.transpose(1, 2).flatten(2).mean(1)))


class _Attentive(MLP):
    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> nn.Module:
        return _Heads(outputs)


def test_a_network_of_which_a_number_followed_is_refused_in_a_sentence() -> None:
    architecture, x = _Attentive(), torch.randn(20, 3, 2)
    network = architecture.build((3, 2), 4, {})
    assert apply(network, None, [Remove("mixed", (1,))], x[:2]).removed
    assert network.heads == 3
    with pytest.raises(ExtractionError, match=r"^the plain network does not run [^\n]* such as one of heads"):
        make_plain(network, architecture, (3, 2), 4, {}, x)
