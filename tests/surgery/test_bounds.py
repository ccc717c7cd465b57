"""Axes that code takes apart at unequal bounds: numbers that say where follow, others hold their parts."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import Remove, SurgeryError, apply, trace
from tests.surgery.helpers import change, measure

Body = Callable[[Any, Tensor], Tensor]


class Apart(nn.Module):
    """Layers of 11 units, a body that takes them apart at 3 and works on the parts, and a reader.

    parts, few, many: the lengths. The body may use layers of its own for the parts.
    """

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.parts = (3, 8) if body is _in_parts else ()
        self.few, self.many = 3, 8
        self.enter, self.first = nn.Conv1d(2, 11, 1), nn.Conv1d(3, 3, 3, padding=1, groups=3)
        self.second = nn.Conv1d(8, 8, 1, groups=8)
        self.body = body
        self.out = nn.Conv1d(body(self, torch.zeros(1, 11, 4)).shape[1], 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x)
        out: Tensor = self.out(torch.tanh(h) + self.body(self, h)).sum(2)
        return out


def _in_parts(net: Any, h: Tensor) -> Tensor:
    one, other = h.split(net.parts, 1)
    return torch.cat([net.first(one), other.sigmoid()], 1)


def _by_two_numbers(net: Any, h: Tensor) -> Tensor:
    one, other = h.split([net.few, net.many], 1)
    return torch.cat([one.sin(), net.second(other)], 1)


def _by_one_number(net: Any, h: Tensor) -> Tensor:
    return torch.cat([net.first(h[:, : net.few]), h[:, net.few :]], 1)


def _from_behind(net: Any, h: Tensor) -> Tensor:
    return torch.cat([h[:, : -net.few], net.first(h[:, -net.few :])], 1)


def _literal(net: Any, h: Tensor) -> Tensor:
    return torch.cat([h[:, :4].sin(), h[:, 4:]], 1)


def _literal_behind(net: Any, h: Tensor) -> Tensor:
    return torch.cat([h[:, :-4].sin(), h[:, -4:]], 1)


def _counted(net: Any, h: Tensor) -> Tensor:
    bound = h.shape[1] - 4
    return torch.cat([h[:, :bound].sin(), h[:, bound:]], 1)


def _chance(net: Any, h: Tensor) -> Tensor:
    return torch.cat([h[:, :3].sin(), h[:, 3:]], 1)


def _literal_parts(net: Any, h: Tensor) -> Tensor:
    one, other = h.split([2, 9], 1)
    return torch.cat([one.sin(), other], 1)


#: Body -> units of the first layer that can go.
_BODIES: dict[Body, range] = {
    _in_parts: range(11),
    _by_two_numbers: range(11),
    _by_one_number: range(11),
    _from_behind: range(11),
    _literal: range(4, 11),
    _literal_behind: range(7),
    _counted: range(0),
    _chance: range(3, 11),
    _literal_parts: range(0),
}


def _network(body: Body) -> Any:
    torch.manual_seed(0)
    return Apart(body).double()


@torch.no_grad()
def _silence(network: nn.Module, units: list[int]) -> None:
    enter: Any = network.enter
    enter.weight[units], enter.bias[units] = 0, 0
    for layer, before in (("first", 0), ("second", 3)):
        own: Any = getattr(network, layer)
        inside = [unit - before for unit in units if 0 <= unit - before < own.out_channels]
        if len(own.weight) == own.out_channels:
            own.weight[inside], own.bias[inside] = 0, 0


@pytest.mark.parametrize("body", _BODIES)
def test_of_unequal_parts_whatever_the_code_can_follow_goes_and_nothing_else(body: Body) -> None:
    network, free = _network(body), _BODIES[body]
    x = torch.randn(3, 2, 4, dtype=torch.float64)
    structure = trace(network, x)
    assert structure.group("enter").removable == len(free)
    assert (structure.group("enter").refused is None) == (len(free) == 11)
    for asked in ((2,), (4,), (0, 1, 4, 9), (5, 6)):
        units = [unit for unit in asked if unit in free]
        cut = _network(body)
        _silence(cut, units)
        before = measure(cut, x)
        receipt = apply(cut, None, [Remove("enter", tuple(units))], x)
        assert receipt.removed.get("enter", 0) == len(units)
        assert max(change(before, measure(cut, x))) <= 1e-10


@pytest.mark.parametrize("body", [_counted, _chance])
def test_a_number_that_the_code_does_not_go_by_lets_nothing_go(body: Body) -> None:
    network, x = _network(body), torch.randn(3, 2, 4, dtype=torch.float64)
    with pytest.raises(SurgeryError, match="fixed sizes"):
        apply(network, None, [Remove("enter", (1, 8), exact=False)], x)
    assert (network.few, network.many) == (3, 8)


def test_numbers_are_left_that_say_how_long_the_parts_are() -> None:
    x = torch.randn(3, 2, 4, dtype=torch.float64)
    network = _network(_in_parts)
    apply(network, None, [Remove("enter", (0, 4, 5, 7), exact=False)], x)
    assert (network.parts, network.few, network.many) == ((2, 5), 3, 8)
    apply(network, None, [Remove("enter", (2, 3, 4), exact=False)], x)
    assert network.parts == (2, 2)
    apply(network, None, [Remove("enter", (0,), exact=False)], x)
    assert network.parts == (1, 2)
