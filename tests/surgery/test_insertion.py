"""Inserted blocks: nothing changes at once, all of it can be trained, and nothing else is touched."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.sizing.gates.units import attach_gates, gate_parameters
from harness.surgery import InsertBlock, Remove, RemoveBlock, Residual, SurgeryError, apply, donor
from tests.surgery.helpers import ids, measure, optimizer_parameters, train
from tests.surgery.optimizers import OPTIMIZERS, differing, remembered


def _branch(channels: int = 4, zero: str = "norm") -> nn.Sequential:
    made = nn.Sequential()
    made.add_module("conv1", nn.Conv2d(channels, 6, 3, padding=1, bias=False))
    made.add_module("norm1", nn.BatchNorm2d(6))
    made.add_module("relu", nn.ReLU())
    made.add_module("conv2", nn.Conv2d(6, channels, 3, padding=1, bias=False))
    made.add_module("norm2", nn.BatchNorm2d(channels))
    if zero == "norm":
        nn.init.zeros_(made.get_parameter("norm2.weight"))
    if zero == "all":
        for parameter in made.parameters():
            nn.init.zeros_(parameter)
    return made


def _block(zero: str = "norm") -> Any:
    return Residual(_branch(zero=zero), nn.ReLU())


def _network() -> Any:
    network: Any = nn.Sequential()
    network.add_module("stem", nn.Conv2d(1, 4, 3, padding=1))
    network.add_module("relu", nn.ReLU())
    network.add_module("stage", nn.Sequential(_block("none"), nn.Identity()))
    network.add_module("flatten", nn.Flatten())
    network.add_module("head", nn.Linear(4 * 16, 3))
    return network


X = torch.randn(6, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_network_with_an_inserted_block_trains_on_as_one_that_always_had_it(kind: str) -> None:
    network = _network().double()
    optimizer = OPTIMIZERS[kind](network.parameters())
    train(network, optimizer, X, 3)
    (twin, other), block = copy.deepcopy((network, optimizer)), _block()
    twin.stage[1] = copy.deepcopy(block).double()
    other.param_groups[0]["params"].extend(twin.get_submodule("stage.1").parameters())
    before = measure(network, X)
    receipt = apply(network, optimizer, [InsertBlock("stage.1", block)], X, certify=True)
    assert receipt.inserted == ("stage.1",)
    assert receipt.output_change == (0.0, 0.0)
    assert all(torch.equal(*pair) for pair in zip(before, measure(network, X), strict=True))
    assert optimizer_parameters(optimizer) == ids(network.parameters())
    for own, optim in ((network, optimizer), (twin, other)):
        train(own, optim, X, 3)
    assert differing(remembered(network, optimizer), remembered(twin, other)) == []
    assert network.get_parameter("stage.1.branch.conv1.weight").grad.abs().max() > 0
    # The method's own module is not the one that is trained.
    assert block.branch.conv1.weight.dtype == torch.float32


def test_behind_a_module_of_a_sequential_paths_stay_and_order_is_that_of_the_proposal() -> None:
    network = _network().double()
    optimizer = OPTIMIZERS["sgd"](network.parameters())
    train(network, optimizer, X, 2)
    names = [name for name, _ in network.named_parameters()]
    before = measure(network, X)
    receipt = apply(
        network, optimizer, [InsertBlock("stage.0", _block()), InsertBlock("stage.0", _block())], X
    )
    assert receipt.inserted == ("stage.0_1", "stage.0_2")
    assert list(network.stage._modules) == ["0", "0_1", "0_2", "1"]
    assert apply(network, optimizer, [InsertBlock("stage.0", _block())], X).inserted == ("stage.0_3",)
    assert list(network.stage._modules) == ["0", "0_3", "0_1", "0_2", "1"]
    assert apply(network, optimizer, [InsertBlock("relu", _block())], X).inserted == ("relu_1",)
    assert all(torch.equal(*pair) for pair in zip(before, measure(network, X), strict=True))
    assert names == [name for name, _ in network.named_parameters() if name in names]
    train(network, optimizer, X, 2)
    # What was put in is as good as any other block: it can be cut, and it can go again.
    assert apply(network, optimizer, [Remove("stage.0_1.branch.conv1", (0, 2))], X).removed == {
        "stage.0_1.branch.conv1": 2
    }
    assert apply(network, optimizer, [RemoveBlock("stage.0_2")], X).blocks == ("stage.0_2",)
    assert optimizer_parameters(optimizer) == ids(network.parameters())
    assert apply(network, optimizer, [InsertBlock("stage.0_2", _block())], X).inserted == ("stage.0_2",)
    train(network, optimizer, X, 1)


def test_modes_copies_and_devices_follow() -> None:
    network = _network()
    network.train()
    network.stage[1].eval()
    twin, x = copy.deepcopy(network), X.float()
    apply(network, None, [InsertBlock("stage.1", _block()), InsertBlock("relu", _block())], x, copies=[twin])
    for own in (network, twin):
        assert not any(module.training for module in own.get_submodule("stage.1").modules())
        assert all(module.training for module in own.get_submodule("relu_1").modules())
    assert not ids(network.parameters()) & ids(twin.parameters())
    assert differing(network.state_dict(), twin.state_dict()) == []


def _all_zero() -> nn.Module:
    return _block("all")


def _not_the_identity() -> nn.Module:
    return _block("none")


def _without_parameters() -> nn.Module:
    return nn.ReLU()


def _frozen() -> nn.Module:
    return _block().requires_grad_(False)


def _noisy() -> nn.Module:
    return nn.Sequential(_block(), nn.Dropout(0.5))


def _of_another_shape() -> nn.Module:
    return nn.Conv2d(4, 4, 3)


@pytest.mark.parametrize(
    ("place", "make", "words"),
    [
        ("stage.1", _all_zero, "would never learn"),
        ("stage.1", _frozen, "would never learn"),
        ("stage.1", _without_parameters, "would never learn"),
        ("stage.1", _not_the_identity, "changes the network's output in evaluation mode"),
        ("stage.1", _noisy, "changes the network's output in training mode"),
        ("stage.1", _of_another_shape, "does not run on an example"),
        ("stage.0.branch", _block, "is not in an nn.Sequential"),
        ("stage.5", _block, "no module 'stage.5'"),
        ("", _block, "the place of the whole network"),
        ("head", lambda: nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3)), "changes the network's output"),
    ],
)
def test_blocks_that_may_not_be_inserted(place: str, make: Callable[[], nn.Module], words: str) -> None:
    network = _network().double()
    optimizer = OPTIMIZERS["adam"](network.parameters())
    train(network, optimizer, X, 2)
    before, modules = remembered(network, optimizer), [name for name, _ in network.named_modules()]
    with pytest.raises(SurgeryError) as error:
        apply(network, optimizer, [InsertBlock("stage.0", _block()), InsertBlock(place, make())], X)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert differing(before, remembered(network, optimizer)) == []
    assert [name for name, _ in network.named_modules()] == modules
    assert optimizer_parameters(optimizer) == ids(network.parameters())


def test_parameters_join_the_groups_of_their_like() -> None:
    network = _network()
    groups: list[dict[str, Any]] = [
        {"params": [(n, p) for n, p in network.named_parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [(n, p) for n, p in network.named_parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, 1e-2)
    for group in optimizer.param_groups:
        group["lr"] = 0.007  # as a later phase sets it
    apply(network, optimizer, [InsertBlock("stage.1", _block())], X.float())
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    for group, axes in zip(optimizer.param_groups, ((2, 4), (1,)), strict=True):
        assert all(parameter.dim() in axes for parameter in group["params"])
        assert [names[id(parameter)] for parameter in group["params"]] == group["param_names"]
        assert any(name.startswith("stage.1.") for name in group["param_names"])
    apply(network, optimizer, [RemoveBlock("stage.1")], X.float())
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    for group in optimizer.param_groups:
        assert [names[id(parameter)] for parameter in group["params"]] == group["param_names"]


@pytest.mark.parametrize("has_gates", [False, True])
def test_gates_of_a_block_are_never_decayed(has_gates: bool) -> None:
    network = _network()
    if has_gates:
        attach_gates(network, ["stem"])
    own = gate_parameters(network)
    groups: list[dict[str, Any]] = [
        {"params": [p for n, p in network.named_parameters() if n not in own], "decays": 1.0},
        {"params": [p for n, p in network.named_parameters() if n in own], "decays": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], 1e-2)
    for group in optimizer.param_groups:
        group["lr"], group["weight_decay"] = 0.005, 0.3 * group["decays"]
    block = nn.Sequential(_block())
    attach_gates(block, ["0.branch.norm1"], 0.5)
    apply(network, optimizer, [InsertBlock("stage.1", block)], X.float())
    assert len(optimizer.param_groups) == 2
    first, second = optimizer.param_groups
    gates = [network.get_parameter(name) for name in gate_parameters(network)]
    assert {id(gate) for gate in gates} == ids(second["params"])
    assert (second["lr"], second["weight_decay"], second["decays"]) == (0.005, 0.0, 0.0)
    assert ids(first["params"]) == ids(network.parameters()) - ids(gates)
    train(network, optimizer, X.float(), 2)


def test_a_block_that_cannot_be_copied_is_refused() -> None:
    block = _block()
    block.extra = block.branch[0].weight * 2
    for module, words in ((block, "cannot be copied"), (None, "None is no module")):
        with pytest.raises(SurgeryError, match=words):
            apply(_network(), None, [InsertBlock("stage.1", module)], X.float())  # type: ignore[arg-type]


def test_a_network_that_has_diverged_takes_no_block() -> None:
    network = _network()
    with torch.no_grad():
        network.head.bias.fill_(float("nan"))
    with pytest.raises(SurgeryError, match="output is not finite"):
        apply(network, None, [InsertBlock("stage.1", _block())], X.float())


def test_donors_come_from_the_methods_generator_alone() -> None:
    torch.manual_seed(7)
    generator = torch.Generator().manual_seed(3)
    before = torch.random.get_rng_state()
    first, second = donor(_block, generator), donor(_block, generator)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert differing(first.state_dict(), second.state_dict())
    torch.manual_seed(8)
    again = donor(_block, torch.Generator().manual_seed(3))
    assert differing(first.state_dict(), again.state_dict()) == []


def test_a_network_of_one_block_is_lost_with_it() -> None:
    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.block(x)

    network = Doubled()
    receipt = apply(
        network, torch.optim.SGD(network.parameters(), 0.1), [RemoveBlock("block")], torch.randn(2, 4)
    )
    assert receipt.emptied == ("block",)
    assert isinstance(network.block, nn.Linear)
