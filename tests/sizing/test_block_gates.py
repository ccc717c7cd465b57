"""Gates of residual blocks: exact while they are open, and a block that is dead goes whole and exactly."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.sizing.gates.blocks import attach_block_gates, block_gates, dead_blocks, places_for_block_gates
from harness.sizing.gates.rules import Debounced, debounce
from harness.sizing.gates.units import attach_gates, dead_units, fold_gates, gate_parameters, gates
from harness.sizing.ledger.measure import measure as ledger
from harness.surgery import Remove, RemoveBlock, SurgeryError, apply, trace
from tests.surgery.helpers import ids, images, measure, optimizer_parameters, parameters, train
from tests.surgery.networks import NETWORKS
from tests.surgery.trial import both_modes, change

_EXACT = 1e-10
#: A block of each family that lies behind other blocks.
_BLOCKS = {
    "resnet18": "layer2.1",
    "resnext": "layer2.1",
    "convnext": "features.3.0",
    "mobilenet_v2": "features.9",
}
_OPTIMIZERS: dict[str, Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": partial(torch.optim.SGD, lr=1e-3, momentum=0.9),
    "adam": partial(torch.optim.Adam, lr=1e-3),
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def _gated(name: str, initial: float | None = None) -> tuple[nn.Module, Tensor]:
    make, side = NETWORKS[name]
    network, x = make().double(), images(4, side)
    attach_block_gates(network, places_for_block_gates(network, x).ends, x, initial)
    return network, x


def _small() -> tuple[nn.Module, Tensor]:
    """One block is removable, three have a projection on their shortcut."""
    return NETWORKS["basic_resnet"][0]().double(), images(4, 32)


@torch.no_grad()
def _set(network: nn.Module, block: str, value: float) -> None:
    block_gates(network)[block].fill_(value)


def _apart(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> float:
    """Largest absolute difference in evaluation and in training mode."""
    return max(float((old - new).abs().max()) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", _OPTIMIZERS)
@pytest.mark.parametrize("name", _BLOCKS)
def test_a_dead_block_goes_whole_and_training_goes_on_as_if_it_were_held_shut(name: str, kind: str) -> None:
    network, x = _gated(name)
    block, optimizer = _BLOCKS[name], _OPTIMIZERS[kind](network.parameters())
    train(network, optimizer, x, 5)
    alive = measure(network, x)
    _set(network, block, 0.0)
    before, held, own = measure(network, x), *copy.deepcopy((network, optimizer))
    assert _apart(alive, before) > 1e-6
    assert dead_blocks(network) == (block,)
    gone = {key: id(parameter) for key, parameter in network.named_parameters() if key.startswith(block)}
    memory = {
        key: dict(optimizer.state[p]) for key, p in network.named_parameters() if not key.startswith(block)
    }

    receipt = apply(network, optimizer, [RemoveBlock(found) for found in dead_blocks(network)], x[:2])

    assert receipt.blocks == (block,)
    assert _apart(before, measure(network, x)) <= _EXACT
    assert gone.keys().isdisjoint(dict(network.named_parameters()))
    assert optimizer_parameters(optimizer) == ids(network.parameters())
    assert set(gone.values()).isdisjoint(ids(optimizer.state))
    now = {key: dict(optimizer.state[p]) for key, p in network.named_parameters()}
    assert now.keys() == memory.keys()
    for key, state in now.items():
        assert state.keys() == memory[key].keys()
        assert all(value is memory[key][entry] for entry, value in state.items()), key

    train(network, optimizer, x, 3)
    for _ in range(3):
        train(held, own, x, 1)
        _set(held, block, 0.0)
    kept = dict(held.named_parameters())
    assert _apart(measure(held, x), measure(network, x)) <= 1e-6
    assert max(float((p - kept[key]).detach().abs().max()) for key, p in network.named_parameters()) <= 1e-6


@pytest.mark.parametrize("name", _BLOCKS)
def test_a_gate_scales_the_branch_and_not_the_shortcut(name: str) -> None:
    """By hooks on the plain network, behind the layer that the branch ends in."""
    make, side = NETWORKS[name]
    plain, x = make().double(), images(4, side)
    gated = copy.deepcopy(plain)
    ends = places_for_block_gates(plain, x).ends
    attach_block_gates(gated, ends, x, {block: 0.1 * k - 0.1 for k, block in enumerate(ends)})
    for k, end in enumerate(ends.values()):
        factor = max(0.0, 0.1 * k - 0.1)
        plain.get_submodule(end).register_forward_hook(
            lambda module, given, made, factor=factor: made * factor
        )
    assert _apart(measure(plain, x), measure(gated, x)) < 1e-11
    for (key, wanted), found in zip(plain.named_buffers(), gated.buffers(), strict=True):
        assert torch.allclose(wanted, found, atol=1e-12), key


@pytest.mark.parametrize("name", _BLOCKS)
def test_folding_leaves_a_plain_network_that_computes_the_same(name: str) -> None:
    network, x = _gated(name)
    train(network, torch.optim.SGD(network.parameters(), 1e-3), x, 2)
    _set(network, _BLOCKS[name], -0.5)
    before, plain = measure(network, x), NETWORKS[name][0]().double()
    fold_gates(network)
    assert _apart(before, measure(network, x)) <= _EXACT
    assert [type(module) for module in network.modules()] == [type(module) for module in plain.modules()]
    assert not block_gates(network)
    assert all(vars(found).keys() == vars(wanted).keys() for found, wanted in _pairs(network, plain))
    assert all(
        found._parameters.keys() == wanted._parameters.keys() for found, wanted in _pairs(network, plain)
    )
    plain.load_state_dict(network.state_dict())
    assert torch.equal(plain.eval()(x), network.eval()(x))


def _pairs(one: nn.Module, other: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    return list(zip(one.modules(), other.modules(), strict=True))


def test_gates_are_single_numbers_above_zero_drawn_from_the_global_generator() -> None:
    make, side = NETWORKS["resnet18"]
    network, x = make(), images(1, side, torch.float32)
    found = places_for_block_gates(network, x)
    for again in (network, make()):
        torch.manual_seed(7)
        attach_block_gates(again, found.ends, x)
        drawn = [float(gate.detach()) for gate in block_gates(again).values()]
        torch.manual_seed(7)
        assert drawn == pytest.approx([1 - float(torch.rand(())) for _ in found.ends])
    assert list(block_gates(network)) == list(found.ends)
    assert all(gate.shape == () for gate in block_gates(network).values())
    plain = {key for key, _ in make().named_parameters()}
    new = {f"{end}.block_gate" for end in found.ends.values()}
    assert {key for key, _ in network.named_parameters()} == plain | new
    assert gate_parameters(network) == new


def test_a_layer_carries_gates_of_its_units_and_of_its_block() -> None:
    """In either order; units are then cut, and their gates, while the block's gate and its memory stay."""
    network, x = _small()
    attach_gates(network, ["layer1.0.bn1", "layer1.0.bn2"], 0.5)
    attach_block_gates(network, ["layer1.0"], x, 0.25)
    other = NETWORKS["basic_resnet"][0]().double()
    other.load_state_dict(network.state_dict(), strict=False)
    attach_block_gates(other, ["layer1.0"], x, 0.25)
    attach_gates(other, ["layer1.0.bn1", "layer1.0.bn2"], 0.5)
    attach_gates(other, ["bn1"], 1.0)
    assert _apart(measure(network, x), measure(other, x)) < 1e-12
    optimizer = torch.optim.Adam(other.parameters(), 1e-3)
    train(other, optimizer, x, 3)
    with torch.no_grad():
        gates(other)["layer1.0.bn1"][[0, 7]] = 0
        for place in ("bn1", "layer1.0.bn2"):
            gates(other)[place][[3, 5, 9]] = -1
    before, gate = measure(other, x), block_gates(other)["layer1.0"]
    memory, value = dict(optimizer.state[gate]), float(gate.detach())
    edits = [Remove(place, units, exact=True) for place, units in dead_units(other).items()]
    receipt = apply(other, optimizer, edits, x)
    assert receipt.removed["layer1.0.conv1"] == 2
    assert receipt.removed["layer1.0.conv2"] == receipt.removed["conv1"] == 3
    assert receipt.refused is None
    assert _apart(before, measure(other, x)) <= _EXACT
    assert block_gates(other)["layer1.0"] is gate
    assert float(gate.detach()) == value
    assert all(entry is memory[key] for key, entry in optimizer.state[gate].items())
    train(other, optimizer, x, 1)
    before = measure(other, x)
    fold_gates(other)
    assert _apart(before, measure(other, x)) <= _EXACT
    assert not gate_parameters(other)


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.Linear, (6, 3)), (partial(nn.Conv2d, kernel_size=1), (6, 3, 4, 4))]
)
@pytest.mark.parametrize("unit_gates", [False, True])
def test_constants_are_folded_into_a_layer_whose_block_is_gated(
    layer: Any, shape: tuple[int, ...], unit_gates: bool
) -> None:
    """The bias is scaled together with the weight, so the gates must not scale the constant twice."""
    block = _Adds(nn.Sequential(layer(3, 8), nn.Sigmoid(), layer(8, 3)))
    network, x = nn.Sequential(layer(3, 3), block, layer(3, 2)).double(), torch.randn(shape).double()
    attach_block_gates(network, ["1"], x, 0.3)
    attach_gates(network, ["1.branch.0", "1.branch.2"] if unit_gates else ["1.branch.0"], 0.7)
    with torch.no_grad():
        gates(network)["1.branch.0"][[1, 5]] = 0
    before = network(x)
    receipt = apply(network, None, [Remove("1.branch.0", (1, 5), exact=True)], x)
    assert receipt.removed == {"1.branch.0": 2}
    assert receipt.folded == ("1.branch.2",)
    assert (network(x) - before).abs().max() < _EXACT


class _Adds(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.branch(x)
        return made


class _OwnNorm(nn.Module):
    """A normalisation of somebody's own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x / x.square().mean(-1, keepdim=True).sqrt() * self.weight
        return made


class _Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        made: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return made


class _Squeezed(nn.Module):
    """Squeeze and excitation: channels are weighed by numbers that are made of all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.make, self.norm = nn.Conv1d(4, 4, 3, padding=1), nn.BatchNorm1d(4)
        self.squeeze, self.excite = nn.Conv1d(4, 3, 1), nn.Conv1d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        made = self.norm(self.make(x))
        weights: Tensor = self.excite(self.squeeze(made.mean(2, keepdim=True)).relu()).sigmoid()
        scaled: Tensor = made * weights
        return scaled


@pytest.mark.parametrize(
    ("branch", "shape", "end"),
    [
        (lambda: nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)), (5, 8), "1"),
        (lambda: nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8, bias=False), nn.Dropout(0.0)), (5, 8), "1"),
        (lambda: nn.Sequential(nn.Conv2d(4, 4, 1), nn.GroupNorm(2, 4)), (5, 4, 3, 3), "1"),
        (lambda: nn.Sequential(nn.Linear(8, 8), _OwnNorm(8)), (5, 8), "1"),
        (_Attends, (3, 4, 8), "attention.out_proj"),
        (_Squeezed, (3, 4, 8), "norm"),
    ],
)
@pytest.mark.parametrize("value", [0.4, -1.5])
def test_branches_that_end_in_any_way_that_a_factor_can_be_folded_into(
    branch: Callable[[], nn.Module], shape: tuple[int, ...], end: str, value: float
) -> None:
    network, x = nn.Sequential(_Adds(branch()), _Adds(branch())).double(), torch.randn(shape).double()
    plain = copy.deepcopy(network)
    plain.get_submodule("0.branch").register_forward_hook(lambda module, given, made: made * value)
    found = places_for_block_gates(network, x)
    assert found.ends == {"0": f"0.branch.{end}", "1": f"1.branch.{end}"}
    attach_block_gates(network, found.ends, x, {"0": value, "1": 1.0}, Debounced())
    assert sum("gate" in name for name, _ in network.named_parameters()) == 2
    assert max(change(both_modes(plain, x), both_modes(network, x))) < _EXACT
    (network.train()(x) * torch.randn(shape).double()).sum().backward()
    for gate in block_gates(network).values():
        assert gate.grad is not None
        assert gate.grad != 0
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    train(network, optimizer, x, 2)
    before, folded = both_modes(network, x), copy.deepcopy(network)
    fold_gates(folded)
    assert [type(module) for module in folded.modules()] == [type(module) for module in plain.modules()]
    assert max(change(before, both_modes(folded, x))) < _EXACT
    _set(network, "0", 0.0)
    before = both_modes(network, x)
    assert apply(network, optimizer, [RemoveBlock("0")], x).blocks == ("0",)
    assert max(change(before, both_modes(network, x))) < _EXACT
    fold_gates(network)
    assert max(change(before, both_modes(network, x))) < _EXACT


def test_a_layer_that_undoes_the_gate_of_its_block_takes_no_gates_of_units() -> None:
    network, x = nn.Sequential(_Adds(_Squeezed()), nn.Conv1d(4, 2, 1)).double(), torch.randn(3, 4, 8).double()
    attach_block_gates(network, ["0"], x, 0.5)
    with pytest.raises(ValueError, match=r"^The layer '0\.branch\.squeeze' is a .* that undoes the gate"):
        attach_gates(network, ["0.branch.squeeze"])
    attach_gates(network, ["0.branch.norm"], 0.5)
    assert list(block_gates(network)) == ["0"]


def test_a_gated_network_has_the_structure_of_the_plain_one() -> None:
    network, x = _small()
    plain = trace(network, x[:2])
    attach_block_gates(network, ["layer1.0"], x)
    gated = trace(network, x[:2])
    assert (gated.units, gated.norms, gated.readers) == (plain.units, plain.norms, plain.readers)
    assert [group.removable for group in gated.groups] == [group.removable for group in plain.groups]
    assert gated.parameters == plain.parameters + 1


def test_of_dead_blocks_within_each_other_the_outermost_is_named() -> None:
    inner = _Adds(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)))
    outer = _Adds(nn.Sequential(nn.Linear(4, 4), inner, nn.Linear(4, 4)))
    network, x = nn.Sequential(nn.Linear(4, 4), outer, nn.Linear(4, 2)).double(), torch.randn(5, 4).double()
    attach_block_gates(network, ["1", "1.branch.1"], x, 0.0)
    assert dead_blocks(network) == ("1",)
    before = network(x)
    assert apply(network, None, [RemoveBlock(b) for b in dead_blocks(network)], x).blocks == ("1",)
    assert (network(x) - before).abs().max() < _EXACT
    assert dead_blocks(network) == ()
    assert parameters(network) == 4 * 4 + 4 + 4 * 2 + 2


def test_gates_that_diverged_are_not_taken_for_dead_ones() -> None:
    network, x = _small()
    attach_block_gates(network, ["layer1.0"], x, float("nan"))
    assert dead_blocks(network) == ()


def test_a_debounced_gate_of_a_block_dies_once_it_has_crossed_zero_for_good() -> None:
    network, x = _small()
    attach_block_gates(network, ["layer1.0"], x, 0.5, Debounced())
    tensors = dict(network.named_parameters()) | dict(network.named_buffers())
    for value, dead in ((0.5, ()), (-0.1, ("layer1.0",))):
        _set(network, "layer1.0", value)
        with torch.no_grad():
            for name, changed in debounce(tensors, decay=0.0).items():
                tensors[name].copy_(changed)
        assert dead_blocks(network) == dead
    fold_gates(network)
    assert network.state_dict().keys() == NETWORKS["basic_resnet"][0]().state_dict().keys()


def test_a_shut_gate_makes_zeros_of_the_layer_that_it_scales() -> None:
    network, x = _small()
    plain = ledger(network, [], 0)
    attach_block_gates(network, ["layer1.0"], x, 0.5)
    assert ledger(network, [], 0) == plain
    _set(network, "layer1.0", 0.0)
    # The factors of layer1.0.bn2; its shifts are zero to begin with.
    assert ledger(network, [], 0).nonzeros == plain.nonzeros - 64


@pytest.mark.parametrize(
    ("blocks", "initial", "words"),
    [
        (["layer1.7"], None, "The network has no block 'layer1.7'."),
        (
            ["layer1"],
            None,
            "The module 'layer1' adds nothing to its input itself; residual blocks: layer1.0.",
        ),
        (["fc"], None, "The module 'fc' adds nothing to its input itself"),
        (
            ["layer2.0"],
            None,
            "The block 'layer2.0' turns (4, 64, 8, 8) into (4, 128, 4, 4): its shortcut is a",
        ),
        (["layer1.0", "layer1.0"], None, "The block 'layer1.0' has a gate already."),
        (["layer1.0"], {"layer2.0": 1.0}, "The gate of the block 'layer1.0' needs a starting value."),
    ],
)
def test_what_cannot_have_a_gate_is_one_sentence_and_nothing_is_changed(
    blocks: list[str], initial: dict[str, float] | None, words: str
) -> None:
    network, x = _small()
    before, modules = dict(network.named_parameters()), list(network.modules())
    for named in (blocks, ["layer1.0", *blocks]):
        with pytest.raises(ValueError, match=r"^The ") as error:
            attach_block_gates(network, named, x, initial)
        assert words in str(error.value) or len(named) > len(blocks)
        assert "\n" not in str(error.value)
        assert list(network.modules()) == modules
        assert all(before[key] is parameter for key, parameter in network.named_parameters())


def test_a_block_is_gated_once() -> None:
    network, x = _small()
    attach_block_gates(network, ["layer1.0"], x, 0.5)
    modules = list(network.modules())
    with pytest.raises(ValueError, match=r"^The block 'layer1\.0' has a gate already\.$"):
        attach_block_gates(network, ["layer1.0"], x, 1.0)
    assert list(network.modules()) == modules
    assert float(block_gates(network)["layer1.0"].detach()) == 0.5


def test_a_network_that_does_not_run_on_the_example() -> None:
    network, _ = _small()
    with pytest.raises(SurgeryError, match="does not run on an example of shape"):
        attach_block_gates(network, ["layer1.0"], images(2, 32, channels=1))
