"""The training loop: phases, intervals, edits, validation, selection. Knows no Ray and no Optuna."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from harness.datasets.augmentation import Augmentation, Batch
from harness.datasets.base import Split
from harness.datasets.on_demand import batches
from harness.objectives.base import Objective
from harness.sizing.base import Cell, Moment, Params, Phase, SizingMethod, State
from harness.sizing.interval import Epoch
from harness.sizing.ledger.counting import FLOPS_PER_MAC, multiply_accumulates
from harness.sizing.ledger.measure import measure, survey
from harness.surgery.edits import NextPhase, Stop
from harness.surgery.tracing.computed import copied
from harness.training.editing import Editor
from harness.training.fault import strangers
from harness.training.journal import Journal, Selected, TrialEndedError
from harness.training.schedules import PhaseRate, RateSchedule
from harness.training.scoring import evaluate, read, totals
from harness.training.step import Step, StepSettings
from harness.training.time_limit import coming_back


@dataclass(frozen=True, slots=True)
class Job:
    """One training to be done: everything is decided, nothing is searched.

    seeds: "order" for the order of examples, "method" for the method's choices; "init" was used in building.
    limit_seconds: for the whole training. certify: measure how much each edit changed the network's output,
    and enter it with the event. seals_test_scores: take the test score of every epoch that is the best so
    far, for pruners that are replayed later; nothing here reads them.
    """

    method: SizingMethod
    params: Params
    cell: Cell
    phases: Sequence[Phase]
    split: Split
    objective: Objective
    batch_size: int
    step: StepSettings
    seeds: Mapping[str, int]
    limit_seconds: float
    schedule: RateSchedule = field(default_factory=RateSchedule)
    augmentation: Augmentation | None = None
    certify: bool = False
    seals_test_scores: bool = False


def train(
    job: Job, network: nn.Module, state: State, journal: Journal, on_epoch: Callable[[Epoch], None]
) -> None:
    """Train a network to the end of its phases, writing all that is measured into the journal.

    Raises:
        TrialEndedError: diverged, collapsed, timed_out.
        OverdueError: if a call did not come back.
        TrialFaultError: for whatever the method or the network raises, and for proposals that are refused.
            What `on_epoch` raises goes through, and so does what is nobody's but ours.
    """
    with coming_back(job.limit_seconds):
        with journal.timed("warm_up"):
            training = _Training(job, network, state, journal, on_epoch)
        training.run()
    with coming_back(job.limit_seconds):
        training.test()


class _Losses:
    """Losses of an interval's steps, read back to the host at its end and no sooner."""

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._counts: list[int] = []

    def add(self, loss: Tensor, examples: int) -> None:
        """One more step."""
        self._losses.append(loss)
        self._counts.append(examples)

    def stacked(self, device: torch.device) -> Tensor:
        """[steps], float64, on the device."""
        if not self._losses:
            return torch.zeros(0, dtype=torch.float64, device=device)
        return torch.stack(self._losses).to(torch.float64)

    def mean(self, losses: Sequence[float]) -> float | None:
        """Their mean over examples; None if there was no step. Added up in float32, step by step, so that a
        device and the host give the same digits."""
        if not self._counts:
            return None
        total = np.float32(0)
        with np.errstate(over="ignore", invalid="ignore"):
            for loss, count in zip(losses, self._counts, strict=True):
                total = total + np.float32(loss) * np.float32(count)
        return float(total) / sum(self._counts)


class _Training:
    """The state of one training; `run` and then `test` are the whole of its use."""

    def __init__(
        self,
        job: Job,
        network: nn.Module,
        state: State,
        journal: Journal,
        on_epoch: Callable[[Epoch], None],
    ) -> None:
        self.job, self.network, self.journal, self.on_epoch = job, network, journal, on_epoch
        self.device = job.split.train.x.device
        self.example = job.split.train.x[:1]
        with strangers:
            numbers = {
                name: torch.tensor(value, device=self.device)
                for name, value in job.method.numbers(job.cell, job.params).items()
            }
        self.order = torch.Generator().manual_seed(job.seeds["order"])
        self.steps_done = self.epoch = self.structures = 0
        self.deadline = time.perf_counter() + job.limit_seconds
        self.step = Step(
            job.step, job.method, job.objective, network, numbers, self.device, journal.notes.append
        )
        self.editor = Editor(
            job.method,
            job.params,
            job.cell,
            job.split.train,
            job.objective,
            job.batch_size,
            torch.Generator().manual_seed(job.seeds["method"]),
            job.certify,
            network,
            state,
            journal,
        )
        self._structure_changed()
        with strangers:  # the network may lack a layer that its architecture names
            self.sized_layers = tuple(job.cell.architecture.sized_layers)
            journal.start_size = measure(network, self.sized_layers, self.macs)

    def run(self) -> None:
        with self.journal.timed("train"):
            ended = self._edit(Moment(0, 0, 0, epoch_ended=False, phase_ended=False))
        skipped = ended is NextPhase
        for index, phase in enumerate(self.job.phases):
            if ended is Stop:
                break
            if index or not skipped:
                ended = self._run_phase(index, phase)

    def test(self) -> None:
        """Take the test score of the network that was selected, if any was."""
        if self.journal.selected is not None:
            with self.journal.timed("evaluation"):
                self.journal.test_score = self._test_score(self.journal.selected.network)

    def _run_phase(self, index: int, phase: Phase) -> type | None:
        self.phase, self.phase_index = phase, index
        one_pass = math.ceil(len(self.job.split.train) / self.job.batch_size)
        self.steps_wanted = one_pass if phase.steps_per_epoch is None else phase.steps_per_epoch
        self.rate = PhaseRate(self.job.schedule, phase.epochs, self.steps_wanted)
        self.step.set_rates(phase.learning_rate, phase.weight_decay)
        for interval in range(phase.epochs):
            self.epoch += 1
            structure = self.structures
            with self.journal.timed("train"):
                losses, ended = self._run_interval(index, phase)
                if self.device.type == "cuda":
                    torch.cuda.synchronize(self.device)  # or its steps would be charged to the evaluation
                if ended is None:
                    last = interval == phase.epochs - 1
                    moment = Moment(index, self.epoch, self.steps_done, epoch_ended=True, phase_ended=last)
                    ended = self._edit(moment, losses)
            self._close_epoch(phase, losses)
            if ended is not None:
                return ended
            if self.structures == structure:
                self.step.structure_stood()
        return None

    def _run_interval(self, index: int, phase: Phase) -> tuple[_Losses, type | None]:
        """Train one measured interval; its losses, and what ended it early if anything did.

        Nothing of it is read back from the device.
        """
        with strangers:
            self.network.train()
        losses, steps, ended = _Losses(), 0, None
        rate_moves = not self.job.schedule.is_constant
        while steps < self.steps_wanted and ended is None:
            for batch in self._batches():
                if rate_moves:
                    self.step.set_rate(phase.learning_rate * self.rate.factor(self.steps_done))
                examples = len(batch.y)
                losses.add(self.step(batch), examples)
                self.journal.train_flops += FLOPS_PER_MAC * self.macs * examples
                steps, self.steps_done = steps + 1, self.steps_done + 1
                if rate_moves:
                    self.rate.step_ended()
                if time.perf_counter() > self.deadline:
                    raise TrialEndedError(
                        "timed_out", f"over its {self.job.limit_seconds:g} s in epoch {self.epoch}"
                    )
                if phase.edit_every_steps and self.steps_done % phase.edit_every_steps == 0:
                    moment = Moment(index, self.epoch, self.steps_done, epoch_ended=False, phase_ended=False)
                    ended = self._edit(moment)
                if steps == self.steps_wanted or ended is not None:
                    break
        return losses, ended

    def _batches(self) -> Iterator[Batch]:
        """One pass over the training part, in an order of its own, augmented if the study asks for it."""
        part, size = self.job.split.train, self.job.batch_size
        order = torch.randperm(len(part), generator=self.order)
        augmentation = self.job.augmentation
        if augmentation is None:
            return batches(part, order, size)
        draws = augmentation.draw(len(part), part.x.shape[1:], self.order, self.device)
        starts = range(0, len(part), size)
        pairs = zip(starts, batches(part, order, size), strict=True)
        return (augmentation.apply(batch, draws, start) for start, batch in pairs)

    def _edit(self, moment: Moment, losses: _Losses | None = None) -> type | None:
        """Have the method asked for edits, and these carried out; what ends the phase or the trial.

        Args:
            losses: of the interval that has just ended. Should they not be finite, the training has diverged,
                whatever the method makes of such a network.
        """

        def still_finite() -> None:
            if losses is not None:
                self._check_finite(losses.mean(losses.stacked(self.device).tolist()))

        done = self.editor.edit(moment, self.step.optimizer, self.example, still_finite)
        if done.changed:
            self._structure_changed()
        return done.ended

    def _structure_changed(self) -> None:
        """Look again at what depends on the structure."""
        self.structures += 1
        with strangers:
            self.step.structure_changed()
            self.macs = multiply_accumulates(self.network, self.example)
        self.copy_is_stale = True

    def _close_epoch(self, phase: Phase, losses: _Losses) -> None:
        """Validate, enter the epoch into the journal, keep the network if it is the best so far.

        All that is read back from the device comes in one transfer.
        """
        objective, validation = self.job.objective, self.job.split.validation
        with self.journal.timed("evaluation"):
            found = survey(self.network, self.sized_layers, self.macs)
            scored = totals(self.network, validation, objective)
            trained = losses.stacked(self.device)
            *numbers, nonzeros = torch.cat([trained, scored, found.nonzeros.reshape(1)]).tolist()
            train_loss = losses.mean(numbers[: len(trained)])
        size = found.size(int(nonzeros))
        self._check_finite(train_loss)
        with self.journal.timed("evaluation"):
            val_loss, val_score = read(numbers[len(trained) :], len(validation), objective)
        if not (math.isfinite(val_loss) and math.isfinite(val_score)):
            what = "loss" if not math.isfinite(val_loss) else objective.score_name
            self._diverge(f"the validation {what} was {val_loss if what == 'loss' else val_score}")
        self.rate.epoch_ended(val_loss)
        entry = Epoch(
            self.epoch,
            phase.name,
            train_loss,
            val_loss,
            val_score,
            size,
            self.journal.train_flops,
            self.journal.seconds["train"],
            self.steps_done,
            self.phase_index,
        )
        self.journal.epochs.append(entry)
        kept = self.journal.selected
        if phase.selectable and (kept is None or objective.is_better(val_score, kept.val_score)):
            with strangers:  # copying runs code of theirs
                copied = self._copy_of_network(kept)
            self.journal.selected = Selected(self.epoch, val_score, copied)
            if self.job.seals_test_scores:
                with self.journal.timed("evaluation"):
                    self.journal.best_test_scores[self.epoch] = self._test_score(copied)
        self.on_epoch(entry)

    def _test_score(self, network: nn.Module) -> float:
        return evaluate(network, self.job.split.test, self.job.objective)[1]

    def _copy_of_network(self, kept: Selected | None) -> nn.Module:
        if kept is None or self.copy_is_stale:
            self.copy_is_stale = False
            return copied(self.network)
        # Same structure: writing into the old copy is several times cheaper than making a new one.
        source = self.network.state_dict()
        for name, tensor in kept.network.state_dict().items():
            tensor.copy_(source[name])
        return kept.network

    def _check_finite(self, train_loss: float | None) -> None:
        if train_loss is not None and not math.isfinite(train_loss):
            self._diverge(f"the training loss was {train_loss}")

    def _diverge(self, what: str) -> NoReturn:
        size = measure(self.network, self.sized_layers, self.macs)
        place = {"step": self.steps_done, "phase_index": self.phase_index}
        self.journal.epochs.append(Epoch(self.epoch, self.phase.name, None, None, None, size, **place))
        raise TrialEndedError("diverged", f"{what} in epoch {self.epoch}")
