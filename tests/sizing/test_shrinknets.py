"""ShrinkNets: what its penalty does to gates, which units go, and what the variants change."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.architectures.lenet5 import LeNet5
from harness.architectures.mlp import MLP
from harness.search.space import Int
from harness.sizing.base import Cell, Schedule
from harness.sizing.gates.units import gates
from harness.sizing.ledger.unit_costs import unit_costs
from harness.sizing.methods.shrinknets import ShrinkNets
from harness.study.parts import StudyError
from harness.study.planning import make_plan
from harness.study.schema import Study
from harness.training.journal import TrialEndedError
from tests.training.small import CELL, Trained, a_job, a_split, trained

WIDE = replace(CELL, start={"hidden1": 200})


def run(method: ShrinkNets, penalty: float, epochs: int = 5, cell: Cell = WIDE, **changes: Any) -> Trained:
    """Train with Adam at 0.01 on 20 examples in batches of 4: five steps an epoch."""
    params = {"lambda": penalty}
    phases = method.phases(params, Schedule(epochs, 0.01))
    fields = {"phases": phases, "optimizer": "Adam", "batch_size": 4, "cell": cell} | changes
    return trained(a_job(method, params=params, **fields))


def test_where_the_penalty_rules_units_die_at_the_rate_of_the_learning_rate() -> None:
    # Adam moves a gate by its learning rate a step, whatever lambda is; gates start in U(0, 1], so after t
    # steps a share of 1 - lr t lives: here 200 (1 - 0.05 k) after epoch k.
    units = run(ShrinkNets(), 100.0, epochs=10).units
    for epoch, left in enumerate(units, 1):
        assert left == pytest.approx(200 * (1 - 0.05 * epoch), abs=25), units


def test_units_never_come_back_and_a_larger_penalty_leaves_fewer() -> None:
    finals = []
    for penalty in (0.0, 0.003, 0.1):
        units = run(ShrinkNets(), penalty, epochs=12).units
        assert units == sorted(units, reverse=True)
        finals.append(units[-1])
    assert finals == sorted(finals, reverse=True)
    assert finals[0] > finals[-1]


def test_a_layer_keeps_its_last_units_those_with_the_largest_gates() -> None:
    left = run(ShrinkNets(min_units=3), 100.0, epochs=30)
    assert left.error is None
    assert left.units[-1] == 3
    assert len(gates(left.network)["hidden1"]) == 3


def test_without_a_floor_the_network_collapses_and_says_so() -> None:
    left = run(ShrinkNets(min_units=0), 100.0, epochs=30)
    assert isinstance(left.error, TrialEndedError)
    assert left.error.status == "collapsed"


def test_removal_leaves_the_validation_score_as_it_was() -> None:
    # Dead units are multiplied by zero: with them in or out, the network says the same.
    shrinking = run(ShrinkNets(), 0.05, epochs=12)
    masked = run(_KeepsTheDead(), 0.05, epochs=12)
    scores = [(e.train_loss, e.val_loss) for e in shrinking.journal.epochs]
    apart = [(e.train_loss, e.val_loss) for e in masked.journal.epochs]
    assert masked.units == [200] * 12
    assert shrinking.units[-1] < 150
    assert scores == [pytest.approx(pair, rel=1e-4) for pair in apart]


class _KeepsTheDead(ShrinkNets):
    """The control: dead gates are held shut, and nothing is taken out."""

    def after_step(self, tensors: Any, numbers: Any, learning_rate: float) -> Any:
        return {}

    def edits(self, now: Any) -> Any:
        with torch.no_grad():  # a test's liberty: held at minus infinity, a gate never opens again
            for gate in gates(now.network).values():
                gate[gate <= 0] = -1e9
        return now.state, ()


def test_dead_units_go_every_few_steps_if_asked() -> None:
    left = run(ShrinkNets(remove_every_steps=2), 100.0, epochs=3)
    assert {event.step for event in left.journal.events} <= {2, 4, 5, 6, 8, 10, 12, 14, 15}
    assert any(event.step % 5 for event in left.journal.events)


def test_with_half_the_chance_about_half_of_the_dead_go_at_once() -> None:
    certain = run(ShrinkNets(), 100.0, epochs=6).journal.events[0].account["removed"]["hidden1"]
    drawn = (
        run(ShrinkNets(removal_probability=0.5), 100.0, epochs=6)
        .journal.events[0]
        .account["removed"]["hidden1"]
    )
    assert 0 < drawn < certain


def test_a_proximal_step_shrinks_gates_by_learning_rate_times_penalty_and_stops_at_zero() -> None:
    method = ShrinkNets(step="proximal")
    numbers = {k: torch.tensor(v) for k, v in method.numbers(CELL, {"lambda": 2.0}).items()}
    tensors = {"hidden1.gate": torch.tensor([0.5, 0.1, 0.0, -0.3])}
    assert method.penalty(tensors, numbers) is None
    changed = method.after_step(tensors, numbers, 0.1)["hidden1.gate"]
    torch.testing.assert_close(changed, torch.tensor([0.3, 0.0, 0.0, -0.3]))


def test_a_debounced_gate_is_penalised_on_both_sides() -> None:
    method = ShrinkNets(gate="debounced")
    numbers = {k: torch.tensor(v) for k, v in method.numbers(CELL, {"lambda": 2.0}).items()}
    penalty = method.penalty({"hidden1.gate": torch.tensor([0.5, -0.25])}, numbers)
    assert float(penalty) == pytest.approx(2.0 * 0.75)  # type: ignore[arg-type]
    rectified = ShrinkNets().penalty({"hidden1.gate": torch.tensor([0.5, -0.25])}, numbers)
    assert float(rectified) == pytest.approx(2.0 * 0.5)  # type: ignore[arg-type]


def test_debounced_gates_shrink_a_network_too() -> None:
    left = run(ShrinkNets(gate="debounced", decay=0.0), 100.0, epochs=20)
    assert left.error is None
    assert left.units[-1] < left.units[0] <= 200


def test_the_cost_of_a_unit_by_hand() -> None:
    cell = Cell(MLP(hidden_layers=2), (3,), 2, {}, {})
    sizes = {"hidden1": 4, "hidden2": 5}
    # A unit of hidden1: 3 weights and a bias in, 5 out. Of hidden2: 4 weights and a bias in, 2 out.
    assert _scaled(unit_costs(cell, sizes, "parameter")) == pytest.approx(9 / 7)
    # Without the biases: 8 and 6.
    assert _scaled(unit_costs(cell, sizes, "mac")) == pytest.approx(8 / 6)
    costs = unit_costs(cell, sizes, "parameter")
    assert sum(costs[layer] * size for layer, size in sizes.items()) / 9 == pytest.approx(1)
    assert unit_costs(cell, sizes, "unit") == {"hidden1": 1.0, "hidden2": 1.0}


def _scaled(costs: dict[str, float]) -> float:
    return costs["hidden1"] / costs["hidden2"]


def test_a_channel_costs_what_its_whole_image_costs() -> None:
    sizes = {"conv1": 2, "conv2": 3, "fc1": 4}
    costs = unit_costs(Cell(LeNet5(), (1, 28, 28), 10, {}, {}), sizes, "mac")
    # conv1: 25 weights at 24x24 places, and 25 x 3 of conv2 at 8x8; fc1: 3 x 16 in, 10 out.
    assert costs["conv1"] / costs["fc1"] == pytest.approx((25 * 24 * 24 + 75 * 64) / (48 + 10))


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"min_units": -1}, "min_units"),
        ({"decay": 1.0}, "decay"),
        ({"remove_every_steps": 0}, "remove_every_steps"),
        ({"removal_probability": 0.0}, "removal_probability"),
    ],
)
def test_impossible_options_are_refused_by_name(options: dict[str, Any], found: str) -> None:
    with pytest.raises(ValueError, match=f"^{found} must .*, found"):
        ShrinkNets(**options)


@pytest.mark.parametrize("written", [{"low": -1.0, "high": 1.0}, [-0.5, 0.1], -0.1])
def test_a_negative_penalty_is_refused_before_anything_runs(written: Any) -> None:
    study = Study.model_validate(
        {
            "name": "negative",
            "datasets": ["digits"],
            "architectures": [{"name": "mlp", "widths": {"low": 4, "high": 8}}],
            "methods": [{"name": "shrinknets", "space": {"lambda": written}}],
            "trials": 1,
            "training": {"epochs": 1, "batch_size": 64},
            "claim": {"baseline": "shrinknets"},
        }
    )
    facts = replace(a_split().facts, name="digits")
    with pytest.raises(StudyError, match=r"study\.yaml: .*space\.lambda: a penalty must not be negative"):
        make_plan(study, "study.yaml", lambda spec: facts)


def test_the_start_is_what_the_cell_says_and_the_reach_ends_there() -> None:
    cell = replace(CELL, bounds={"hidden1": Int(1, 9)}, start={"hidden1": 7})
    assert ShrinkNets().start_sizes(cell, {"lambda": 1.0}) == {"hidden1": 7}
    assert ShrinkNets(min_units=2).reach(cell, {}) == {"hidden1": (2, 7)}


class _AroundItsLayers(MLP):
    """Computes with what `state_dict` gives, and so without gates."""

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> nn.Module:
        network = super().build(example_shape, outputs, sizes)

        class _Around(nn.Sequential):
            def forward(self, x: Tensor) -> Tensor:
                own = self.state_dict()
                hidden = functional.linear(x, own["hidden1.weight"], own["hidden1.bias"]).relu()
                return functional.linear(hidden, own["output.weight"], own["output.bias"])

        network.__class__ = _Around
        return network


def test_a_network_that_goes_round_its_gates_is_refused() -> None:
    cell = replace(CELL, architecture=_AroundItsLayers(hidden_layers=1))
    with pytest.raises(ValueError, match="Folding gates would change the outputs"):
        ShrinkNets().build(cell, {"lambda": 1.0})


def test_trying_gates_out_draws_no_number() -> None:
    torch.manual_seed(0)
    made, _ = ShrinkNets().build(CELL, {"lambda": 1.0})
    after = torch.get_rng_state()
    torch.manual_seed(0)
    plain = CELL.architecture.build(CELL.example_shape, CELL.outputs, {"hidden1": 5})
    assert torch.equal(1 - torch.rand(5), made.get_parameter("hidden1.gate"))
    assert torch.equal(torch.get_rng_state(), after)
    assert torch.equal(plain.get_parameter("hidden1.weight"), made.get_parameter("hidden1.weight"))
