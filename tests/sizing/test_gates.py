"""Gates: a factor on each unit, exactly; gone without a trace when folded."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from harness.sizing.gates.rules import Debounced, debounce
from harness.sizing.gates.units import attach_gates, dead_units, fold_gates, gates, places_for_gates
from harness.sizing.ledger.measure import measure
from harness.surgery import Remove, Widen, apply, trace

_EXACT = 1e-12


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def _lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 16, 20),
        nn.ReLU(),
        nn.Linear(20, 5),
    ).double()


def _images(count: int = 4) -> Tensor:
    return torch.randn(count, 1, 28, 28, dtype=torch.float64)


_SIZED = ("0", "3", "7")


def _times(factor: Tensor) -> Callable[[nn.Module, object, Tensor], Tensor]:
    """A forward hook that multiplies what a module gives: a gate of the plainest kind."""
    return lambda module, given, made: made * factor


@pytest.mark.parametrize("count", [3, 200])
def test_a_gate_multiplies_what_its_unit_sends(count: int) -> None:
    """By hooks on the plain network: also where the output and where the weight is the cheaper side."""
    plain, x = _lenet(), _images(count)
    gated = copy.deepcopy(plain)
    start = {layer: torch.randn(len(plain.get_parameter(f"{layer}.weight"))).double() for layer in _SIZED}
    attach_gates(gated, _SIZED, start)
    for layer, values in start.items():
        shape = [1, -1, 1, 1] if layer != "7" else [1, -1]
        plain.get_submodule(layer).register_forward_hook(_times(values.clamp(min=0).view(shape)))
    assert (gated(x) - plain(x)).abs().max() < _EXACT


@pytest.mark.parametrize("inputs", [200, 600])
def test_large_layers_get_the_gradients_of_the_products(inputs: int) -> None:
    """Where the output is scaled by a normalisation (600), and where the weight is scaled (200)."""
    plain, x = nn.Linear(inputs, 300).double(), torch.randn(400, inputs).double()
    network = nn.Sequential(copy.deepcopy(plain))
    attach_gates(network, ["0"], {"0": torch.randn(300)})
    gate = gates(network)["0"]
    factor = gate.detach().clone().requires_grad_()
    weights = torch.randn(400, 300).double()
    made, expected = network(x), plain(x) * factor.relu()
    assert (made - expected).abs().max() < _EXACT
    (made * weights).sum().backward()
    (expected * weights).sum().backward()
    assert gate.grad is not None
    assert factor.grad is not None
    assert (gate.grad - factor.grad).abs().max() < 1e-9
    ours, theirs = network.get_parameter("0.weight").grad, plain.weight.grad
    assert ours is not None
    assert theirs is not None
    assert (ours - theirs).abs().max() < 1e-9


def test_gates_get_the_gradient_of_the_products() -> None:
    gated, x = _lenet(), _images(2)
    attach_gates(gated, _SIZED, {"0": torch.ones(6), "3": torch.tensor([-1.0, 0.5] * 4), "7": torch.ones(20)})
    gate = gates(gated)["3"]
    gated(x).square().sum().backward()
    assert gate.grad is not None
    # Below zero neither the data nor a penalty on max(0, gate) pulls.
    assert not gate.grad[::2].any()
    for unit in (1, 3):
        step = torch.zeros(8).double()
        step[unit] = 1e-6
        with torch.no_grad():
            gate.add_(step)
            up = gated(x).square().sum()
            gate.sub_(2 * step)
            down = gated(x).square().sum()
            gate.add_(step)
        assert float((up - down) / 2e-6) == pytest.approx(float(gate.grad[unit]), rel=1e-5)


def test_paths_stay_and_gates_are_new_parameters() -> None:
    plain, gated = _lenet(), _lenet()
    attach_gates(gated, _SIZED)
    new = {name for name, _ in gated.named_parameters()} - {name for name, _ in plain.named_parameters()}
    assert new == {"0.gate", "3.gate", "7.gate"}
    assert list(gates(gated)) == list(_SIZED)
    assert {layer: len(gate) for layer, gate in gates(gated).items()} == {"0": 6, "3": 8, "7": 20}


def test_gates_start_above_zero_drawn_from_the_global_generator() -> None:
    network = nn.Sequential(nn.Linear(3, 20_000))
    torch.manual_seed(7)
    attach_gates(network, ["0"])
    gate = gates(network)["0"].detach()
    assert 0 < gate.min() < 1e-3
    assert 0.999 < gate.max() <= 1
    assert float(gate.mean()) == pytest.approx(0.5, abs=0.01)
    again = nn.Sequential(nn.Linear(3, 20_000))
    torch.manual_seed(7)
    attach_gates(again, ["0"])
    assert torch.equal(gates(again)["0"], gate)


def test_folding_leaves_a_plain_network_that_computes_the_same() -> None:
    network, x = _lenet(), _images()
    attach_gates(network, _SIZED, {"0": torch.randn(6), "3": torch.randn(8), "7": torch.randn(20)})
    before = network(x)
    fold_gates(network)
    assert (network(x) - before).abs().max() < _EXACT
    assert [type(module) for module in network.modules()] == [type(module) for module in _lenet().modules()]
    assert network.state_dict().keys() == _lenet().state_dict().keys()
    assert not gates(network)
    assert not any("gate" in name for module in network.modules() for name in vars(module))
    fresh = _lenet()
    fresh.load_state_dict(network.state_dict())
    assert torch.equal(fresh(x), network(x))


def test_dead_units_are_removed_with_their_gates_and_leave_the_output_as_it_was() -> None:
    network, x = _lenet(), _images()
    attach_gates(network, _SIZED)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        network(x).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        for gate in gates(network).values():
            gate[::3] = -0.1
    before, dead = network(x), dead_units(network)
    memory = {layer: optimizer.state[gate]["exp_avg"].clone() for layer, gate in gates(network).items()}
    receipt = apply(
        network, optimizer, [Remove(layer, units, exact=True) for layer, units in dead.items()], x
    )
    assert receipt.removed == {"0": 2, "3": 3, "7": 7}
    assert receipt.refused is None
    assert not receipt.folded
    assert (network(x) - before).abs().max() < 1e-10
    for layer, gate in gates(network).items():
        kept = [unit for unit in range(len(memory[layer])) if unit % 3]
        assert len(gate) == len(kept)
        assert torch.equal(optimizer.state[gate]["exp_avg"], memory[layer][kept])
    assert all(not units for units in dead_units(network).values())
    network(x).square().mean().backward()
    optimizer.step()


def test_a_gate_in_front_of_what_answers_to_zero_has_its_constant_folded() -> None:
    """Into a gated layer too, whose gate must not scale the constant twice."""
    network = nn.Sequential(
        nn.Linear(6, 8), nn.Sigmoid(), nn.Linear(8, 7), nn.Sigmoid(), nn.Linear(7, 2, bias=False)
    ).double()
    x = torch.randn(5, 6).double()
    attach_gates(network, ["0", "2"])
    with torch.no_grad():
        gates(network)["0"][[1, 5]] = -1
        gates(network)["2"][[0, 3]] = -1
    before = network(x)
    edits = [Remove(layer, units, exact=True) for layer, units in dead_units(network).items()]
    receipt = apply(network, None, edits, x)
    assert receipt.folded == ("2", "4")
    assert (network(x) - before).abs().max() < 1e-10


def test_a_constant_into_a_gated_layer_before_normalisation_is_scaled_by_its_gates() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.Sigmoid(),
        nn.Conv2d(8, 7, 3, bias=False),
        nn.BatchNorm2d(7),
        nn.Conv2d(7, 2, 1),
    ).double()
    x = torch.randn(4, 3, 8, 8).double()
    network(x)
    attach_gates(network.eval(), ["0", "2"], {"0": torch.ones(8), "2": torch.rand(7)})
    with torch.no_grad():
        gates(network)["0"][[1, 5]] = -1
    before = network(x)
    receipt = apply(network, None, [Remove("0", (1, 5), exact=True)], x)
    assert receipt.folded == ("2",)
    assert (network(x) - before).abs().max() < 1e-10


def test_gates_behind_normalisation_scale_its_factor_and_shift() -> None:
    network, x = models.resnet18(num_classes=5).double(), torch.randn(4, 3, 32, 32).double()
    structure = trace(network, x[:2])
    layers = ["conv1", "layer1.0.conv1", "layer2.0.conv1", "layer2.0.conv2", "layer2.0.downsample.0"]
    places = places_for_gates(layers, structure.norms)
    assert places == ("bn1", "layer1.0.bn1", "layer2.0.bn1", "layer2.0.bn2", "layer2.0.downsample.1")
    plain = copy.deepcopy(network)
    attach_gates(network, places)
    for place, gate in gates(network).items():
        plain.get_submodule(place).register_forward_hook(_times(gate.detach().view(1, -1, 1, 1)))
    for training in (True, False):
        assert (network.train(training)(x) - plain.train(training)(x)).abs().max() < _EXACT
    assert set(gates(network)) == set(places)
    for name, buffer in plain.named_buffers():
        assert torch.allclose(buffer, network.get_buffer(name), atol=_EXACT)


def test_a_channel_of_a_sum_goes_when_all_that_add_to_it_are_dead() -> None:
    network, x = models.resnet18(num_classes=5).double().train(), torch.randn(4, 3, 32, 32).double()
    structure = trace(network, x)
    places = places_for_gates([layer for layer in structure.units if layer != "fc"], structure.norms)
    attach_gates(network, places, 1.0)
    with torch.no_grad():
        for place, dead in {
            "bn1": [0, 1],
            "layer1.0.bn2": [1, 2],
            "layer1.1.bn2": [1],
            "layer3.0.bn1": [4],
        }.items():
            gates(network)[place][dead] = 0
    network.eval()
    before = network(x)
    proposed = [Remove(place, units, exact=True) for place, units in dead_units(network).items() if units]
    receipt = apply(network, None, proposed, x)
    assert receipt.removed["conv1"] == receipt.removed["layer1.1.conv2"] == 1
    assert receipt.removed["layer3.0.conv1"] == 1
    assert receipt.refused == {"bn1": "still varies", "layer1.0.bn2": "still varies"}
    assert (network(x) - before).abs().max() < 1e-10
    fold_gates(network)
    assert (network(x) - before).abs().max() < 1e-10


def test_new_units_start_with_an_open_gate() -> None:
    network, x = _lenet(), _images()
    attach_gates(network, _SIZED, 0.3, Debounced())
    before = network(x)
    apply(network, None, [Widen("3", torch.randn(2, 6, 5, 5).double(), torch.zeros(2).double(), {})], x)
    assert gates(network)["3"].tolist() == pytest.approx([0.3] * 8 + [1.0] * 2)
    assert network.get_buffer("3.gate_alive").tolist() == [1.0] * 10
    assert (network(x) - before).abs().max() < 1e-10


@pytest.mark.parametrize(("decay", "steps"), [(0.0, 1), (0.9, 2), (0.99, 16), (0.999, 159)])
def test_a_debounced_gate_dies_after_so_many_steps_on_the_other_side(decay: float, steps: int) -> None:
    network = nn.Sequential(nn.Linear(2, 3))
    attach_gates(network, ["0"], {"0": torch.tensor([0.5, -0.5, 0.5])}, Debounced())
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    values = {name: tensor.detach() for name, tensor in tensors.items()}
    values["0.gate"] = torch.tensor([-0.1, 0.2, 0.5])
    died = None
    for step in range(1, 200):
        values |= debounce(values, decay)
        if died is None and values["0.gate"][0] == 0:
            died = step
            assert values["0.gate"][1] == 0
    assert died == steps
    assert values["0.gate"][2] == 0.5


def test_a_gate_that_only_touches_the_other_side_lives_and_a_dead_one_stays_dead() -> None:
    values = {
        "0.gate": torch.tensor([0.5, 0.5]),
        "0.gate_sign_mean": torch.ones(2),
        "0.gate_sign_spread": torch.zeros(2),
        "0.gate_alive": torch.tensor([1.0, 0.0]),
    }
    for step in range(400):
        values["0.gate"] = torch.tensor([-0.5 if step % 100 < 5 else 0.5, 0.5])
        values |= debounce(values, 0.99)
        assert values["0.gate"][0] != 0
        assert values["0.gate"][1] == 0


def test_debounced_gates_may_be_negative_and_their_memory_is_cut() -> None:
    network, x = _lenet(), _images()
    start = {layer: torch.randn(len(network.get_parameter(f"{layer}.weight"))) for layer in _SIZED}
    attach_gates(network, _SIZED, start, Debounced())
    with torch.no_grad():
        gates(network)["3"][[0, 4]] = 0
    assert dead_units(network) == {"0": (), "3": (0, 4), "7": ()}
    before = network(x)
    apply(network, None, [Remove("3", (0, 4), exact=True)], x)
    assert (network(x) - before).abs().max() < 1e-10
    assert network.get_buffer("3.gate_sign_mean").tolist() == start["3"][[1, 2, 3, 5, 6, 7]].sign().tolist()
    fold_gates(network)
    assert (network(x) - before).abs().max() < 1e-10
    assert network.state_dict().keys() == _lenet().state_dict().keys()


def test_diverged_gates_are_not_taken_for_dead_ones() -> None:
    network = _lenet()
    attach_gates(network, ["7"], float("nan"))
    assert dead_units(network) == {"7": ()}


@pytest.mark.parametrize(
    ("layers", "initial", "words"),
    [
        (["1"], None, "is a ReLU; gates go on BatchNorm1d, BatchNorm2d"),
        (["8.x"], None, "no layer '8.x'"),
        (["0", "0"], None, "is a GatedConv2d; gates go on"),
        (["0"], {"0": torch.ones(5)}, "need 6 starting values"),
    ],
)
def test_gates_on_what_cannot_have_them(layers: list[str], initial: object, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        attach_gates(_lenet(), layers, initial)  # type: ignore[arg-type]


def test_a_gate_on_a_normalisation_without_a_factor_is_folded_by_giving_it_one() -> None:
    network = nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6, affine=False), nn.ReLU(), nn.Linear(6, 2)
    ).double()
    attach_gates(network, ["1"], {"1": torch.tensor([1.0, 0, 0.5, 1, 1, 1])})
    x = torch.randn(5, 4).double()
    before = network.eval()(x)
    assert apply(network, None, [Remove("1", (1,), exact=True)], x).removed == {"0": 1}
    assert (network(x) - before).abs().max() < 1e-10
    counted = measure(network, ["0"], 0).parameters
    fold_gates(network)
    assert (network(x) - before).abs().max() < 1e-10
    assert counted == sum(parameter.numel() for parameter in network.parameters())


def test_gates_go_on_complex_layers_and_beside_sparse_buffers() -> None:
    network, x = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2)).to(torch.complex128), torch.randn(5, 4)
    network.register_buffer("neighbours", torch.eye(3).to_sparse())
    places = places_for_gates(["0"], {}, network)
    assert places == ("0",)
    attach_gates(network, places, example=x.to(torch.complex128))
    assert gates(network)["0"].dtype == torch.float64
    before = network(x.to(torch.complex128))
    fold_gates(network)
    assert (network(x.to(torch.complex128)) - before).abs().max() < _EXACT


def test_rounding_to_the_type_of_the_weights_is_no_change() -> None:
    class _Halved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.outer = nn.Linear(4, 6).half(), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = self.outer(self.inner(x.half()).relu().float())
            return made

    network = _Halved()
    attach_gates(network, ["inner"], example=torch.randn(5, 4))
    assert gates(network)["inner"].dtype == torch.float16


def test_a_network_that_keeps_what_it_made_is_refused_where_it_would_have_to_be_copied() -> None:
    class _Keeping(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = self[1](self[0](x))
            self.last = made
            return made

    network, x = _Keeping(nn.Linear(4, 6), nn.Linear(6, 2)), torch.randn(5, 4)
    network(x)
    with pytest.raises(ValueError, match="cannot be copied"):
        attach_gates(network, ["0"], example=x)
    assert not gates(network)
