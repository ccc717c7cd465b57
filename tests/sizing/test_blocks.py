"""Choosing among residual blocks: what each is worth, what a new one does, which stand at the end."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import registry
from harness.architectures.resnet import ResNet
from harness.search.space import Int
from harness.sizing.base import Cell, Moment, Situation
from harness.sizing.blocks import (
    check_has_blocks,
    new_block,
    number_to_go,
    places_behind,
    removable_at_start,
    removable_blocks,
    structure_text,
)
from harness.sizing.criteria.efficiency import costs_of, efficiencies, losses_of_bypass, sizes_of_branches
from harness.sizing.probe import Probe
from harness.surgery import InsertBlock, RemoveBlock, apply

_SHAPE = (1, 8, 8)


@pytest.fixture
def network() -> nn.Module:
    """ResNet-14 of 4 units a layer, with running means that are not those of a fresh one."""
    torch.manual_seed(0)
    architecture = ResNet(depth=14)
    made = architecture.build(_SHAPE, 3, dict.fromkeys(architecture.sized_layers, 4))
    for _ in range(3):
        made.train()(torch.randn(16, *_SHAPE))
    return made.eval()


def a_cell(architecture: Any = None) -> Cell:
    made = architecture or ResNet(depth=14)
    layers = made.sized_layers
    return Cell(made, _SHAPE, 3, dict.fromkeys(layers, Int(1, 4)), dict.fromkeys(layers, 4))


def a_probe(x: Tensor, y: Tensor) -> Probe:
    part: Any = type("Part", (), {"x": x, "y": y, "__len__": lambda self: len(x)})()
    return Probe(part, 7, registry.make_objective("classification", {}))


REMOVABLE = ("stage1.0", "stage1.1", "stage2.1", "stage3.1")


def test_blocks_that_can_be_left_out(network: nn.Module) -> None:
    state = torch.get_rng_state()
    assert removable_blocks(network, torch.randn(8, *_SHAPE)) == REMOVABLE
    torch.set_rng_state(state)
    assert removable_at_start(a_cell()) == REMOVABLE
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="works on residual blocks"):
        check_has_blocks(a_cell(registry.make_architecture("mlp", {"hidden_layers": 2})))


def test_the_loss_of_a_bypass_is_that_of_the_network_without_the_block(network: nn.Module) -> None:
    x, y = torch.randn(20, *_SHAPE), torch.randint(3, (20,))
    found = losses_of_bypass(network, REMOVABLE, a_probe(x, y), x, y)
    whole = nn.functional.cross_entropy(network(x), y)
    for block, loss in found.items():
        parent, _, child = block.rpartition(".")
        stage = network.get_submodule(parent)
        kept = stage._modules[child]
        stage._modules[child] = nn.Identity()
        wanted = nn.functional.cross_entropy(network(x), y) - whole
        stage._modules[child] = kept
        assert loss == pytest.approx(wanted.item(), abs=1e-6)
    assert losses_of_bypass(network, REMOVABLE, a_probe(x, y), x, y) == found, "the network is as it was"


def test_a_block_that_gives_nothing_is_worth_nothing(network: nn.Module) -> None:
    x, y = torch.randn(20, *_SHAPE), torch.randint(3, (20,))
    nn.init.zeros_(network.get_parameter("stage2.1.norm2.weight"))
    nn.init.zeros_(network.get_parameter("stage2.1.norm2.bias"))
    assert losses_of_bypass(network, REMOVABLE, a_probe(x, y), x, y)["stage2.1"] == 0
    assert sizes_of_branches(network, REMOVABLE, x)["stage2.1"] == 0


def test_the_size_of_a_branch_is_relative_to_what_it_is_added_to(network: nn.Module) -> None:
    x = torch.randn(20, *_SHAPE)
    noted: dict[str, torch.Tensor] = {}
    block = network.get_submodule("stage1.1")
    block.register_forward_hook(lambda module, given, made: noted.update(x=given[0]))
    network.get_submodule("stage1.1.norm2").register_forward_hook(lambda m, g, made: noted.update(f=made))
    network(x)
    wanted = (noted["f"].norm() / noted["x"].norm()).item()
    assert sizes_of_branches(network, ["stage1.1"], x)["stage1.1"] == pytest.approx(wanted, 1e-5)


def test_costs_are_what_the_network_has_less_of_without_the_block(network: nn.Module) -> None:
    x = torch.randn(1, *_SHAPE)
    assert costs_of(network, ["stage2.1"], "parameter", x) == {"stage2.1": 2 * 4 * 4 * 9 + 4 * 4}
    assert costs_of(network, ["stage2.1", "stage3.1"], "mac", x) == {
        "stage2.1": 2 * 4 * 4 * 9 * 16,
        "stage3.1": 2 * 4 * 4 * 9 * 4,
    }
    assert costs_of(network, ["stage2.1"], "block", x) == {"stage2.1": 1}


def test_efficiency_is_worth_over_cost(network: nn.Module) -> None:
    x, y = torch.randn(20, *_SHAPE), torch.randint(3, (20,))
    moment = Moment(1, 1, 1, epoch_ended=True, phase_ended=True)
    now = Situation(moment, network, {}, {}, a_cell(), a_probe(x, y), torch.Generator().manual_seed(0))
    found = efficiencies(now, REMOVABLE, "bypass", "parameter", 20)
    losses, costs = losses_of_bypass(network, REMOVABLE, now.probe, x, y), 2 * 4 * 4 * 9 + 4 * 4
    assert found == pytest.approx({block: loss / costs for block, loss in losses.items()}, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("place", ["stage1.1", "stage2.0", "stage3.1"])
def test_a_new_block_changes_nothing_and_every_step_can_change_it(network: nn.Module, place: str) -> None:
    x = torch.randn(8, *_SHAPE)
    flow = places_behind(network, x)[place]
    block = new_block(flow, 3, torch.Generator().manual_seed(0))
    before, optimizer = network(x), torch.optim.SGD(network.parameters(), 0.1)
    receipt = apply(network, optimizer, [InsertBlock(place, block)], x)
    assert (network.eval()(x) - before).abs().max() <= 1e-6 * before.abs().max()
    [path] = receipt.inserted
    factor = network.get_parameter(f"{path}.branch.4.weight")
    nn.functional.cross_entropy(network.train()(x), torch.randint(3, (8,))).backward()
    assert factor.grad is not None
    assert factor.grad.abs().min() > 0, "its last factor learns first"
    optimizer.step()
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(x), torch.randint(3, (8,))).backward()
    for name, own in network.get_submodule(path).named_parameters():
        assert own.grad is not None
        assert own.grad.any(), f"and then {name}"


def test_a_new_block_of_vectors_that_may_be_negative() -> None:
    class Adds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 5)

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = x + self.layer(x)
            return made

    plain, x = nn.Sequential(Adds(), nn.Linear(5, 2)), torch.randn(8, 5)
    [(place, flow)] = places_behind(plain, x).items()
    before = plain.eval()(x)
    apply(plain, None, [InsertBlock(place, new_block(flow, None, torch.Generator()))], x)
    assert torch.equal(plain.eval()(x), before)


def test_which_blocks_survive_is_read_out(network: nn.Module) -> None:
    x = torch.randn(8, *_SHAPE)
    flow = places_behind(network, x)["stage2.0"]
    block = new_block(flow, None, torch.Generator())
    apply(network, None, [RemoveBlock("stage1.0"), InsertBlock("stage2.0", block)], x)
    text = structure_text(network, gone=("stage3.1",), emptied=("stage1.0",))
    assert text == "stage1: - 1; stage2: 0 0_1+ 1; stage3: 0 -"
    assert "stage1.0" in places_behind(network, x, ("stage1.0",)), "where one went another may come"


def test_a_quantile_of_so_many() -> None:
    assert [number_to_go(q, 5) for q in (0, 0.1, 0.3, 0.5, 1)] == [0, 1, 2, 3, 5]
    assert number_to_go(0.09, 5) == 0


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("layer-pruning", {"rounds": 0}, "rounds must be at least 1"),
        ("layer-pruning", {"worth": "luck"}, "option worth"),
        ("layer-growing", {"add": 0}, "add must be at least 1"),
        ("layer-growing", {"gain": -1.0}, "gain must be a number from 0 up"),
        ("shrinknets-depth", {"units": False, "blocks": False}, "cannot both be left without gates"),
        ("stochastic-depth", {"survival": 0.0}, "survival must be above 0"),
    ],
)
def test_options_that_are_none(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        registry.make_method(name, options)
