"""The optimizer's memory goes with the units: a shrunk network trains on as the full one would."""

import copy
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from harness.surgery import Mask, Remove, SurgeryError, apply, hold_masks
from tests.surgery.helpers import change, ids, images, loss, measure, optimizer_parameters, train

Make = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

_OPTIMIZERS: dict[str, Make] = {
    "sgd": partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "sgd nesterov": partial(torch.optim.SGD, lr=0.05, momentum=0.9, nesterov=True, foreach=True),
    "sgd fused": partial(torch.optim.SGD, lr=0.05, momentum=0.9, fused=True),
    "adam": partial(torch.optim.Adam, lr=0.01, weight_decay=1e-3),
    "adam foreach": partial(torch.optim.Adam, lr=0.01, foreach=True),
    "adam fused": partial(torch.optim.Adam, lr=0.01, fused=True),
    "amsgrad": partial(torch.optim.Adam, lr=0.01, amsgrad=True),
    "adamw": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
    "adamw fused amsgrad": partial(torch.optim.AdamW, lr=0.01, amsgrad=True, fused=True),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.01, momentum=0.9, centered=True),
    "rmsprop foreach": partial(torch.optim.RMSprop, lr=0.01, foreach=True),
    "adagrad": partial(torch.optim.Adagrad, lr=0.05),
    "adagrad fused": partial(torch.optim.Adagrad, lr=0.05, fused=True),
    "nadam": partial(torch.optim.NAdam, lr=0.01),
    "adadelta": partial(torch.optim.Adadelta, lr=0.5),
    "adamax": partial(torch.optim.Adamax, lr=0.01, weight_decay=1e-3),
    "asgd": partial(torch.optim.ASGD, lr=0.05),
    "radam": partial(torch.optim.RAdam, lr=0.01),
    "nadam foreach": partial(torch.optim.NAdam, lr=0.01, foreach=True, decoupled_weight_decay=True),
}
#: What PyTorch has on a GPU alone, besides all of the above.
_ON_GPU: dict[str, Make] = _OPTIMIZERS | {
    "adam capturable": partial(torch.optim.Adam, lr=0.01, capturable=True),
    "adam capturable fused": partial(torch.optim.Adam, lr=0.01, capturable=True, fused=True),
    "adamw capturable foreach": partial(torch.optim.AdamW, lr=0.01, capturable=True, foreach=True),
    "rmsprop capturable": partial(torch.optim.RMSprop, lr=0.01, momentum=0.9, capturable=True),
    "nadam capturable": partial(torch.optim.NAdam, lr=0.01, capturable=True),
}
#: Goes by the signs of gradients, also of those that are zero but for rounding.
_BY_SIGNS: dict[str, Make] = {"rprop": partial(torch.optim.Rprop, lr=0.01)}
_DEAD = {"stem": (0, 3), "inner": (1, 2, 7), "fc": (0, 5)}


class Small(nn.Module):
    """Convolutions, normalisation, a residual sum, a flatten boundary and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.inner = nn.Conv2d(6, 8, 3, padding=1)
        self.outer = nn.Conv2d(8, 6, 3, padding=1)
        self.fc = nn.Linear(6 * 16, 10)
        self.out = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        x = x + self.outer(self.inner(x).relu())
        x = nn.functional.max_pool2d(x, 2).flatten(1)
        return self.out(self.fc(x).tanh())


def _rows(network: nn.Module) -> list[tuple[str, list[int]]]:
    """Everything that makes or shifts the units that are to go."""
    stem, inner, fc = (list(_DEAD[layer]) for layer in ("stem", "inner", "fc"))
    return [
        *((f"{layer}.{name}", stem) for layer in ("stem", "norm", "outer") for name in ("weight", "bias")),
        *(
            (f"{layer}.{name}", rows)
            for layer, rows in (("inner", inner), ("fc", fc))
            for name in ("weight", "bias")
        ),
    ]


def _masks(network: nn.Module) -> list[Mask]:
    masks = []
    for path, rows in _rows(network):
        keep = torch.ones_like(network.get_parameter(path), dtype=torch.bool)
        keep[rows] = False
        masks.append(Mask(path, keep))
    return masks


@pytest.mark.parametrize("kind", _OPTIMIZERS)
def test_steps_after_removal_are_the_steps_of_the_masked_full_network(kind: str) -> None:
    check_steps(_OPTIMIZERS[kind], torch.device("cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", _ON_GPU)
def test_steps_after_removal_on_a_gpu(kind: str) -> None:
    check_steps(_ON_GPU[kind], torch.device("cuda"))


def check_steps(make: Make, device: torch.device) -> None:
    x = images(6, 8).to(device)
    full = Small().double().to(device)
    optimizer = make(full.parameters())
    train(full, optimizer, x, 5)
    apply(full, optimizer, _masks(full), x)
    small = copy.deepcopy(full)
    small_optimizer = make(small.parameters())
    # Copied: loading keeps the very tensors where device and type agree.
    small_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))

    receipt = apply(
        small, small_optimizer, [Remove(layer, units, exact=True) for layer, units in _DEAD.items()], x
    )

    assert receipt.refused is None
    assert receipt.removed == {"stem": 2, "outer": 2, "inner": 3, "fc": 2}
    assert optimizer_parameters(small_optimizer) == ids(small.parameters())
    assert {id(own) for own in small_optimizer.state} == ids(small.parameters())
    start = measure(small, x)
    for _ in range(4):
        for network, own in ((full, optimizer), (small, small_optimizer)):
            train(network, own, x, 1)
            hold_masks(network)
    assert max(change(measure(full, x), measure(small, x))) <= 1e-6
    assert change(start, measure(small, x))[0] > 1e-3


@pytest.mark.parametrize("kind", _OPTIMIZERS | _BY_SIGNS)
def test_memory_is_the_indexed_old_memory(kind: str) -> None:
    x, network = images(6, 8), Small().double()
    optimizer = (_OPTIMIZERS | _BY_SIGNS)[kind](network.parameters())
    train(network, optimizer, x, 3)
    old = {
        path: {key: copy.deepcopy(value) for key, value in optimizer.state[parameter].items()}
        for path, parameter in network.named_parameters()
    }
    apply(network, optimizer, [Remove("fc", (0, 5)), Remove("inner", (1,))], x)
    kept = [unit for unit in range(10) if unit not in (0, 5)]
    columns = [unit for unit in range(8) if unit != 1]
    checked = 0
    for key, value in old["fc.weight"].items():
        new = optimizer.state[network.get_parameter("fc.weight")][key]
        same_shape = isinstance(value, Tensor) and value.dim() == 2
        assert torch.equal(new, value[kept]) if same_shape else new == value
        checked += same_shape
    for key, value in old["outer.weight"].items():
        new = optimizer.state[network.get_parameter("outer.weight")][key]
        if isinstance(value, Tensor) and value.dim() == 4:
            assert torch.equal(new, value[:, columns])
    assert checked > 0


def test_groups_keep_their_options_and_order() -> None:
    x, network = images(6, 8), Small().double()
    plain = [p for name, p in network.named_parameters() if name.endswith("bias")]
    decayed = [p for name, p in network.named_parameters() if name.endswith("weight")]
    groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": 0.1}, {"params": plain}]
    optimizer = torch.optim.Adam(groups, 1e-2)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    train(network, optimizer, x, 2)
    apply(network, optimizer, [Remove("fc", (0, 5))], x)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    first, second = ([names[id(p)] for p in group["params"]] for group in optimizer.param_groups)
    assert all(name.endswith("weight") for name in first)
    assert all(name.endswith("bias") for name in second)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0]
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [5e-3, 5e-3]
    train(network, optimizer, x, 1)


def test_a_graph_of_an_old_loss_does_not_hinder_the_next_step() -> None:
    x, network = images(6, 8), Small().double()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    kept = loss(network, x)
    kept.backward()
    optimizer.step()
    apply(network, optimizer, [Remove("fc", (0, 5))], x)
    train(network, optimizer, x, 1)
    assert kept.grad_fn is not None


def test_averaged_copies_and_gradient_scalers_go_on() -> None:
    x, network = images(6, 8), Small().double()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    train(network, optimizer, x, 3)
    averaged.update_parameters(network)
    before = averaged.module.get_parameter("fc.weight").detach().clone()
    apply(network, optimizer, [Remove("fc", (0, 5)), Remove("stem", (1,))], x, copies=[averaged.module])
    columns = [c for c in range(96) if c // 16 != 1]
    rows = [r for r in range(10) if r not in (0, 5)]
    assert torch.equal(averaged.module.get_parameter("fc.weight"), before[rows][:, columns])
    optimizer.zero_grad()
    scaler.scale(loss(network, x)).backward()
    scaler.step(optimizer)
    scaler.update()
    averaged.update_parameters(network)
    assert averaged(x).shape == (6, 4)


def test_gradients_that_wait_for_a_step_are_cut_too() -> None:
    x, network = images(6, 8), Small().double()
    loss(network, x).backward()
    before = network.get_parameter("fc.weight").grad
    assert before is not None
    apply(network, None, [Remove("fc", (0,))], x)
    after = network.get_parameter("fc.weight").grad
    assert after is not None
    assert torch.equal(after, before[1:])


def test_memory_of_unknown_shape_is_an_error_and_nothing_changes() -> None:
    x, network = images(6, 8), Small().double()
    optimizer = torch.optim.Adafactor(network.parameters(), 1e-2)
    train(network, optimizer, x, 1)
    before = dict(network.named_parameters())
    with pytest.raises(SurgeryError, match="Adafactor remembers 'row_var' of shape"):
        apply(network, optimizer, [Remove("inner", (0,)), Remove("fc", (0,))], x)
    assert all(before[name] is parameter for name, parameter in network.named_parameters())
    assert optimizer_parameters(optimizer) == ids(network.parameters())


def test_an_optimizer_of_other_parameters_is_an_error() -> None:
    x, network = images(6, 8), Small().double()
    optimizer = torch.optim.SGD(Small().parameters(), 0.1)
    with pytest.raises(SurgeryError, match="does not own the parameter"):
        apply(network, optimizer, [Remove("fc", (0,))], x)


def test_frozen_parameters_need_no_optimizer() -> None:
    x, network = images(6, 8), Small().double()
    network.fc.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 0.1)
    apply(network, optimizer, [Remove("fc", (0,))], x)
    assert not network.get_parameter("fc.weight").requires_grad
    train(network, optimizer, x, 1)
