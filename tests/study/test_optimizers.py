"""The table of optimizers against torch, which a study is checked without."""

import inspect
import re
from typing import Any

import pytest
import torch

from harness.study.beside import optimizers_told
from harness.study.optimizers import OPTIMIZERS, check_options
from tests.making import Fields, plan_of, put

#: Set by the study's learning rate, by the method, or about speed and not about what is computed.
_NOT_OPTIONS = {"params", "lr", "weight_decay", "maximize"}
_SPEED = {"foreach", "fused", "capturable", "differentiable"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_options_are_those_of_torch(name: str) -> None:
    parameters = inspect.signature(getattr(torch.optim, name)).parameters
    assert set(OPTIMIZERS[name].options) <= set(parameters)
    left_out = set(parameters) - set(OPTIMIZERS[name].options) - _NOT_OPTIONS - _SPEED
    assert left_out <= ({"decoupled_weight_decay"} if name == "Adam" else set())  # which is AdamW


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_the_loop_sets_exists(name: str) -> None:
    parameters = inspect.signature(getattr(torch.optim, name)).parameters
    assert {"lr", "weight_decay"} <= set(parameters)


@pytest.mark.parametrize("name", sorted(name for name, facts in OPTIMIZERS.items() if facts.is_fused))
def test_fused_steps_run_on_the_cpu(name: str) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = getattr(torch.optim, name)([weight], lr=0.1, fused=True)
    weight.sum().backward()
    optimizer.step()
    assert (weight < 1).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_forecast_counts_the_tensors_of_each(name: str) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    options = {"momentum": 0.9} if name in ("SGD",) else {}
    optimizer = getattr(torch.optim, name)([weight], lr=0.1, **options)
    weight.sum().backward()
    optimizer.step()
    state = sum(value.shape == weight.shape for value in optimizer.state[weight].values())
    assert OPTIMIZERS[name].state_tensors == state


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("Adam", {"beta": 1}, "Adam has no option 'beta'; did you mean 'betas'?"),
        ("Adam", {"betas": 0.9}, "Adam: betas is two numbers from 0 to below 1, found 0.9"),
        ("Adam", {"betas": [0.9, 1.0]}, "Adam: betas must lie below 1, found"),
        ("Adam", {"eps": "small"}, "Adam: eps is a number of at least 0, found 'small'"),
        ("Adam", {"amsgrad": 1}, "Adam: amsgrad is true or false, found 1"),
        ("SGD", {"momentum": -0.1}, "SGD: momentum is a number of at least 0, found -0.1"),
        ("SGD", {"nesterov": True}, "SGD: nesterov needs a momentum above 0 and no dampening"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "SGD: nesterov needs"),
        ("RMSprop", {"alpha": 1.0}, "RMSprop: alpha must lie below 1"),
    ],
)
def test_impossible_options_are_refused_in_one_sentence(
    name: str, options: dict[str, Any], found: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(found)}"):
        check_options(name, options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Adam", {"betas": [0.9, 0.99], "eps": 1e-7, "amsgrad": True}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("RMSprop", {"alpha": 0.9, "centered": True, "momentum": 0.5}),
        ("NAdam", {"momentum_decay": 0.004, "decoupled_weight_decay": True}),
    ],
)
def test_what_is_not_refused_torch_takes_too(name: str, options: dict[str, Any]) -> None:
    check_options(name, options)
    getattr(torch.optim, name)([torch.zeros(1, requires_grad=True)], lr=0.1, **options)


def test_a_method_may_have_its_own_and_its_controls_have_it_too(tiny: Fields) -> None:
    before = {
        arm: trials for (arm, _), trials in plan_of(put(tiny, "methods", ["fixed", "l2"])).frozen.items()
    }
    sgd = {"name": "l2", "optimizer": {"name": "SGD", "learning_rate": 0.5, "options": {"momentum": 0.9}}}
    rated = {"name": "searched", "method": "l2", "optimizer": "RMSprop"}
    control = {"name": "again", "method": "no-removal", "of": "l2"}
    put(tiny, "methods", ["fixed", sgd, rated, control])
    plan = plan_of(tiny)
    found = {arm.method: plan.optimizer(arm) for arm in plan.arms.values()}
    assert {name: optimizer.name for name, optimizer in found.items()} == {
        "fixed": tiny["training"].get("optimizer", {"name": "Adam"})["name"],
        "l2": "SGD",
        "searched": "RMSprop",
        "again": "SGD",
    }
    rates = {arm.method: plan.schedule(arm, {}).learning_rate for arm in plan.arms.values()}
    assert rates["l2"] == rates["again"] == 0.5 != rates["fixed"]
    assert optimizers_told(plan.study).endswith(
        "; l2: SGD, learning rate 0.5, momentum 0.9; searched: RMSprop, learning rate 0.001"
    )
    now = {arm: trials for (arm, _), trials in plan.frozen.items()}
    assert now["digits/mlp/fixed"] == before["digits/mlp/fixed"], "other arms keep their ids"
    assert {t.id for t in now["digits/mlp/l2"]}.isdisjoint(t.id for t in before["digits/mlp/l2"])
