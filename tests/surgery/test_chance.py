"""Rules for networks that chance plays a part in: all of their paths are known, or they are refused."""

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.surgery import SurgeryError, trace


class _Chancy(nn.Module):
    """Two layers, and something by chance between them in training."""

    def __init__(self, between: Callable[["_Chancy", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        return self.third(self.between(self, h) if self.training else h)


def _tenth(network: _Chancy, h: Tensor) -> Tensor:
    return h + network.second(h) if torch.rand(1).item() < 0.01 else h


def _of_python(network: _Chancy, h: Tensor) -> Tensor:
    return h + network.second(h) if random.random() < 0.01 else h


def _of_numpy(network: _Chancy, h: Tensor) -> Tensor:
    return h + network.second(h) if np.random.rand() < 0.5 else h


def _either(network: _Chancy, h: Tensor) -> Tensor:
    return random.choice([network.second, network.second, nn.Identity()])(h)


def _so_many(network: _Chancy, h: Tensor) -> Tensor:
    kept = int(torch.randint(1, h.shape[1], ()))
    return torch.cat([h[:, :kept], torch.zeros_like(h[:, kept:])], 1)


@pytest.mark.parametrize("between", [_tenth, _of_python, _of_numpy, _either, _so_many])
def test_a_network_that_decides_by_chance_what_it_runs_is_refused(
    between: Callable[[_Chancy, Tensor], Tensor],
) -> None:
    with pytest.raises(SurgeryError, match="decides by chance in training mode"):
        trace(_Chancy(between), torch.randn(4, 6))


def _factor(network: _Chancy, h: Tensor) -> Tensor:
    return h + network.second(h) * (torch.rand(len(h), 1) > 0.5)


def _compared_with_nothing(network: _Chancy, h: Tensor) -> Tensor:
    # As transformers has it, where layers are not dropped.
    return h if torch.rand([]) < 0.0 else h + network.second(h)


@pytest.mark.parametrize("between", [_factor, _compared_with_nothing])
def test_chance_that_decides_nothing_of_what_is_run_is_no_obstacle(
    between: Callable[[_Chancy, Tensor], Tensor],
) -> None:
    structure = trace(_Chancy(between), torch.randn(4, 6))
    assert structure.group("first").refused is None


def test_looking_at_a_network_leaves_the_generators_of_python_and_numpy_as_they_were() -> None:
    random.seed(3)
    np.random.seed(3)
    before = random.getstate(), repr(np.random.get_state())
    trace(_Chancy(_factor), torch.randn(4, 6))
    assert (random.getstate(), repr(np.random.get_state())) == before


@pytest.mark.parametrize("make", [nn.AlphaDropout, nn.FeatureAlphaDropout])
def test_nothing_goes_before_a_dropout_that_puts_other_numbers_than_zero_in(
    make: Callable[[float], nn.Module],
) -> None:
    drop = make(0.3)
    reason = trace(_Chancy(lambda network, h: drop(h)), torch.randn(4, 6)).group("first").refused
    assert reason is not None
    assert "dropout" in reason


def test_a_hook_on_a_gradient_that_is_made_while_the_network_runs_is_refused() -> None:
    def hooked(network: _Chancy, h: Tensor) -> Tensor:
        if h.requires_grad:
            h.register_hook(lambda gradient: gradient / gradient.norm())
        return h

    with pytest.raises(SurgeryError, match="hook on the gradient"):
        trace(_Chancy(hooked), torch.randn(4, 6))
