"""A gate on a recurrent unit is in front of what it writes, in all layers, directions and steps."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from harness.sizing.gates.blocks import attach_block_gates
from harness.sizing.gates.rules import Debounced
from harness.sizing.gates.units import attach_gates, dead_units, fold_gates, gates
from harness.surgery import Remove, Structure, apply, trace
from tests.surgery.helpers import change, measure, train
from tests.surgery.recurrences import NAMES, Reader, build, sequences

_EXACT = 1e-10
_FORMS = [*NAMES, "lstm-projected"]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def _built(form: str) -> tuple[nn.Module, Structure]:
    network = build(form)
    if form == "lstm-projected":
        network = Reader(nn.LSTM, proj_size=6, num_layers=2, bidirectional=True)
    network = network.double()
    train(network, torch.optim.SGD(network.parameters(), 1e-2), sequences(), 1)
    return network, trace(network, sequences())


def _free(structure: Structure) -> list[str]:
    return [layer for group in structure.groups if group.removable for layer in group.layers]


@pytest.mark.parametrize("form", _FORMS)
def test_gates_train_die_and_fold_in_recurrent_layers_of_every_form(form: str) -> None:
    network, structure = _built(form)
    x, layers = sequences(), _free(structure)
    plain = measure(network, x)
    attach_gates(network, layers, 1.0)
    assert change(plain, measure(network, x)) == pytest.approx((0, 0), abs=_EXACT)
    assert {layer: len(gate) for layer, gate in gates(network).items()} == {
        layer: structure.units[layer] for layer in layers
    }
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    train(network, optimizer, x, 2)
    assert all(gate.grad is not None and gate.grad.all() for gate in gates(network).values())
    with torch.no_grad():
        for gate in gates(network).values():
            gate[::3] = -0.1
    before = measure(network, x)
    folded = copy.deepcopy(network)
    fold_gates(folded)
    assert [type(own) for own in folded.modules()] == [type(own) for own in _built(form)[0].modules()]
    assert max(change(before, measure(folded, x))) <= _EXACT
    dead = dead_units(network)
    receipt = apply(network, optimizer, [Remove(layer, dead[layer], exact=True) for layer in layers], x)
    assert not receipt.refused
    assert receipt.removed == {layer: len(units) for layer, units in dead.items()}
    assert max(change(before, measure(network, x))) <= _EXACT
    train(network, optimizer, x, 1)
    before = measure(network, x)
    fold_gates(network)
    assert max(change(before, measure(network, x))) <= _EXACT


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_gate_multiplies_what_a_unit_writes_and_shuts_it_for_good(kind: type[Any]) -> None:
    layer, x = kind(3, 4, num_layers=2).double(), torch.randn(5, 2, 3).double()
    network = nn.ModuleDict({"layer": layer})
    wanted = copy.deepcopy(layer)
    gate = torch.tensor([0.5, 0.0, -2.0, 1.0]).double()
    rows = slice(None) if kind is nn.RNN else slice(8, 12)
    with torch.no_grad():
        for parameter in wanted.parameters():
            parameter[rows] = torch.einsum(
                "u...,u->u...", parameter[rows], gate.repeat(len(parameter[rows]) // 4)
            )
    attach_gates(network, ["layer"], {"layer": gate}, Debounced())
    found, expected = layer(x), wanted(x)
    assert torch.equal(found[0], expected[0])
    assert not found[0][..., 1].any()
    assert found[0][..., 0].all()
    # Whoever reads the weights while a module computes gets what it computes with; others the parameters.
    assert layer.all_weights[0][0] is layer.get_parameter("weight_ih_l0")
    again = pickle.loads(pickle.dumps(network))
    assert torch.equal(again["layer"](x)[0], expected[0])
    doubled = {name: own.detach() for name, own in layer.named_parameters()}
    doubled["gate"] = 2 * doubled["gate"]
    made = torch.func.functional_call(layer, doubled, (x,))[0]
    assert not torch.equal(made, expected[0])
    layer.flatten_parameters()
    layer.float().double()
    assert (layer(x)[0] - expected[0]).abs().max() < 1e-5


class _Ran(nn.LSTM):
    def forward(self, input: Any, hx: Any = None) -> Any:
        return super().forward(input * 2, hx)


@pytest.mark.parametrize(
    "build_layer", [lambda: _Ran(3, 4), lambda: parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0")]
)
def test_recurrent_layers_that_may_compute_something_else_are_refused(build_layer: Any) -> None:
    network = nn.Sequential(build_layer())
    with pytest.raises(ValueError, match=r"^The layer '0' is a \w+ with a forward or weights of its own"):
        attach_gates(network, ["0"])
    assert not gates(network)


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.cell(x)
        return made


def test_a_block_whose_branch_ends_in_a_recurrent_layer_takes_no_gate() -> None:
    network = nn.Sequential(_Residual(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"[^\n]*\.$"):
        attach_block_gates(network, ["0"], torch.randn(3, 4))
