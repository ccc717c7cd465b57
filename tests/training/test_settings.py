"""What a study may ask of every step: schedules, precision, clipping, compiling, intervals without a step."""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from harness.sizing.base import Phase, Situation
from harness.study.schedulers import SCHEDULERS, check_schedule
from harness.surgery import Remove
from harness.training import memory
from harness.training.schedules import PhaseRate, RateSchedule
from harness.training.step import StepSettings
from tests.training.small import Scripted, Trained, a_job, trained


def rates(schedule: RateSchedule, *phases: Phase) -> list[float]:
    """The rate of every step, as a method's `after_step` is told of it."""
    seen: list[float] = []

    class Noting(Scripted):
        def after_step(self, tensors: Any, numbers: Any, learning_rate: float) -> dict[str, torch.Tensor]:
            seen.append(learning_rate)
            return {}

    left = trained(replace(a_job(Noting(phases)), schedule=schedule, batch_size=10))
    assert left.error is None
    return seen


def test_without_a_schedule_a_phase_keeps_its_rate() -> None:
    assert rates(RateSchedule(), Phase(2, 0.1), Phase(1, 0.5)) == [0.1] * 4 + [0.5] * 2


def test_a_schedule_multiplies_each_phases_rate_and_begins_anew() -> None:
    halved = RateSchedule("StepLR", {"step_size": 1, "gamma": 0.5})
    assert rates(halved, Phase(2, 0.1), Phase(1, 0.5)) == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.5, 0.5])
    each_step = RateSchedule("StepLR", {"step_size": 1, "gamma": 0.5}, every="step")
    assert rates(each_step, Phase(2, 0.8)) == pytest.approx([0.8, 0.4, 0.2, 0.1])


def test_the_warm_up_comes_once() -> None:
    warm = RateSchedule(warm_up_epochs=2)
    found = rates(warm, Phase(3, 0.4), Phase(1, 1.0))
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 1.0, 1.0])


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_schedulers_are_torchs_own(name: str) -> None:
    """The rate of an optimizer under torch's scheduler, divided by its first; every option is known."""
    needs: dict[str, dict[str, Any]] = {
        "StepLR": {"step_size": 2},
        "MultiStepLR": {"milestones": [1, 3]},
        "ExponentialLR": {"gamma": 0.7},
        "CosineAnnealingWarmRestarts": {"T_0": 2},
        "CyclicLR": {"base_lr": 0.1, "max_lr": 1.0},
        "OneCycleLR": {"max_lr": 1.0},
    }
    needed = needs.get(name, {})
    check_schedule(name, needed, "epoch")
    ours = PhaseRate(RateSchedule(name, needed), epochs=5, steps_per_epoch=3)
    theirs = dict(needed)
    if (length := SCHEDULERS[name].length) is not None:
        theirs[length] = 5
    if name in ("CyclicLR", "OneCycleLR"):
        theirs["cycle_momentum"] = False
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler: Any = getattr(torch.optim.lr_scheduler, name)(optimizer, **theirs)
    for epoch, loss in enumerate([1.0, 0.5, 0.5, 0.5, 0.5]):
        assert ours.factor(3 * epoch) == optimizer.param_groups[0]["lr"]
        ours.epoch_ended(loss)
        optimizer.step()
        scheduler.step(loss) if SCHEDULERS[name].reads_loss else scheduler.step()
    parameters = inspect.signature(type(scheduler).__init__).parameters
    assert SCHEDULERS[name].options.keys() <= parameters.keys()
    without_default = {p.name for p in parameters.values() if p.default is p.empty} - {"self", "optimizer"}
    filled = {SCHEDULERS[name].length}
    assert without_default - filled == set(SCHEDULERS[name].needed) - filled


def test_one_cycle_shorter_than_the_phase_ends_at_its_last_rate() -> None:
    options = {"max_lr": 2.0, "total_steps": 5}
    rate = PhaseRate(RateSchedule("OneCycleLR", options, "step"), epochs=2, steps_per_epoch=4)
    seen = []
    for step in range(8):
        seen.append(rate.factor(step))
        rate.step_ended()
    assert seen[4:] == [seen[4]] * 4
    assert seen[4] < min(seen[:4])


@pytest.mark.parametrize(
    ("name", "options", "every", "words"),
    [
        ("CosinAnnealingLR", {}, "epoch", "there is no scheduler 'CosinAnnealingLR'; did you mean"),
        ("StepLR", {}, "epoch", "StepLR needs the option 'step_size'"),
        ("StepLR", {"step_size": 0}, "epoch", "step_size is a whole number from 1, found 0"),
        ("StepLR", {"stepsize": 3}, "epoch", "no option 'stepsize'"),
        ("MultiStepLR", {"milestones": [3, 1]}, "epoch", "rising list"),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "mode": "square"}, "step", "mode is one of triangular"),
        ("LambdaLR", {}, "epoch", "which a study file cannot hold"),
        ("ReduceLROnPlateau", {}, "step", "once an epoch, not each step"),
        ("ReduceLROnPlateau", {"factor": 1.5}, "epoch", "factor is a number below 1, found 1.5"),
        ("OneCycleLR", {"max_lr": 1, "pct_start": 7}, "step", "pct_start is a number from 0 to 1, found 7"),
        ("OneCycleLR", {"max_lr": 1, "div_factor": 0}, "step", "div_factor is a number above 0"),
        ("LinearLR", {"start_factor": 0}, "step", "start_factor is a number above 0, to 1, found 0"),
    ],
)
def test_schedules_that_cannot_be(name: str, options: dict[str, Any], every: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_schedule(name, options, every)


def settings_of(**changes: Any) -> Trained:
    left = trained(replace(a_job(Scripted((Phase(2, 0.1),))), step=StepSettings("SGD", {}, **changes)))
    assert left.error is None
    return left


def test_bf16_rounds_and_is_not_far_off() -> None:
    exact, rounded = settings_of(), settings_of(precision="bf16")
    losses = [[epoch.train_loss for epoch in left.journal.epochs] for left in (exact, rounded)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert all(p.dtype == torch.float32 for p in rounded.network.parameters())


def test_a_clipped_gradient_moves_no_further_than_its_norm() -> None:
    job = replace(
        a_job(Scripted((Phase(1, 1.0, steps_per_epoch=1),))), step=StepSettings("SGD", {}, gradient_clip=1e-3)
    )
    torch.manual_seed(job.seeds["init"])
    before, _ = job.method.build(job.cell, {})
    left = trained(job)
    moved = [
        (new - old).norm() for new, old in zip(left.network.parameters(), before.parameters(), strict=True)
    ]
    assert float(torch.stack(moved).norm()) == pytest.approx(1e-3, rel=1e-3)


def test_what_cannot_be_compiled_is_trained_as_it_is_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(network: nn.Module) -> Any:
        def call(x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no compiler here")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    plain, tried = settings_of(), settings_of(compiled=True)
    assert [e.outcome() for e in plain.journal.epochs] == [e.outcome() for e in tried.journal.epochs]
    [note] = tried.journal.notes
    assert note.startswith("could not be compiled")
    assert "no compiler here" in note


def test_compiled_once_the_structure_has_stood_for_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[int] = []
    epoch = [0]

    def note(network: nn.Module) -> nn.Module:
        compiled.append(epoch[0])
        return network

    def propose(now: Situation) -> Sequence[Any]:
        epoch[0] = now.moment.epoch
        return (Remove("hidden1", (0,)),) if now.moment.epoch == 2 else ()

    monkeypatch.setattr(torch, "compile", note)
    job = a_job(Scripted((Phase(4, 0.1),), propose=propose))
    left = trained(replace(job, step=StepSettings("SGD", {}, compiled=True)))
    assert left.error is None
    assert compiled == [1, 3]


def test_an_interval_without_a_step_edits_and_measures() -> None:
    """Delete, measure, delete: a validation score after each, and no step in between."""

    def propose(now: Situation) -> Sequence[Any]:
        return (Remove("hidden1", (0,)),) if now.moment.epoch > 1 else ()

    left = trained(a_job(Scripted((Phase(1, 0.1), Phase(3, 0.1, steps_per_epoch=0)), propose=propose)))
    assert left.error is None
    assert left.units == [5, 4, 3, 2]
    assert [epoch.train_loss is None for epoch in left.journal.epochs] == [False, True, True, True]
    assert len({epoch.train_flops for epoch in left.journal.epochs}) == 1
    assert all(epoch.val_score is not None for epoch in left.journal.epochs)


def test_costs_of_intervals_add_up() -> None:
    left = settings_of()
    flops = [epoch.train_flops for epoch in left.journal.epochs]
    seconds = [epoch.train_seconds or 0.0 for epoch in left.journal.epochs]
    assert flops == [left.journal.train_flops // 2, left.journal.train_flops]
    assert 0 < seconds[0] < seconds[1] <= left.journal.seconds["train"]


def test_test_scores_are_sealed_at_every_epoch_that_was_the_best_so_far() -> None:
    job = a_job(Scripted((Phase(6, 0.5),)))
    plain, sealing = trained(job), trained(replace(job, seals_test_scores=True))
    assert plain.journal.best_test_scores == {}
    best, expected = -1.0, []
    for epoch in sealing.journal.epochs:
        if epoch.val_score is not None and epoch.val_score > best:
            best = epoch.val_score
            expected.append(epoch.epoch)
    assert list(sealing.journal.best_test_scores) == expected
    assert sealing.journal.best_test_scores[expected[-1]] == sealing.journal.test_score
    assert [e.outcome() for e in plain.journal.epochs] == [e.outcome() for e in sealing.journal.epochs]


def test_the_peak_of_memory_forgets_what_was_before() -> None:
    cpu = torch.device("cpu")
    memory.begin(cpu)
    low = memory.peak_bytes(cpu)
    held = torch.ones(30_000_000)
    high = memory.peak_bytes(cpu)
    assert low is not None
    assert high is not None
    assert high - low >= 0.8 * held.numel() * 4
