"""What taking dead units out saves: figure 1 of ShrinkNets at lambda = 1e-2, one thread, from its own study.

Bars: the whole training with removal is at least 15x faster than the same training in which dead units are
only held at zero (masks), so that every step costs the full 10,000 units; edits take at most 1 % of it. The
network of the final width, trained plainly from the start, has no bar: its ratio is reported, and how it
falls.

Predicted from the recorded run, before any of this was measured: its widths add up to 3.8 % of 100 x 10,000,
so masks should cost 26 times as much, or somewhat less, because a step of a small network pays for calls and
not for arithmetic; the ratio to the plain network should start above 100 and end a little above 1.

Masks for 100 epochs take half an hour or more: after one epoch to warm up, a few are measured, half of them
before the training with removal and half after it, and extrapolated. $HARNESS_MASK_EPOCHS says how many
epochs are trained with masks, warm-up included; with 100 nothing is extrapolated.
"""

import csv
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from itertools import accumulate
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from harness import surgery
from harness.datasets.base import Split
from harness.runs.run import plan_study
from harness.runs.trial_runner import TrialRunner
from harness.sizing.base import Situation, State
from harness.sizing.gates.units import gates
from harness.sizing.interval import Epoch
from harness.sizing.ledger.counting import FLOPS_PER_MAC, multiply_accumulates
from harness.sizing.methods.fixed import Fixed
from harness.sizing.methods.shrinknets import ShrinkNets
from harness.study.plan import Plan, Trial
from harness.surgery import Edit, Mask, Remove
from harness.training import loop
from harness.training.journal import Journal
from harness.training.loop import Job, train
from tests.benchmarks.timing import machine

STUDY, PENALTY = "shrinknets-figure-1", 1e-2
LEAST_SPEEDUP, LARGEST_SHARE = 15.0, 0.01
MASK_EPOCHS = 5
SHOWN_EPOCHS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 50, 100)
_TRIALS = Path(__file__).parents[2] / "studies" / "results" / STUDY / "trials.csv"


class MasksOnly(ShrinkNets):
    """Finds the same units dead at the same moments, but only holds their gates at zero."""

    def edits(self, now: Situation) -> tuple[State, Sequence[Edit]]:
        state, proposed = super().edits(now)
        gate_at, masks = gates(now.network), []
        for edit in proposed:
            assert isinstance(edit, Remove)
            keep = torch.ones_like(gate_at[edit.layer], dtype=torch.bool)
            keep[list(edit.units)] = False
            masks.append(Mask(f"{edit.layer}.gate", keep))
        return state, masks


@dataclass(slots=True)
class _Course:
    """How a training went. train_seconds, all_seconds: of each epoch, without and with its validation."""

    journal: Journal = field(default_factory=Journal)
    train_seconds: list[float] = field(default_factory=list)
    all_seconds: list[float] = field(default_factory=list)

    def close_epoch(self) -> None:
        trained = self.journal.seconds["train"]
        self.all_seconds.append(trained + self.journal.seconds["evaluation"] - sum(self.all_seconds))
        self.train_seconds.append(trained - sum(self.train_seconds))

    def live_units(self, layer: str) -> list[int]:
        """At the end of each epoch; masked units are still there, but not alive."""
        live = []
        for epoch in self.journal.epochs:
            accounts = [event.account for event in self.journal.events if event.epoch <= epoch.epoch]
            masked = sum(account.get("masked", {}).get(f"{layer}.gate", 0) for account in accounts)
            live.append(epoch.size.units[layer] - masked)
        return live


class _Stopwatch:
    """Adds up the seconds spent in functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - start

        return call


def _train(
    job: Job,
    network: nn.Module,
    state: State,
    after_epoch: Callable[[_Course], None] = lambda course: None,
) -> _Course:
    """Train without a time limit; `after_epoch` is charged to nobody."""
    course = _Course()

    def on_epoch(entry: Epoch) -> None:
        course.close_epoch()
        after_epoch(course)

    train(replace(job, limit_seconds=math.inf), network, state, course.journal, on_epoch)
    return course


def _trial(plan: Plan) -> Trial:
    (trial,) = (
        trial
        for trials in plan.frozen.values()
        for trial in trials
        if plan.arms[trial.arm].dataset == "mnist" and trial.params["lambda"] == PENALTY
    )
    return trial


@dataclass(slots=True)
class _Figure:
    """The three trainings, each from the trial's own seeds. removal_seconds: of `removal`, in edits."""

    runner: TrialRunner
    trial: Trial
    layer: str
    masks: _Course = field(init=False)
    removal: _Course = field(init=False)
    plain: _Course = field(init=False)
    removal_seconds: float = 0.0

    def measure(self, split: Split, mask_epochs: int) -> None:
        """Train with masks; in the middle of it, with removal and plainly."""
        job, network, state = self.runner.start(self.trial, split)
        assert type(job.method) is ShrinkNets
        (phase,) = job.phases
        job = replace(
            job,
            method=MasksOnly(**vars(job.method)),
            phases=(replace(phase, epochs=mask_epochs),),
        )

        def between(course: _Course) -> None:
            epoch = len(course.train_seconds)
            print(f"  masks, epoch {epoch}: {course.train_seconds[-1]:.2f} s", flush=True)
            if epoch == 1 + (mask_epochs - 1) // 2:
                self._measure_others(*self.runner.start(self.trial, split))

        self.masks = _train(job, network, state, between)

    def _measure_others(self, job: Job, network: nn.Module, state: State) -> None:
        # What a removal costs: finding dead units, taking them out, counting again what is left.
        watch = _Stopwatch()
        with (
            patch.object(ShrinkNets, "edits", watch.timed(ShrinkNets.edits)),
            patch.object(surgery, "apply", watch.timed(surgery.apply)),
            patch.object(loop, "multiply_accumulates", watch.timed(multiply_accumulates)),
        ):
            self.removal = _train(job, network, state)
        self.removal_seconds = watch.seconds
        plan, sizes = self.runner.plan, self.removal.journal.epochs[-1].size.units
        torch.manual_seed(self.trial.seeds["init"])
        network, state = Fixed().build(job.cell, sizes)
        phases = Fixed().phases(sizes, plan.schedule(plan.arms[self.trial.arm], self.trial.params))
        self.plain = _train(replace(job, method=Fixed(), params=sizes, phases=phases), network, state)

    def print_masks(self) -> bool:
        """With removal against masks; whether the bar is kept."""
        epochs = len(self.removal.train_seconds)
        measured = self.masks.train_seconds[1:]
        whole = len(self.masks.train_seconds) >= epochs
        removal, removal_all = sum(self.removal.train_seconds), sum(self.removal.all_seconds)
        if whole:
            masks, masks_all = sum(self.masks.train_seconds), sum(self.masks.all_seconds)
            print(f"\nmasks: {masks:.1f} s, all {epochs} epochs trained")
        else:
            masks = epochs * statistics.mean(measured)
            masks_all = epochs * statistics.mean(self.masks.all_seconds[1:])
            print(
                f"\nmasks: {masks:.0f} s, EXTRAPOLATED: {epochs} x the mean of {len(measured)} epochs "
                f"measured after one to warm up ({self.masks.train_seconds[0]:.2f} s)"
            )
        print(
            f"  {len(measured)} epochs measured, {min(measured):.2f} to {max(measured):.2f} s: "
            f"spread {max(measured) / min(measured) - 1:.1%}"
        )
        journal = self.removal.journal
        assert journal.start_size is not None
        widths = [journal.start_size.units[self.layer], *self.removal.live_units(self.layer)[:-1]]
        less = epochs * widths[0] / sum(widths)
        print(
            f"removal: {removal:.1f} s, all {epochs} epochs trained; their widths add up to {sum(widths)}: "
            f"{less:.1f}x less arithmetic"
        )
        speedup = masks / removal
        print(f"training with removal is {speedup:.1f}x faster than with masks (at least {LEAST_SPEEDUP:g}x)")
        if not whole:
            low, high = (epochs * edge(measured) / removal for edge in (min, max))
            print(f"  {low:.1f}x by the fastest, {high:.1f}x by the slowest epoch with masks")
        print(f"  validation included: {masks_all / removal_all:.1f}x")
        return speedup >= LEAST_SPEEDUP

    def print_removal(self) -> bool:
        """Removal's own share; whether the bar is kept."""
        trained = sum(self.removal.train_seconds)
        share = self.removal_seconds / trained
        removals = len(self.removal.journal.events)
        print(
            f"\nremoval itself: {removals} removals and the search for dead units took "
            f"{self.removal_seconds:.2f} s of {trained:.1f} s of training: {share:.2%} "
            f"(at most {LARGEST_SHARE:.0%})"
        )
        return share <= LARGEST_SHARE

    def print_plain(self) -> None:
        """With removal against the final width from the start, and how the ratio falls."""
        units, removal, plain = (
            self.removal.live_units(self.layer),
            self.removal.train_seconds,
            self.plain.train_seconds,
        )
        usual = statistics.median(plain)
        print(
            f"\nplain network of {units[-1]} units from the start: {sum(plain):.1f} s; "
            f"median epoch {usual:.3f} s ({min(plain):.3f} to {max(plain):.3f})\n"
            f"whole training with removal / plain: {sum(removal) / sum(plain):.2f}; validation included: "
            f"{sum(self.removal.all_seconds) / sum(self.plain.all_seconds):.2f}"
        )
        print("  epoch  units left  with removal   / plain epoch  / plain up to here")
        so_far = [own / other for own, other in zip(accumulate(removal), accumulate(plain), strict=True)]
        for epoch in SHOWN_EPOCHS:
            left, own, ratio = units[epoch - 1], removal[epoch - 1], so_far[epoch - 1]
            print(f"  {epoch:5d}  {left:10d}  {own:10.3f} s  {own / usual:14.2f}  {ratio:18.2f}")

    def print_agreement(self) -> None:
        """Whether masks and removal train the same network, over the epochs both ran."""
        masks, removal = self.masks.journal.epochs, self.removal.journal.epochs
        live = list(zip(self.masks.live_units(self.layer), self.removal.live_units(self.layer), strict=False))
        print(f"\nmasks and removal over the {len(live)} epochs both ran (float32)")
        print("  epoch   live units       training loss                   validation loss")
        largest = 0.0
        for ours, theirs, (masked, left) in zip(masks, removal, live, strict=False):
            losses = [(ours.train_loss, theirs.train_loss), (ours.val_loss, theirs.val_loss)]
            cells = []
            for one, other in losses:
                assert one is not None
                assert other is not None
                largest = max(largest, abs(one - other) / abs(other))
                cells.append(f"{one:.8f} {other:.8f}")
            if ours.epoch in (*SHOWN_EPOCHS, len(live)):
                print(f"  {ours.epoch:5d}  {masked:5d} {left:5d}  " + "  ".join(cells))
        units = max(abs(masked - left) / left for masked, left in live)
        same = next((epoch for epoch, (masked, left) in enumerate(live) if masked != left), len(live))
        print(
            f"largest relative difference: units {units:.2e}, losses {largest:.2e}; "
            f"live units are the same up to epoch {same}"
        )


def _print_prediction(epochs: int, start: int, examples: int, unit_macs: int) -> None:
    with open(_TRIALS, encoding="utf-8", newline="") as file:
        (recorded,) = (
            row
            for row in csv.DictReader(file)
            if row["dataset"] == "mnist" and float(row["param_lambda"]) == PENALTY
        )
    widths, full = float(recorded["train_flops"]) / (FLOPS_PER_MAC * examples * unit_macs), epochs * start
    left = sum(json.loads(recorded["units"]).values())
    print(
        f"predicted from the recorded run, {left} units left: widths of its epochs add up to "
        f"{widths:.0f} of {epochs} x {start} = {full}: {full / widths:.1f}x faster at most"
    )


def main() -> bool:
    """Print all figures; whether both bars are kept."""
    data = os.environ.get("HARNESS_DATA")
    print(f"{machine()}; 1 torch thread")
    if not data:
        print("NOT MEASURED: HARNESS_DATA is not set; it names the folder with MNIST")
        return False
    mask_epochs = int(os.environ.get("HARNESS_MASK_EPOCHS", MASK_EPOCHS))
    plan = plan_study(STUDY, Path(data))
    trial = _trial(plan)
    arm = plan.arms[trial.arm]
    cell = plan.cell(arm, trial.params)
    (layer,) = cell.architecture.sized_layers
    if not 3 <= mask_epochs <= arm.epochs:
        print(f"NOT MEASURED: HARNESS_MASK_EPOCHS must be 3 to {arm.epochs}, found {mask_epochs}")
        return False
    runner = TrialRunner(plan, Path(data))
    runner.prepare_worker()
    split = runner.split(trial)
    examples = len(split.train)
    _print_prediction(arm.epochs, cell.start[layer], examples, math.prod(cell.example_shape) + cell.outputs)
    print(f"trial {trial.id}: {examples} examples, batches of {plan.study.training.batch_size}", flush=True)
    figure = _Figure(runner, trial, layer)
    figure.measure(split, mask_epochs)
    figure.print_agreement()
    figure.print_plain()
    return all([figure.print_masks(), figure.print_removal()])
