"""The table of optimizers against torch, which a study is checked without."""

import inspect

import pytest
import torch

from harness.forecast import _COPIES
from harness.optimizers import OPTIMIZERS
from harness.training.loop import _FUSED

#: Set by the study's learning rate, by the method, or about speed and not about what is computed.
_NOT_OPTIONS = {"params", "lr", "weight_decay", "maximize"}
_SPEED = {"foreach", "fused", "capturable", "differentiable"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_options_are_those_of_torch(name: str) -> None:
    parameters = inspect.signature(getattr(torch.optim, name)).parameters
    assert set(OPTIMIZERS[name]) <= set(parameters)
    left_out = set(parameters) - set(OPTIMIZERS[name]) - _NOT_OPTIONS - _SPEED
    assert left_out <= ({"decoupled_weight_decay"} if name == "Adam" else set())  # which is AdamW


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_the_loop_sets_exists(name: str) -> None:
    parameters = inspect.signature(getattr(torch.optim, name)).parameters
    assert {"lr", "weight_decay"} <= set(parameters)


@pytest.mark.parametrize("name", sorted(_FUSED))
def test_fused_steps_run_on_the_cpu(name: str) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = getattr(torch.optim, name)([weight], lr=0.1, fused=True)
    weight.sum().backward()
    optimizer.step()
    assert (weight < 1).all()


def test_memory_is_forecast_for_each() -> None:
    assert _COPIES.keys() == OPTIMIZERS.keys()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_forecast_counts_the_tensors_of_each(name: str) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    options = {"momentum": 0.9} if name in ("SGD",) else {}
    optimizer = getattr(torch.optim, name)([weight], lr=0.1, **options)
    weight.sum().backward()
    optimizer.step()
    state = sum(value.shape == weight.shape for value in optimizer.state[weight].values())
    assert _COPIES[name] == 2 + state  # the parameter, its gradient, the state
