"""A unit of a recurrent layer goes with its rows in all gates, layers and directions, and what reads it."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from harness.surgery import Mask, Remove, Reset, SurgeryError, Widen, apply, hold_masks, trace
from tests.surgery.helpers import (
    change,
    ids,
    measure,
    optimizer_parameters,
    removals,
    silence,
    some_classes,
    train,
    units_of,
)
from tests.surgery.recurrences import NAMES, Reader, build, sequences

_TOLERANCE = 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_silent_units_go_from_all_gates_and_the_output_stays(name: str) -> None:
    torch.manual_seed(0)
    network, x = build(name).double(), sequences()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    train(network, optimizer, x, 3)
    structure = trace(network, x)
    assert structure.refused_share < 0.1, structure.groups
    classes = some_classes(structure, every=3)
    silence(network, structure, classes)
    before = measure(network, x)
    receipt = apply(network, optimizer, removals(structure, classes), x)
    assert not receipt.refused
    assert sum(receipt.removed.values()) >= 0.3 * sum(
        structure.units[layer] for group in structure.groups if group.removable for layer in group.layers
    )
    assert max(change(before, measure(network, x))) <= _TOLERANCE
    assert optimizer_parameters(optimizer) == ids(network.parameters())
    train(network, optimizer, x, 1)
    _fits(network)


def _fits(network: nn.Module) -> None:
    """What recurrent modules say of their sizes is so: one made of them has tensors of these shapes."""
    for module in network.modules():
        sizes = (getattr(module, "input_size", 0), getattr(module, "hidden_size", 0))
        twin: nn.Module
        if isinstance(module, nn.RNNBase):
            options: dict[str, Any] = {"bias": module.bias, "bidirectional": module.bidirectional}
            if module.proj_size:
                options["proj_size"] = module.proj_size
            kind: type[Any] = type(module)
            twin = kind(*sizes, module.num_layers, **options)
            _lists_its_own(module)
        elif isinstance(module, nn.RNNCellBase):
            twin = type(module)(*sizes)  # type: ignore[call-arg]
        else:
            continue
        assert [own.shape for own in twin.parameters()] == [own.shape for own in module.parameters()]


def _lists_its_own(module: nn.RNNBase) -> None:
    for name, own in zip(module._flat_weights_names, module._flat_weights, strict=True):
        assert own is module.get_parameter(name)


@pytest.mark.parametrize("name", ["lstm-deep", "gru-packed", "rnn-cells", "lstm-translator"])
def test_units_that_vary_go_as_if_held_at_zero(name: str) -> None:
    torch.manual_seed(0)
    network, x = build(name).double(), sequences()
    structure = trace(network, x)
    classes = some_classes(structure, every=3)
    kept = copy.deepcopy(network)
    receipt = apply(kept, None, removals(structure, classes, exact=True), x)
    assert receipt.refused
    assert not receipt.removed
    reference = copy.deepcopy(network)
    silence(reference, structure, classes)
    apply(network, None, removals(structure, classes, exact=False), x)
    assert max(change(measure(reference, x), measure(network, x))) <= _TOLERANCE


@pytest.mark.parametrize("name", ["lstm-plain", "gru-deep", "rnn-plain", "gru-packed"])
def test_a_constant_that_arrives_is_folded_into_the_bias_of_what_reads_it(name: str) -> None:
    torch.manual_seed(0)
    network, x = build(name).double(), sequences()
    structure = trace(network, x)
    with torch.no_grad():
        network.get_parameter("enter.weight")[2] = 0
    before = measure(network, x)
    receipt = apply(network, None, [Remove("enter", (2,), exact=True)], x)
    assert receipt.folded == ("read",)
    assert structure.readers["enter"] == ("read",)
    assert max(change(before, measure(network, x))) <= _TOLERANCE


def test_projected_units_and_those_behind_them_are_cut_alone() -> None:
    torch.manual_seed(0)
    network, x = Reader(nn.LSTM, proj_size=4, num_layers=2, bidirectional=True).double(), sequences()
    structure = trace(network, x)
    assert (structure.units["read"], structure.units["read.weight_hr_l0"]) == (4, 9)
    with torch.no_grad():
        for name, own in network.get_submodule("read").named_parameters():
            if name.startswith("weight_hr"):
                own[1] = 0
            else:
                own.unflatten(0, (4, 9))[2, [0, 5]] = 0  # the gate that writes is enough
    before = measure(network, x)
    gone = [Remove("read", (1,), exact=True), Remove("read.weight_hr_l0", (0, 5), exact=True)]
    receipt = apply(network, None, gone, x)
    assert receipt.removed == {"read": 1, "read.weight_hr_l0": 2}
    assert max(change(before, measure(network, x))) <= _TOLERANCE
    _fits(network)


@pytest.mark.parametrize("kind", ["adam", "sgd"])
@pytest.mark.parametrize("name", ["lstm-deep", "gru-cells", "rnn-plain"])
def test_training_goes_on_as_if_the_entries_were_held_at_zero(name: str, kind: str) -> None:
    torch.manual_seed(0)
    network, x = build(name).double(), sequences()
    optimizer = _optimizer(kind, network)
    train(network, optimizer, x, 3)
    structure = trace(network, x)
    classes = some_classes(structure, every=3)
    silence(network, structure, classes)
    reference = copy.deepcopy(network)
    twin = _optimizer(kind, reference)
    twin.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    apply(network, optimizer, removals(structure, classes), x)
    for _ in range(5):
        train(network, optimizer, x, 1)
        train(reference, twin, x, 1)
        silence(reference, structure, classes)
    assert max(change(measure(reference, x), measure(network, x))) <= 1e-6


def _optimizer(kind: str, network: nn.Module) -> torch.optim.Optimizer:
    if kind == "adam":
        return torch.optim.Adam(network.parameters(), 1e-3)
    return torch.optim.SGD(network.parameters(), 1e-2, momentum=0.9)


def _asked(network: Any, x: Tensor) -> Tensor:
    return x.new_zeros(x.shape[1], network.low.hidden_size)


def _literal(network: Any, x: Tensor) -> Tensor:
    return torch.zeros(x.shape[1], 9, dtype=x.dtype)


def _ones(network: Any, x: Tensor) -> Tensor:
    return torch.ones(x.shape[1], network.low.hidden_size, dtype=x.dtype)


def _learnt(network: Any, x: Tensor) -> Tensor:
    made: Tensor = network.learnt.expand(x.shape[1], -1)
    return made


class Started(nn.Module):
    """A cell that starts from something."""

    def __init__(self, start: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.low, self.head, self.start = nn.GRUCell(5, 9), nn.Linear(9, 4), start
        self.learnt = nn.Parameter(torch.zeros(9))

    def forward(self, x: Tensor) -> Tensor:
        state = self.start(self, x)
        for step in x.unbind(0):
            state = self.low(step, state)
        made: Tensor = self.head(state)
        return made


@pytest.mark.parametrize(("start", "free"), [(_asked, 9), (_literal, 0), (_ones, 0), (_learnt, 9)])
def test_what_a_recurrence_starts_from_must_have_its_units(start: Callable[..., Tensor], free: int) -> None:
    torch.manual_seed(0)
    network, x = Started(start).double(), sequences()
    structure = trace(network, x)
    assert structure.group("low").removable == free
    if free:
        classes = some_classes(structure, every=3)
        silence(network, structure, classes)
        before = measure(network, x)
        apply(network, None, removals(structure, classes), x)
        assert max(change(before, measure(network, x))) <= _TOLERANCE


def test_a_start_other_than_zero_is_sent_on_by_a_silent_unit() -> None:
    torch.manual_seed(0)
    network, x = Started(_learnt).double(), sequences()
    with torch.no_grad():
        network.get_parameter("learnt")[3] = 0.5
    structure = trace(network, x)
    silence(network, structure, {structure.classes["low"][3]})
    receipt = apply(network, None, [Remove("low", (3,), exact=True)], x)
    assert receipt.refused == {"low": "still varies"}


def test_lists_of_weights_copies_and_masks_stay_in_step() -> None:
    torch.manual_seed(0)
    network, x = build("lstm-deep").double(), sequences()
    average = copy.deepcopy(network)
    keep = torch.rand(36, 9) > 0.3
    apply(network, None, [Mask("read.weight_hh_l0", keep), Remove("read", (0, 4))], x, copies=[average])
    layer = network.get_submodule("read")
    assert isinstance(layer, nn.LSTM)
    _lists_its_own(layer)
    hold_masks(network)
    after = measure(network, x)
    again = pickle.loads(pickle.dumps(network))
    assert torch.equal(measure(again, x)[0], after[0])
    assert torch.equal(measure(copy.deepcopy(network), x)[0], after[0])
    assert average.get_parameter("read.weight_hh_l1").shape == (28, 7)
    with pytest.raises(SurgeryError):
        apply(network, None, [Remove("read", (0,)), Mask("nothing", keep)], x)
    assert torch.equal(measure(network, x)[0], after[0])


def test_what_recurrent_layers_cannot_do_is_said_in_a_sentence() -> None:
    torch.manual_seed(0)
    network, x = build("gru-plain").double(), sequences()
    new = torch.zeros(1, 9, dtype=torch.float64)
    with pytest.raises(SurgeryError, match="recurrent"):
        apply(network, None, [Reset("read", (1,), new)], x)
    with pytest.raises(SurgeryError, match="recurrent"):
        apply(network, None, [Widen("read", new, None, {})], x)
    # What it reads may grow.
    rows = torch.randn(2, 5, dtype=torch.float64)
    before = measure(network, x)
    apply(network, None, [Widen("enter", rows, torch.zeros(2), {})], x)
    assert max(change(before, measure(network, x))) <= _TOLERANCE
    _fits(network)


class Doubled(nn.GRU):
    """A forward pass of its own."""

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        made, state = super().forward(input, hx)
        return 2 * made, state


@pytest.mark.parametrize("own", [Doubled(7, 9), parametrizations.weight_norm(nn.GRU(7, 9), "weight_hh_l0")])
def test_recurrent_layers_of_another_making_are_exact_or_refused(own: nn.Module) -> None:
    torch.manual_seed(0)
    network, x = build("gru-plain"), sequences()
    network.register_module("read", own)
    network.double()
    structure = trace(network, x)
    classes = some_classes(structure, every=3)
    held = units_of(structure, "enter", classes)
    with torch.no_grad():
        network.get_parameter("enter.weight")[list(held)] = 0
        network.get_parameter("enter.bias")[list(held)] = 0
    before = measure(network, x)
    apply(network, None, removals(structure, classes), x)
    assert max(change(before, measure(network, x))) <= _TOLERANCE


class ByHand(nn.Module):
    """An LSTM written out: four gates of one product, from zeros of some width."""

    def __init__(self, width: int | None = None) -> None:
        super().__init__()
        self.into, self.back, self.head = nn.Linear(5, 36), nn.Linear(9, 36), nn.Linear(9, 4)
        self.fixed = width is not None

    def forward(self, x: Tensor) -> Tensor:
        width = 9 if self.fixed else self.back.in_features
        h = torch.zeros(x.shape[1], width, dtype=x.dtype)
        c = x.new_zeros(x.shape[1], width)
        for step in x.unbind(0):
            i, f, g, o = (self.into(step) + self.back(h)).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        made: Tensor = self.head(h)
        return made


def test_a_recurrence_written_by_hand_is_cut_if_its_zeros_are_as_long_as_its_units_are() -> None:
    torch.manual_seed(0)
    network, x = ByHand().double(), sequences()
    structure = trace(network, x)
    assert structure.group("back").removable == 9
    with torch.no_grad():
        for layer in ("into", "back"):
            for own in network.get_submodule(layer).parameters():
                own.unflatten(0, (4, 9))[2, [0, 3]] = 0  # the gate that writes is enough
    before = measure(network, x)
    receipt = apply(network, None, [Remove("back", (0, 3), exact=True)], x)
    assert receipt.removed == {"into": 8, "back": 8}
    assert max(change(before, measure(network, x))) <= _TOLERANCE
    assert trace(ByHand(9).double(), x).group("back").removable == 0


class Long(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x)
        for _ in range(600):
            h = h * 0.999
        made: Tensor = self.head(h)
        return made


def test_what_hangs_on_hundreds_of_steps_is_worked_out() -> None:
    torch.manual_seed(0)
    network, x = Long().double(), torch.randn(3, 3, dtype=torch.float64)
    with torch.no_grad():
        network.get_parameter("enter.weight")[1] = 0
    before = measure(network, x)
    assert apply(network, None, [Remove("enter", (1,), exact=True)], x).folded == ("head",)
    assert max(change(before, measure(network, x))) <= _TOLERANCE
