"""Parameters that a network takes from elsewhere than their module, where surgery cannot exchange them."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.surgery import Remove, SurgeryError, apply, trace


class _Network(nn.Module):
    """Computes with what `take` gives: the weight of its first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3)
        self.held: Any = None
        self.take: Callable[[], Tensor] = lambda: self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.b(F.linear(x, self.take(), self.a.bias).relu())
        return made


class _InTrainingAlone(_Network):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.take() if self.training else self.a.weight
        made: Tensor = self.b(F.linear(x, weight, self.a.bias).relu())
        return made


def _in_a_list(network: _Network) -> None:
    network.held = [network.a.weight]
    network.take = lambda: network.held[0]


def _in_nested_containers(network: _Network) -> None:
    network.held = {"a": ({1: [network.a.weight]},)}
    network.take = lambda: network.held["a"][0][1][0]


def _in_an_object(network: _Network) -> None:
    network.held = SimpleNamespace(weight=network.a.weight)
    network.take = lambda: network.held.weight


def _in_a_closure(network: _Network) -> None:
    weight = network.a.weight
    network.take = lambda: weight


def _of_its_own(network: _Network) -> None:
    network.held = [nn.Parameter(torch.randn(8, 4))]
    network.take = lambda: network.held[0]


def _a_leaf_of_its_own(network: _Network) -> None:
    weight = torch.randn(8, 4, requires_grad=True)
    network.take = lambda: weight


_WAYS = [_in_a_list, _in_nested_containers, _in_an_object, _in_a_closure, _of_its_own, _a_leaf_of_its_own]


@pytest.mark.parametrize("make", [_Network, _InTrainingAlone])
@pytest.mark.parametrize("hold", _WAYS)
def test_parameters_that_are_held_elsewhere(hold: Callable[[_Network], None], make: type[_Network]) -> None:
    network, x = make(), torch.randn(4, 4)
    hold(network)
    before = list(network.named_parameters())
    for action in (lambda: trace(network, x), lambda: apply(network, None, [Remove("a", (1,))], x)):
        with pytest.raises(SurgeryError, match="registered"):
            action()
    assert all(own is old for (_, own), (_, old) in zip(network.named_parameters(), before, strict=True))


def test_what_is_read_from_its_module_is_not_in_the_way() -> None:
    """Recurrent layers keep a list of their own, and an input may ask for a gradient."""

    class Plain(_Network):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.GRU(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            fresh = torch.zeros(4, requires_grad=True)
            return super().forward(self.recurrent(x)[0] + fresh)

    network, x = Plain(), torch.randn(4, 4)
    held = list(network.recurrent._flat_weights)
    assert trace(network, x.requires_grad_()).group("a").refused is None
    assert all(own is old for own, old in zip(network.recurrent._flat_weights, held, strict=True))
    assert held[0] is network.recurrent.weight_ih_l0


def test_a_view_of_a_parameter_that_was_taken_once() -> None:
    """It would go on showing the old values, and never trains."""
    network, x = _Network(), torch.randn(4, 4)
    held = network.a.weight.detach()
    network.take = lambda: held
    with pytest.raises(SurgeryError, match=r"reads 'a\.weight' from a place of its own"):
        trace(network, x)


def test_one_that_is_taken_each_time_is_not_in_the_way() -> None:
    network, x = _Network(), torch.randn(4, 4)
    network.take = lambda: network.a.weight.data * 2
    assert trace(network, x).group("a").removable == 8
