"""The training loop: order, phases, edits, costs, selection, and how a trial can end."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.datasets.base import Part
from harness.objectives.base import Objective
from harness.objectives.classification import Classification
from harness.sizing.base import Cell, Params, Phase, Situation, State
from harness.sizing.gates.units import attach_gates
from harness.sizing.ledger.counting import multiply_accumulates
from harness.surgery import (
    Assign,
    InsertBlock,
    Mask,
    NextPhase,
    Note,
    Remove,
    RemoveBlock,
    Residual,
    Stop,
    Unmask,
)
from harness.training import loop
from harness.training.fault import TrialFaultError
from harness.training.journal import Journal, TrialEndedError
from harness.training.scoring import evaluate, totals
from harness.training.step import StepSettings
from tests.training.small import CELL, CLASSES, FEATURES, Scripted, Trained, a_job, a_split, trained

MACS = FEATURES * 5 + 5 * CLASSES  # of 4-5-3, by hand: 35


def scripted(*phases: Phase, **answers: Any) -> Scripted:
    return Scripted(phases or (Phase(3, 0.1),), **answers)


def outcomes(left: Trained) -> list[dict[str, Any]]:
    return [epoch.outcome() for epoch in left.journal.epochs]


def remove(layer: str, *units: int, after_epoch: int) -> Any:
    """A proposal: take these units out when that epoch ends."""

    def propose(now: Situation) -> Sequence[Any]:
        due = now.moment.epoch_ended and now.moment.epoch == after_epoch
        return (Remove(layer, units),) if due else ()

    return propose


# --- what methods find


def test_what_a_method_notes_is_in_the_journal_and_changes_nothing() -> None:
    def note(now: Situation) -> Sequence[Any]:
        due = now.moment.epoch_ended and now.moment.epoch == 2
        return (Note("hidden1", {"share": 0.5, "norm": math.inf}), Note("output", {})) if due else ()

    left, without = trained(a_job(scripted(propose=note))), trained(a_job(scripted()))
    [event] = left.journal.events
    assert event.epoch == 2
    assert event.account == {"noted": {"hidden1": {"share": 0.5, "norm": None}, "output": {}}}
    assert outcomes(left) == outcomes(without)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Note("hidden1", dict.fromkeys(map(str, range(65)), 0.0)), "a note holds at most 64 numbers"),
        (lambda: Note("hidden1", {"share": "half"}), "with fields of wrong types"),  # type: ignore[dict-item]
        (lambda: Note("hidden1", {"share": None}), "with fields of wrong types"),  # type: ignore[dict-item]
    ],
)
def test_a_note_that_no_record_can_hold_is_the_methods_fault(make: Callable[[], Note], said: str) -> None:
    left = trained(a_job(scripted(propose=lambda now: (make(),))))
    assert isinstance(left.error, TrialFaultError)
    assert said in str(left.error)


# --- costs and sizes by hand


def test_flops_are_six_per_multiply_accumulate_and_example() -> None:
    left = trained(a_job(scripted()))
    assert left.error is None
    assert left.journal.train_flops == 6 * MACS * 20 * 3
    assert [epoch.size.macs for epoch in left.journal.epochs] == [MACS] * 3


def test_flops_follow_the_live_widths() -> None:
    left = trained(a_job(scripted(propose=remove("hidden1", 0, 3, after_epoch=1))))
    assert left.error is None
    small = FEATURES * 3 + 3 * CLASSES  # 21
    assert left.units == [3, 3, 3], "sizes are taken after the edits of the epoch's end"
    assert left.journal.train_flops == 6 * 20 * (MACS + 2 * small)
    assert left.journal.start_size is not None
    assert left.journal.start_size.units == {"hidden1": 5}
    assert left.journal.epochs[0].size.parameters == 3 * FEATURES + 3 + 3 * CLASSES + CLASSES
    assert [(event.epoch, event.account["removed"]) for event in left.journal.events] == [(1, {"hidden1": 2})]
    assert left.network.get_submodule("hidden1").weight.shape == (3, FEATURES)


def test_flops_of_steps_and_not_of_epochs() -> None:
    left = trained(a_job(scripted(Phase(2, 0.1, steps_per_epoch=2))))
    assert left.journal.train_flops == 6 * MACS * (8 + 8) * 2


# --- the order of examples


def orders(job: Any) -> list[list[float]]:
    """The numbers of the examples of each epoch, in the order they were trained on."""
    seen: list[list[float]] = [[]]

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if module.training:
            seen[-1] += inputs[0][:, 0].tolist()

    method = replace(job.method, propose=lambda now: seen.append([]) or ())  # type: ignore[func-returns-value]

    def listen(network: nn.Module) -> None:
        network.register_forward_pre_hook(note)

    left = trained(replace(job, method=method), listen)
    assert left.error is None
    return [epoch for epoch in seen if epoch]


def test_every_epoch_has_every_example_once_in_an_order_of_its_own() -> None:
    epochs = orders(a_job(scripted()))
    assert len(epochs) == 3
    everything = a_split().train.x[:][:, 0].tolist()
    assert all(sorted(epoch) == everything for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_the_order_depends_on_its_seed_alone() -> None:
    job = a_job(scripted())
    other_seeds = {"init": 9, "order": 1, "method": 9}
    assert orders(job) == orders(replace(job, seeds=other_seeds, step=StepSettings("Adam", {})))
    assert orders(job) != orders(replace(job, seeds={"init": 0, "order": 7, "method": 2}))


def test_training_is_reproducible_bit_for_bit() -> None:
    one, two = (trained(a_job(scripted(), optimizer="Adam")) for _ in range(2))
    assert outcomes(one) == outcomes(two)
    assert one.journal.test_score == two.journal.test_score
    assert all(
        torch.equal(a, b) for a, b in zip(one.network.parameters(), two.network.parameters(), strict=True)
    )


def test_training_learns() -> None:
    left = trained(a_job(scripted(Phase(60, 0.5)), split=a_split(200)))
    first, last = left.journal.epochs[0], left.journal.epochs[-1]
    assert last.train_loss is not None
    assert first.train_loss is not None
    assert last.train_loss < first.train_loss / 2
    assert last.val_score is not None
    assert last.val_score > 0.8


# --- phases, moments, edits


def test_moments() -> None:
    method = scripted(Phase(2, 0.1, edit_every_steps=2), Phase(1, 0.1, name="second"))
    left = trained(a_job(method))
    told = [(m.phase, m.epoch, m.step, m.epoch_ended, m.phase_ended) for m in method.seen]
    assert told == [
        (0, 0, 0, False, False),
        (0, 1, 2, False, False),
        (0, 1, 3, True, False),  # 20 examples are three batches of eight
        (0, 2, 4, False, False),
        (0, 2, 6, False, False),
        (0, 2, 6, True, True),
        (1, 3, 9, True, True),
    ]
    assert [epoch.phase for epoch in left.journal.epochs] == ["train", "train", "second"]
    assert [epoch.epoch for epoch in left.journal.epochs] == [1, 2, 3]
    assert left.told == left.journal.epochs


def test_an_interval_may_be_longer_or_shorter_than_the_training_part() -> None:
    method = scripted(Phase(1, 0.1, steps_per_epoch=7), Phase(1, 0.1, steps_per_epoch=1))
    trained(a_job(method))
    assert [moment.step for moment in method.seen] == [0, 7, 8]


def ending(edit: Any, epoch: int, step: int | None = None) -> Any:
    def propose(now: Situation) -> Sequence[Any]:
        here = now.moment.epoch == epoch and (step is None or now.moment.step == step)
        return (edit,) if here else ()

    return propose


_TWO = (Phase(3, 0.1, edit_every_steps=1, name="a"), Phase(2, 0.1, name="b"))


@pytest.mark.parametrize(
    ("edit", "epoch", "step", "phases", "steps"),
    [
        (NextPhase(), 2, 6, "aabb", 12),
        (NextPhase(), 2, 4, "aabb", 10),  # in the middle of the second epoch
        (NextPhase(), 0, 0, "bb", 6),
        (Stop("enough"), 2, 6, "aa", 6),
        (Stop("enough"), 2, 5, "aa", 5),
        (Stop("enough"), 4, 12, "aaab", 12),
        (Stop("enough"), 0, 0, "", 0),
    ],
)
def test_phases_and_trials_may_end_early(edit: Any, epoch: int, step: int, phases: str, steps: int) -> None:
    method = Scripted(_TWO, ending(edit, epoch, step))
    left = trained(a_job(method))
    assert left.error is None
    assert "".join(entry.phase for entry in left.journal.epochs) == phases
    assert method.seen[-1].step == steps
    assert (left.journal.test_score is None) == (phases == "")


def test_phases_set_the_learning_rate_and_keep_the_optimizer() -> None:
    rates: list[tuple[float, float]] = []
    memories: list[int] = []

    def look(now: Situation) -> Sequence[Any]:
        group = training.step.optimizer.param_groups[0]
        rates.append((group["lr"], group["weight_decay"]))
        memories.append(len(training.step.optimizer.state))
        return ()

    method = scripted(Phase(1, 0.1, 0.01), Phase(1, 0.02), propose=look)
    job = a_job(method, optimizer="Adam")
    network, state = method.build(CELL, {})
    training = loop._Training(job, network, state, Journal(), lambda epoch: None)
    training.run()
    assert rates[1:] == [(0.1, 0.01), (0.02, 0.0)]
    assert memories == [0, 4, 4]


def test_weight_decay_spares_gates() -> None:
    job = a_job(scripted(Phase(1, 0.1, weight_decay=0.5)))
    network, state = job.method.build(CELL, {})
    attach_gates(network, ["hidden1"])
    training = loop._Training(job, network, state, Journal(), lambda epoch: None)
    training.run()
    decay = {id(p): g["weight_decay"] for g in training.step.optimizer.param_groups for p in g["params"]}
    assert {name: decay[id(parameter)] for name, parameter in network.named_parameters()} == {
        "hidden1.weight": 0.5,
        "hidden1.bias": 0.5,
        "hidden1.gate": 0.0,
        "output.weight": 0.5,
        "output.bias": 0.5,
    }


def test_a_mask_holds_whatever_the_optimizer_does() -> None:
    def mask(now: Situation) -> Sequence[Any]:
        if now.moment.epoch != 1:
            return ()
        keep = torch.ones(CLASSES, 5, dtype=torch.bool)
        keep[2] = False
        return (Mask("output.weight", keep),)

    left = trained(a_job(scripted(Phase(4, 0.1), propose=mask), optimizer="Adam"))
    assert left.error is None
    assert left.units == [5] * 4
    drop = [left.journal.epochs[0].size.parameters - epoch.size.nonzeros for epoch in left.journal.epochs]
    assert drop == [5] * 4
    assert left.network.get_parameter("output.weight")[2].abs().sum() == 0


def test_choices_of_a_method_come_from_its_seed() -> None:
    drawn: list[int] = []

    def draw(now: Situation) -> Sequence[Any]:
        drawn.append(int(torch.randint(1000, (), generator=now.generator)))
        return ()

    for seed in (2, 2, 3):
        trained(a_job(scripted(propose=draw), seeds={"init": 0, "order": 1, "method": seed}))
    assert drawn[:4] == drawn[4:8] != drawn[8:]


def test_a_method_sees_the_training_part_alone() -> None:
    split, parts = a_split(), []

    def look(now: Situation) -> Sequence[Any]:
        parts.append(now.probe.part)
        return ()

    trained(a_job(scripted(propose=look), split=split))
    assert all(part is split.train for part in parts)


# --- the penalty, and what is done after a step


def test_a_penalty_is_trained_on_and_not_reported() -> None:
    def shrink(tensors: Mapping[str, Tensor], numbers: Mapping[str, Tensor]) -> Tensor:
        return numbers["strength"] * torch.stack([tensor.square().sum() for tensor in tensors.values()]).sum()

    free = trained(a_job(scripted()))
    held = trained(a_job(scripted(add=shrink), params={"strength": 3.0, "name": "x", "flag": True}))
    assert held.error is None

    def norm(left: Trained) -> float:
        return sum(parameter.detach().square().sum().item() for parameter in left.network.parameters())

    assert norm(held) < norm(free) / 2
    losses = [epoch.train_loss for epoch in held.journal.epochs]
    assert max(loss for loss in losses if loss is not None) < 2, "the penalty alone would be above 3"


def test_after_step() -> None:
    @dataclass(frozen=True)
    class Clipping(Scripted):
        def after_step(self, tensors: Any, numbers: Any, learning_rate: float) -> dict[str, Tensor]:
            self.seen.append((learning_rate, not torch.is_grad_enabled()))
            return {"hidden1.bias": tensors["hidden1.bias"].clamp(min=0.25)}

    method = Clipping((Phase(2, 0.1),))
    left = trained(a_job(method))
    assert left.error is None
    assert left.network.get_parameter("hidden1.bias").min().item() >= 0.25
    assert method.seen.count((0.1, True)) == 6


# --- selection


class Scores:
    """Stands in for scoring: given validation scores, one after the other; notes every call."""

    def __init__(self, split: Any, *validation: float) -> None:
        self.split, self.validation = split, list(validation)
        self.calls: list[str] = []
        self.tested: nn.Module | None = None

    def put(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(loop, "read", self.validated)
        monkeypatch.setattr(loop, "evaluate", self.evaluate)

    def validated(self, numbers: Sequence[float], examples: int, objective: Objective) -> tuple[float, float]:
        assert examples == len(self.split.validation)
        self.calls.append("validation")
        return 1.0, self.validation.pop(0)

    def evaluate(self, network: nn.Module, part: Part, objective: Objective) -> tuple[float, float]:
        assert part is self.split.test
        self.calls.append("test")
        self.tested = network
        return evaluate(network, part, objective)


@pytest.mark.parametrize(
    ("scores", "selected"),
    [
        ((0.1, 0.5, 0.3, 0.4), 2),
        ((0.5, 0.5, 0.5, 0.5), 1),
        ((0.1, 0.5, 0.5, 0.2), 2),
        ((0.1, 0.2, 0.3, 0.4), 4),
        ((0.0, 0.0, 0.0, 0.0), 1),
    ],
)
def test_the_best_validation_score_is_selected_first_on_ties(
    monkeypatch: pytest.MonkeyPatch, scores: tuple[float, ...], selected: int
) -> None:
    split = a_split()
    given = Scores(split, *scores)
    given.put(monkeypatch)
    weights: list[Tensor] = []

    def keep(now: Situation) -> Sequence[Any]:
        if now.moment.epoch_ended:
            weights.append(now.network.get_parameter("output.weight").detach().clone())
        return ()

    left = trained(a_job(scripted(Phase(4, 0.5), propose=keep), split=split))
    assert left.error is None
    assert left.journal.selected is not None
    assert (left.journal.selected.epoch, left.journal.selected.val_score) == (selected, max(scores))
    assert given.calls == ["validation"] * 4 + ["test"], "the test part is scored once, at the end"
    assert given.tested is not None
    assert torch.equal(given.tested.get_parameter("output.weight"), weights[selected - 1])
    assert left.journal.test_score == evaluate(given.tested, split.test, Classification())[1]


@pytest.mark.parametrize(("scores", "selected"), [((0.9, 0.8, 0.2, 0.3), 4), ((0.9, 0.8, 0.3, 0.3), 3)])
def test_epochs_of_some_phases_are_never_selected(
    monkeypatch: pytest.MonkeyPatch, scores: tuple[float, ...], selected: int
) -> None:
    split = a_split()
    Scores(split, *scores).put(monkeypatch)
    left = trained(a_job(scripted(Phase(2, 0.1, selectable=False), Phase(2, 0.1)), split=split))
    assert left.journal.selected is not None
    assert left.journal.selected.epoch == selected


def test_no_phase_that_may_be_selected_means_no_test_score(monkeypatch: pytest.MonkeyPatch) -> None:
    split = a_split()
    given = Scores(split, 0.9, 0.8)
    given.put(monkeypatch)
    left = trained(a_job(scripted(Phase(2, 0.1, selectable=False)), split=split))
    assert left.journal.selected is None
    assert "test" not in given.calls


@pytest.mark.parametrize(
    ("scores", "selected", "units"),
    [
        ((0.5, 0.9, 0.3, 0.4), 2, 5),  # before the removal
        ((0.5, 0.1, 0.3, 0.9), 4, 3),  # after it, the copy still having the old structure
        ((0.5, 0.1, 0.8, 0.9), 4, 3),
    ],
)
def test_the_selected_network_keeps_the_structure_it_had(
    monkeypatch: pytest.MonkeyPatch, scores: tuple[float, ...], selected: int, units: int
) -> None:
    split = a_split()
    given = Scores(split, *scores)
    given.put(monkeypatch)
    method = scripted(Phase(4, 0.1), propose=remove("hidden1", 1, 2, after_epoch=3))
    left = trained(a_job(method, split=split))
    assert left.error is None
    assert left.journal.selected is not None
    assert left.journal.selected.epoch == selected
    assert given.tested is not None
    assert given.tested.get_submodule("hidden1").weight.shape == (units, FEATURES)
    assert left.journal.epochs[selected - 1].size.units == {"hidden1": units}


def test_nothing_that_decides_reads_the_test_part() -> None:
    split = a_split()
    poisoned = replace(split, test=Part(split.test.x[:] * math.nan, (split.test.y + 1) % CLASSES))
    whole, blind = (trained(a_job(scripted(), split=given)) for given in (split, poisoned))
    assert outcomes(whole) == outcomes(blind)
    assert whole.journal.selected is not None
    assert blind.journal.selected is not None
    assert whole.journal.selected.epoch == blind.journal.selected.epoch
    assert whole.journal.test_score != blind.journal.test_score


# --- ends


def ended(left: Trained) -> TrialEndedError:
    assert isinstance(left.error, TrialEndedError), left.error
    assert left.journal.test_score is None, "a trial that is not ok is never scored on the test part"
    return left.error


def test_a_loss_that_is_not_finite_is_a_divergence() -> None:
    left = trained(a_job(scripted(Phase(9, 1e30))))
    end = ended(left)
    assert end.status == "diverged"
    assert str(end).startswith("the ")
    assert "loss was " in str(end)
    last = left.journal.epochs[-1]
    assert (last.train_loss, last.val_loss, last.val_score) == (None, None, None)
    assert f"in epoch {last.epoch}" in str(end)
    assert [epoch.epoch for epoch in left.journal.epochs] == list(range(1, last.epoch + 1))


def test_a_divergence_keeps_what_was_measured_before() -> None:
    left = trained(a_job(scripted(Phase(2, 0.1), Phase(2, 1e30))))
    assert ended(left).status == "diverged"
    assert left.journal.epochs[1].val_score is not None


def test_a_last_step_that_breaks_the_network_is_a_divergence() -> None:
    """The training loss is that of before the step, so only validation can tell."""
    left = trained(a_job(scripted(Phase(1, 1e38, steps_per_epoch=1))))
    assert ended(left).status == "diverged"
    assert "the validation loss was" in str(left.error)


def test_a_layer_without_units_is_a_collapse() -> None:
    left = trained(a_job(scripted(propose=remove("hidden1", 0, 1, 2, 3, 4, after_epoch=2))))
    end = ended(left)
    assert (end.status, str(end)) == ("collapsed", "hidden1 lost its last unit in epoch 2")
    assert left.units == [5]


def test_a_layer_without_a_weight_left_is_a_collapse() -> None:
    mask = Mask("hidden1.weight", torch.zeros(5, FEATURES, dtype=torch.bool))
    left = trained(a_job(scripted(propose=ending(mask, 2))))
    assert ended(left).status == "collapsed"
    assert [event.account for event in left.journal.events] == [{"emptied": ("hidden1",)}]


@pytest.mark.parametrize("certify", [False, True])
def test_edits_that_change_nothing_make_no_event(certify: bool) -> None:
    edits = (
        Remove("hidden1", ()),
        Mask("hidden1.weight", torch.ones(5, FEATURES, dtype=torch.bool)),
        Unmask("hidden1.weight", torch.arange(3)),
        Assign("output.bias", torch.zeros(0), torch.arange(0)),
        RemoveBlock("relu1"),
    )

    def without_activation(network: nn.Module) -> None:
        network.relu1 = nn.Identity()

    job = a_job(scripted(propose=lambda now: edits), certify=certify)
    left = trained(job, without_activation)
    assert left.error is None
    assert left.journal.events == []
    plain = trained(a_job(scripted()), without_activation)
    assert outcomes(left) == outcomes(plain)


def test_why_a_method_stopped_is_kept() -> None:
    left = trained(a_job(scripted(propose=ending(Stop("small enough"), 2))))
    assert left.journal.stop_reason == "small enough"
    assert left.journal.events == []
    assert trained(a_job(scripted())).journal.stop_reason == ""


def test_an_inserted_block_is_trained_with_the_rate_and_decay_of_its_phase() -> None:
    """Its gates are not decayed, though the network had none and so the optimizer no group of theirs."""
    torch.manual_seed(3)
    block = Residual(nn.Linear(5, 5), nn.ReLU())
    nn.init.zeros_(block.branch.weight)  # type: ignore[arg-type]
    nn.init.zeros_(block.branch.bias)  # type: ignore[arg-type]
    attach_gates(block, ["branch"], 0.5)
    insert = InsertBlock("relu1", block)
    method = scripted(Phase(2, 0.1, 0.3), Phase(1, 0.05, 0.2), propose=ending(insert, 1, 3))
    job = a_job(method)
    network, state = method.build(CELL, {})
    training = loop._Training(job, network, state, Journal(), lambda epoch: None)
    training.run()
    groups = training.step.optimizer.param_groups
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(0.05, 0.2), (0.05, 0.0)]
    assert [id(own) for own in groups[1]["params"]] == [id(network.get_parameter("relu1_1.branch.gate"))]
    weight = network.get_parameter("relu1_1.branch.weight")
    assert any(own is weight for own in groups[0]["params"])
    assert weight.abs().max() > 0
    [event] = training.journal.events
    assert event.account == {"inserted": ("relu1_1",)}


def test_a_trial_over_its_time_is_ended() -> None:
    left = trained(a_job(scripted(Phase(5, 0.1)), limit_seconds=1e-9))
    end = ended(left)
    assert (end.status, str(end)) == ("timed_out", "over its 1e-09 s in epoch 1")
    assert left.journal.train_flops == 6 * MACS * 8, "one batch was trained"


def test_what_a_method_raises_is_the_trials_fault() -> None:
    def fail(now: Situation) -> Sequence[Any]:
        if now.moment.epoch == 2:
            raise KeyError("mine")
        return ()

    left = trained(a_job(scripted(propose=fail)))
    assert isinstance(left.error, TrialFaultError)
    assert isinstance(left.error.cause, KeyError)
    assert len(left.journal.epochs) == 1
    assert all(seconds > 0 for what, seconds in left.journal.seconds.items() if what != "warm_up")


def test_no_time_goes_uncharged(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(seconds: float, then: Any) -> Any:
        def run(*arguments: Any) -> Any:
            time.sleep(seconds)
            return then(*arguments)

        return run

    monkeypatch.setattr(loop, "multiply_accumulates", slowly(0.05, multiply_accumulates))
    monkeypatch.setattr(loop, "evaluate", slowly(0.05, evaluate))
    monkeypatch.setattr(loop, "totals", slowly(0.05, totals))
    method = scripted(Phase(1, 0.1), propose=slowly(0.05, lambda now: ()))
    spent = trained(a_job(method)).journal.seconds
    assert spent["warm_up"] > 0.05  # looking at the network
    assert spent["train"] > 0.1  # edits, twice
    assert spent["evaluation"] > 0.1  # validation and test


def test_state_is_handed_on() -> None:
    @dataclass(frozen=True)
    class Counting(Scripted):
        def build(self, cell: Cell, params: Params) -> tuple[nn.Module, State]:
            return super().build(cell, params)[0], {"count": 10}

        def edits(self, now: Situation) -> tuple[State, Sequence[Any]]:
            self.seen.append(now.state["count"])
            return {"count": now.state["count"] + 1}, ()

    method = Counting((Phase(3, 0.1),))
    trained(a_job(method))
    assert method.seen == [10, 11, 12, 13]


# --- looking


class Noisy(nn.Module):
    """A network that looks different at each look in training mode: dropout, running statistics."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.hidden1, self.output = inner.get_submodule("hidden1"), inner.get_submodule("output")
        self.norm, self.drop = nn.BatchNorm1d(FEATURES), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.output(torch.relu(self.drop(self.hidden1(self.norm(x)))))
        return made


@dataclass(frozen=True)
class Looking(Scripted):
    """Asks for the loss of the same batch twice whenever it is asked."""

    looks: bool = True
    losses: list[tuple[float, float]] = field(default_factory=list)

    def build(self, cell: Cell, params: Params) -> tuple[nn.Module, State]:
        network, state = super().build(cell, params)
        return Noisy(network), state

    def edits(self, now: Situation) -> tuple[State, Sequence[Any]]:
        if self.looks:
            x, y = now.probe.batch(torch.Generator().manual_seed(0))
            first, second = (now.probe.loss(now.network, x, y).item() for _ in range(2))
            self.losses.append((first, second))
        return now.state, ()


def test_looking_changes_nothing() -> None:
    """The same loss twice, and a training that goes on as if nobody had looked."""
    looking = Looking((Phase(3, 0.1),))
    looked, left_alone = trained(a_job(looking)), trained(a_job(replace(looking, looks=False)))
    assert looked.error is left_alone.error is None
    assert len(looking.losses) == 4
    assert all(first == second for first, second in looking.losses)
    pair = outcomes(looked), outcomes(left_alone)
    costs = [(epoch.pop("train_flops"), other.pop("train_flops")) for epoch, other in zip(*pair, strict=True)]
    assert pair[0] == pair[1]
    assert all(charged > plain for charged, plain in costs), "looking is not for nothing"
    for name, tensor in left_alone.network.state_dict().items():
        assert torch.equal(tensor, looked.network.state_dict()[name]), name


def test_a_method_sees_the_intervals_so_far() -> None:
    histories: list[int] = []
    scores: list[list[float | None]] = []

    def propose(now: Situation) -> Sequence[Any]:
        histories.append(len(now.history))
        scores.append([epoch.val_score for epoch in now.history])
        return ()

    left = trained(a_job(Scripted((Phase(2, 0.1), Phase(1, 0.1)), propose)))
    assert histories == [0, 0, 1, 2], "an interval is measured after its edits"
    assert scores[-1] == [epoch.val_score for epoch in left.journal.epochs[:2]]
