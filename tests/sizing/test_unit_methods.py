"""Methods that judge whole units: what goes, what begins anew, and what is left as it was."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.architectures.base import Architecture
from harness.architectures.mlp import MLP
from harness.architectures.resnet import ResNet
from harness.datasets.base import Part
from harness.objectives.classification import Classification
from harness.search.space import Choice, Domain, Float, Int
from harness.sizing.base import Cell, Moment, Schedule, Situation, SizingMethod
from harness.sizing.interval import Epoch
from harness.sizing.ledger.size import Size
from harness.sizing.methods.partial_restart import PartialRestart
from harness.sizing.methods.unit_pruning import UnitPruning
from harness.sizing.probe import Probe
from harness.study.parts import StudyError
from harness.surgery import Stop, apply
from tests.making import plan_of
from tests.training.small import CELL, Trained, a_job, trained

RESNET = ResNet(blocks=(1, 1))
SIZES = dict.fromkeys(RESNET.sized_layers, 6)
RESIDUAL = Cell(RESNET, (1, 6, 6), 3, {layer: Int(1, 6) for layer in SIZES}, SIZES)


def run(method: SizingMethod, params: dict[str, Any], epochs: int = 2, **changes: Any) -> Trained:
    phases = method.phases(params, Schedule(epochs, 0.1))
    return trained(a_job(method, params=params, phases=phases, **changes))


def images(count: int = 20) -> Part:
    generator = torch.Generator().manual_seed(0)
    return Part(torch.randn(count, 1, 6, 6, generator=generator), torch.arange(count) % 3)


def asked(method: SizingMethod, params: dict[str, Any], phase: int = 1, **changes: Any) -> Situation:
    """At the end of an interval without steps, of a residual network."""
    torch.manual_seed(0)
    network = RESNET.build((1, 6, 6), 3, SIZES).eval()
    fields: dict[str, Any] = {
        "moment": Moment(phase, 1, 1, epoch_ended=True, phase_ended=True),
        "network": network,
        "state": {},
        "params": params,
        "cell": RESIDUAL,
        "probe": Probe(images(), 8, Classification()),
        "generator": torch.Generator().manual_seed(1),
    }
    return Situation(**(fields | changes))


def measured(score: float) -> Epoch:
    return Epoch(1, "train", 1.0, 1.0, score, Size({}, 1, 1, 1))


@pytest.mark.parametrize("criterion", ["taylor", "taylor-absolute", "zeros", "l1", "l2", "random"])
@pytest.mark.parametrize(("amount", "left"), [(3, 2), (0.4, 3), (0.0, 5), (0.99, 1)])
def test_so_many_units_go(criterion: Any, amount: float, left: int) -> None:
    done = run(UnitPruning(criterion), {"amount": amount})
    assert done.error is None
    assert done.units == [5, 5, left, left]
    assert done.journal.selected is not None
    assert done.journal.selected.epoch in ((3, 4) if not amount else (4,)), "the one with the network's size"


def test_rounds_are_measured_before_and_after_fine_tuning() -> None:
    method = UnitPruning("l1", rounds=2, retrain_epochs=2, retrain_rate=0.5)
    cell = replace(CELL, start={"hidden1": 9})
    done = run(method, {"amount": 5}, cell=cell)
    epochs = done.journal.epochs
    assert [epoch.phase for epoch in epochs] == ["train"] * 2 + ["prune", "retrain", "retrain"] * 2
    assert [epoch.step for epoch in epochs] == [3, 6, 6, 9, 12, 12, 15, 18]
    assert done.units == [9, 9, 7, 7, 7, 4, 4, 4]
    rates = [phase.learning_rate for phase in method.phases({}, Schedule(2, 0.1))]
    assert rates == [0.1, 0.1, 0.05, 0.1, 0.05]
    bare = run(UnitPruning("l1", rounds=3, retrain_epochs=0), {"amount": 5}, cell=cell)
    assert bare.units == [9, 9, 7, 6, 4]
    assert bare.journal.selected is not None
    assert bare.journal.selected.epoch == 5


def test_the_units_of_least_worth_go() -> None:
    def weaken(network: nn.Module) -> None:
        with torch.no_grad():
            network.get_parameter("hidden1.weight")[[1, 3]] *= 1e-4

    method = UnitPruning("l2", retrain_epochs=0)
    job = a_job(method, params={"amount": 2}, phases=method.phases({}, Schedule(1, 0.0)))
    before: list[Tensor] = []

    def prepare(network: nn.Module) -> None:
        weaken(network)
        before.append(network.get_parameter("hidden1.weight").detach().clone())

    done = trained(job, prepare)
    assert torch.equal(done.network.get_parameter("hidden1.weight"), before[0][[0, 2, 4]])


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("criterion", ["taylor", "scale", "zeros", "l1"])
def test_units_of_residual_streams_go_everywhere_and_count_once(scope: Any, criterion: Any) -> None:
    method = UnitPruning(criterion, scope=scope, min_units=2)
    now = asked(method, {"amount": 8})
    state, edits = method.edits(now)
    assert state == {"start": 24}
    receipt = apply(now.network, None, edits, now.probe.part.x[:2])  # type: ignore[arg-type]
    assert sum(receipt.removed.get(layer, 0) for layer in SIZES) == 8
    assert receipt.removed.get("conv1", 0) == receipt.removed.get("stage1.0.conv2", 0)
    if scope == "layer":
        assert {receipt.removed[layer] for layer in SIZES} == {2}
    method = UnitPruning(criterion, scope=scope, min_units=2)
    now = asked(method, {"amount": 0.99})
    receipt = apply(now.network, None, method.edits(now)[1], now.probe.part.x[:2])  # type: ignore[arg-type]
    assert [receipt.removed[layer] for layer in SIZES] == [4] * 4, "every layer keeps two"


def stepped(network: nn.Module, part: Part) -> torch.optim.Optimizer:
    """Adam after two steps, with the network as they left it, in evaluation mode."""
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network.train()(part.x), part.y).backward()
        optimizer.step()
    network.eval()
    return optimizer


@pytest.mark.parametrize("initialiser", ["uniform", "he", "min-max", "distribution"])
def test_a_restart_touches_the_chosen_filters_and_their_optimizer_state_alone(initialiser: Any) -> None:
    method = PartialRestart(initialiser=initialiser)
    now = asked(method, {"share": 0.3})
    optimizer = stepped(now.network, now.probe.part)
    before = {name: own.detach().clone() for name, own in now.network.state_dict().items()}
    memory = {name: copy.deepcopy(optimizer.state[own]) for name, own in now.network.named_parameters()}
    state, edits = method.edits(now)
    chosen = state["useless"]
    apply(now.network, optimizer, edits, now.probe.part.x[:2])  # type: ignore[arg-type]

    layers = ["conv1", "stage1.0.conv1", "stage1.0.conv2", "stage2.0.conv1", "stage2.0.conv2"]
    assert sum(map(len, chosen.values())) == round(0.3 * 6 * len(layers))
    assert set(chosen) <= set(layers)
    assert any(layer.startswith("stage") for layer in chosen), "filters inside residual blocks too"
    norms = {layer: layer.replace("conv", "norm") for layer in layers}
    touched = {f"{layer}.weight": rows for layer, rows in chosen.items()}
    for layer, rows in chosen.items():
        names = ("weight", "bias", "running_mean", "running_var")
        touched |= {f"{norms[layer]}.{name}": rows for name in names}
    for name, own in now.network.state_dict().items():
        rows = touched.get(name, [])
        others = [row for row in range(len(own) if own.dim() else 0) if row not in rows]
        assert torch.equal(own[others], before[name][others]) if own.dim() else own == before[name]
        if name.endswith(("conv1.weight", "conv2.weight")):
            assert not (own[rows] == before[name][rows]).any()
        elif rows:
            assert (own[rows] == float(name.endswith(("weight", "running_var")))).all()
    for name, parameter in now.network.named_parameters():
        now_remembered, rows = optimizer.state[parameter], touched.get(name, [])
        assert now_remembered["step"] == memory[name]["step"] == 2
        for kind in ("exp_avg", "exp_avg_sq"):
            others = [row for row in range(len(parameter)) if row not in rows]
            assert torch.equal(now_remembered[kind][others], memory[name][kind][others])
            assert memory[name][kind].any()
            assert not now_remembered[kind][rows].any()


def test_normalisation_and_biases_may_stay() -> None:
    method = PartialRestart(norms=False)
    now = asked(method, {"share": 0.3})
    before = {name: own.clone() for name, own in now.network.state_dict().items() if "norm" in name}
    nn.init.uniform_(now.network.get_parameter("norm1.weight"))
    before["norm1.weight"] = now.network.get_parameter("norm1.weight").detach().clone()
    apply(now.network, None, method.edits(now)[1], now.probe.part.x[:2])  # type: ignore[arg-type]
    assert all(torch.equal(now.network.state_dict()[name], own) for name, own in before.items())
    for biases in (True, False):
        params = {"share": 0.4, "hidden1": 5}
        done = run(PartialRestart(biases=biases, restarts=1), params, epochs=1)
        assert done.error is None
        assert done.journal.events[0].account["reset"] == {"hidden1": 2}
    now = asked(
        PartialRestart(),
        {"share": 0.3},
        network=MLP().build((1, 6, 6), 3, {f"hidden{n}": 4 for n in (1, 2, 3)}),
    )
    for biases in (True, False):
        changed = copy.deepcopy(now.network)
        state, edits = PartialRestart(biases=biases).edits(replace(now, state={}))
        apply(changed, None, edits, now.probe.part.x[:2])  # type: ignore[arg-type]
        for layer, rows in state["useless"].items():
            bias, old = (
                changed.get_parameter(f"{layer}.bias")[rows],
                now.network.get_parameter(f"{layer}.bias"),
            )
            assert not bias.any() if biases else torch.equal(bias, old[rows])


def test_scope_layers_and_a_random_choice() -> None:
    even = PartialRestart(scope="layer").edits(asked(PartialRestart(), {"share": 0.34}))[0]["useless"]
    assert {len(rows) for rows in even.values()} == {2}
    assert len(even) == 5
    one = PartialRestart().edits(asked(PartialRestart(), {"share": 0.001}))[0]["useless"]
    assert [len(rows) for rows in one.values()] == [1], "at least one"
    random = PartialRestart(criterion="random")
    choices = [
        random.edits(asked(random, {"share": 0.3}, generator=torch.Generator().manual_seed(seed)))[0]
        for seed in (1, 1, 2)
    ]
    assert choices[0] == choices[1] != choices[2]


def test_rates_are_raised_and_lowered_and_any_trained_epoch_may_be_selected() -> None:
    method = PartialRestart(restarts=2, raised_epochs=3, lowered_epochs=2, raised_rate=5.0, lowered_rate=0.5)
    phases = method.phases({}, Schedule(4, 0.1))
    assert [phase.name for phase in phases] == ["train"] + ["restart", "raised", "lowered"] * 2
    assert [phase.learning_rate for phase in phases[:4]] == [0.1, 0.1, 0.5, 0.05]
    assert [phase.epochs for phase in phases] == [4, 1, 3, 2, 1, 3, 2]
    assert [phase.selectable for phase in phases] == [True, False, True, True, False, True, True]
    done = run(method, {"share": 0.4, "hidden1": 5}, epochs=4)
    assert done.error is None
    assert done.units == [5] * 16
    assert [event.epoch for event in done.journal.events] == [5, 11]


def test_it_stops_where_the_same_filters_are_useless_again() -> None:
    method = PartialRestart()
    now = asked(method, {"share": 0.3}, phase=4)
    state, edits = method.edits(now)
    assert not any(isinstance(edit, Stop) for edit in edits)
    _, again = method.edits(replace(now, state=state))
    assert again == (Stop("the useless filters were those of the restart before"),)
    frozen = run(
        PartialRestart(
            "all", criterion="l1", initialiser="he-as-printed", raised_rate=1e-9, lowered_rate=0.0
        ),
        {"share": 0.2, "hidden1": 5},
    )
    assert frozen.error is None
    assert frozen.journal.stop_reason == "the useless filters were those of the restart before"
    assert [epoch.phase for epoch in frozen.journal.epochs] == [
        *("train", "train", "restart", "raised", "lowered", "restart")
    ]


def test_it_stops_where_validation_has_reached_the_target() -> None:
    method = PartialRestart(target=0.8)
    for score, stops in ((0.79, False), (0.8, True), (0.9, True)):
        now = asked(method, {"share": 0.3}, history=(measured(score), measured(0.5)))
        _, edits = method.edits(now)
        assert (edits == (Stop("a validation score of 0.8 was reached"),)) is stops
    done = run(PartialRestart(target=0.01), {"share": 0.2, "hidden1": 5})
    assert [epoch.phase for epoch in done.journal.epochs] == ["train", "train", "restart"]
    assert not done.journal.events


@dataclass(frozen=True)
class Straight(Architecture):
    """Nothing hidden."""

    sized_layers = ()

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(4, outputs))


STRAIGHT = Cell(Straight(), (4,), 3, {}, {})
SHARE: dict[str, Domain] = {"share": Float(0.1, 0.3), "hidden1": Int(1, 9)}
TANH = replace(CELL, architecture=MLP(hidden_layers=1, activation="tanh"))


@pytest.mark.parametrize(
    ("method", "cell", "space", "message"),
    [
        (PartialRestart(), CELL, SHARE | {"share": Float(0.0, 0.3)}, "lies above 0 and below 1, found 0;"),
        (PartialRestart(), CELL, SHARE | {"share": Choice((0.1, 1))}, "above 0 and below 1, found 1;"),
        (PartialRestart(), STRAIGHT, SHARE, "it resets hidden units, and this architecture has none"),
        (PartialRestart("convolutions"), CELL, SHARE, "it resets filters of convolutions, and this"),
        (PartialRestart(criterion="scale"), CELL, SHARE, "none follows hidden1; choose another"),
        (UnitPruning(), STRAIGHT, {"amount": Float(0.1, 0.3)}, "takes units out of sized layers, and this"),
        (UnitPruning(), CELL, {"amount": Choice((5,))}, "5 units cannot go, because there are 5 and each"),
        (UnitPruning(), CELL, {"amount": Int(1, 99)}, "99 units cannot go"),
        (UnitPruning(min_units=3), CELL, {"amount": Choice((3,))}, "3 units cannot go, .* keeps 3"),
        (UnitPruning(), CELL, {"amount": Float(0.1, 1.0)}, "a range of real numbers is one of shares"),
        (UnitPruning(), CELL, {"amount": Choice((1.5,))}, "or a whole number of units, found 1.5"),
        (UnitPruning("scale"), CELL, {"amount": Float(0.1, 0.3)}, "none follows hidden1; choose another"),
        (UnitPruning("zeros"), TANH, {"amount": Float(0.1, 0.3)}, "a ReLU makes, and none follows hidden1"),
    ],
)  # fmt: skip
def test_what_a_method_cannot_serve_is_refused_in_the_plan(
    method: SizingMethod, cell: Cell, space: Mapping[str, Domain], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        method.check(cell, space)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "partial-restart", "space": {"share": [1.0]}}, "above 0 and below 1, found 1"),
        ({"name": "unit-pruning", "space": {"amount": [500]}}, "500 units cannot go"),
        ({"name": "unit-pruning", "options": {"criterion": "scale"}}, "none follows hidden1"),
    ],
)
def test_a_study_is_refused_with_the_sentence(entry: dict[str, Any], message: str) -> None:
    fields = {
        "name": "refused",
        "datasets": ["digits"],
        "architectures": [{"name": "mlp", "widths": {"low": 2, "high": 16}}],
        "methods": [entry],
        "trials": 1,
        "training": {"epochs": 1, "batch_size": 64},
        "claim": {"baseline": entry["name"], "n": 1},
    }
    with pytest.raises(StudyError, match=message):
        plan_of(fields)


def test_options_that_make_no_sense_are_refused() -> None:
    for options, message in (
        ({"restarts": 0}, "restarts must be at least 1"),
        ({"examples": 0}, "examples must be at least 1"),
        ({"raised_rate": 0.1, "lowered_rate": 0.1}, "raised_rate must be above lowered_rate"),
        ({"weight_decay": -1.0}, "weight_decay must be a number from 0 up"),
    ):
        with pytest.raises(ValueError, match=message):
            PartialRestart(**options)
    for name in ("rounds", "min_units", "examples"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, found 0"):
            UnitPruning(**{name: 0})  # type: ignore[arg-type]
