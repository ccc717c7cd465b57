"""The training loop: phases, steps, edits, validation, selection. Knows no Ray and no Optuna."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from harness import surgery
from harness.datasets.augmentation import Augmentation, Batch
from harness.datasets.base import Part, Split
from harness.datasets.on_demand import batches
from harness.objectives.base import Objective
from harness.objectives.mixture import batch_loss
from harness.records.record import Event
from harness.sizing.base import Cell, Moment, Params, Phase, Situation, SizingMethod, State
from harness.sizing.gates.units import gate_parameters
from harness.sizing.interval import Epoch
from harness.sizing.ledger.counting import FLOPS_PER_MAC, multiply_accumulates
from harness.sizing.ledger.measure import measure
from harness.sizing.probe import Probe
from harness.study.optimizers import OPTIMIZERS
from harness.surgery.edits import NetworkEdit, NextPhase, Stop
from harness.training.fault import refusals, strangers
from harness.training.journal import Journal, Selected, TrialEndedError
from harness.training.proposals import checked_edits
from harness.training.scoring import evaluate

#: On so many a certificate compares outputs.
_CERTIFIED_EXAMPLES = 64


@dataclass(frozen=True, slots=True)
class Job:
    """One training to be done: everything is decided, nothing is searched.

    optimizer: a class name of torch.optim with its options. limit_seconds: for the whole training.
    seeds: "order" for the order of examples, "method" for the method's choices; "init" was used in building.
    certify: measure how much each edit changed the network's output, and enter it with the event.
    """

    method: SizingMethod
    params: Params
    cell: Cell
    phases: Sequence[Phase]
    split: Split
    objective: Objective
    batch_size: int
    optimizer: str
    optimizer_options: Mapping[str, Any]
    seeds: Mapping[str, int]
    limit_seconds: float
    certify: bool = False
    augmentation: Augmentation | None = None


def train(
    job: Job, network: nn.Module, state: State, journal: Journal, on_epoch: Callable[[Epoch], None]
) -> None:
    """Train a network to the end of its phases, writing all that is measured into the journal.

    Raises:
        TrialEndedError: diverged, collapsed, timed_out.
        TrialFaultError: for whatever the method or the network raises, and for proposals that are refused.
            What `on_epoch` raises goes through, and so does what is nobody's but ours.
    """
    with journal.timed("warm_up"):
        training = _Training(job, network, state, journal, on_epoch)
    training.run()


@contextmanager
def _in_evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Every module as it was afterwards: parts that a network keeps in evaluation mode stay so."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


class _Training:
    """The state of one training; `run` is the whole of its use."""

    def __init__(
        self,
        job: Job,
        network: nn.Module,
        state: State,
        journal: Journal,
        on_epoch: Callable[[Epoch], None],
    ) -> None:
        self.job, self.network, self.state, self.journal, self.on_epoch = (
            job,
            network,
            state,
            journal,
            on_epoch,
        )
        device = job.split.train.x.device
        self.example = job.split.train.x[:1]
        with strangers:
            numbers = job.method.numbers(job.cell, job.params)
            self.numbers = {name: torch.tensor(value, device=device) for name, value in numbers.items()}
        self.order = torch.Generator().manual_seed(job.seeds["order"])
        self.choices = torch.Generator().manual_seed(job.seeds["method"])
        self.probe = Probe(job.split.train, job.batch_size, job.objective)
        self.step = self.epoch = 0
        self.deadline = time.perf_counter() + job.limit_seconds
        with strangers:  # torch refuses networks that it cannot train
            self.optimizer = self._make_optimizer()
        self._structure_changed()
        with strangers:  # the network may lack a layer that its architecture names
            self.sized_layers = tuple(job.cell.architecture.sized_layers)
            journal.start_size = measure(network, self.sized_layers, self.macs)

    def run(self) -> None:
        with self.journal.timed("train"):
            ended = self._edit(Moment(0, 0, 0, epoch_ended=False, phase_ended=False), self.job.phases[0])
        skipped = ended is NextPhase
        for index, phase in enumerate(self.job.phases):
            if ended is Stop:
                break
            if index or not skipped:
                ended = self._run_phase(index, phase)
        if self.journal.selected is not None:
            with self.journal.timed("evaluation"):
                _, self.journal.test_score = evaluate(
                    self.journal.selected.network, self.job.split.test, self.job.objective
                )

    def _run_phase(self, index: int, phase: Phase) -> type | None:
        for group in self.optimizer.param_groups:
            group["lr"] = phase.learning_rate
            group["weight_decay"] = phase.weight_decay * group["decays"]
        for interval in range(phase.epochs):
            self.epoch += 1
            with self.journal.timed("train"):
                train_loss, ended = self._run_interval(index, phase)
                last = interval == phase.epochs - 1
                moment = Moment(index, self.epoch, self.step, epoch_ended=True, phase_ended=last)
                ended = ended or self._edit(moment, phase)
            self._close_epoch(phase, train_loss)
            if ended is not None:
                return ended
        return None

    def _run_interval(self, index: int, phase: Phase) -> tuple[float, type | None]:
        """Train one measured interval; mean loss, and what ended it early if anything did."""
        part, size = self.job.split.train, self.job.batch_size
        with strangers:
            self.network.train()
        total = torch.zeros((), device=part.x.device)
        seen, steps, ended = 0, 0, None
        wanted = phase.steps_per_epoch or math.ceil(len(part) / size)
        while steps < wanted and ended is None:
            for batch in self._batches(part, size):
                count = len(batch.y)
                total += self._step(batch, phase) * count
                self.journal.train_flops += FLOPS_PER_MAC * self.macs * count
                seen, steps = seen + count, steps + 1
                if time.perf_counter() > self.deadline:
                    raise TrialEndedError(
                        "timed_out", f"over its {self.job.limit_seconds:g} s in epoch {self.epoch}"
                    )
                if phase.edit_every_steps and self.step % phase.edit_every_steps == 0:
                    moment = Moment(index, self.epoch, self.step, epoch_ended=False, phase_ended=False)
                    ended = self._edit(moment, phase)
                if steps == wanted or ended is not None:
                    break
        mean = float(total) / seen
        if not math.isfinite(mean):
            self._diverge(phase, f"the training loss was {mean}")
        return mean, ended

    def _batches(self, part: Part, size: int) -> Iterator[Batch]:
        """One pass over the training part, in an order of its own, augmented if the study asks for it."""
        order = torch.randperm(len(part), generator=self.order)
        augmentation = self.job.augmentation
        if augmentation is None:
            for x, y in batches(part, order, size):
                yield Batch(x, y)
            return
        draws = augmentation.draw(len(part), part.x.shape[1:], self.order, part.x.device)
        for start, (x, y) in zip(range(0, len(part), size), batches(part, order, size), strict=True):
            yield augmentation.apply(x, y, draws, start)

    def _step(self, batch: Batch, phase: Phase) -> Tensor:
        """One optimizer step; returns the mean loss of the batch, without the penalty."""
        with strangers:
            self.optimizer.zero_grad(set_to_none=True)
            loss = batch_loss(self.job.objective, self.network(batch.x), batch)
            penalty = self.job.method.penalty(self.tensors, self.numbers)
            (loss if penalty is None else loss + penalty).backward()
            self.optimizer.step()
        self.step += 1
        with strangers, torch.no_grad():
            changed = self.job.method.after_step(self.all_tensors, self.numbers, phase.learning_rate)
            for name, value in changed.items():
                self.all_tensors[name].copy_(value)
        surgery.hold_masks(self.network)
        return loss.detach()

    def _edit(self, moment: Moment, phase: Phase) -> type | None:
        """Ask the method for edits and apply them; what ends the phase (NextPhase) or the trial (Stop)."""
        now = Situation(
            moment,
            self.network,
            self.state,
            self.job.params,
            self.job.cell,
            self.probe,
            self.choices,
            tuple(self.journal.epochs),
        )
        with strangers, _in_evaluation_mode(self.network):
            self.state, proposed = self.job.method.edits(now)
            edits = checked_edits(proposed)
        ended: type | None = None
        on_network: list[NetworkEdit] = []
        for edit in edits:
            if isinstance(edit, NextPhase | Stop):
                ended = type(edit)
                self.journal.stop_reason = edit.reason if isinstance(edit, Stop) else ""
            else:
                on_network.append(edit)
        if on_network:
            certify = self.job.certify
            example = self.job.split.train.x[:_CERTIFIED_EXAMPLES] if certify else self.example
            with refusals:
                receipt = surgery.apply(self.network, self.optimizer, on_network, example, certify=certify)
            if receipt.is_empty:
                return ended
            account = {what: found for what, found in asdict(receipt).items() if found}
            if receipt.output_change is not None:
                # A network on its way to divergence gives numbers that no record can hold.
                changes = receipt.output_change
                account["output_change"] = [change if math.isfinite(change) else None for change in changes]
            self.journal.events.append(Event(self.epoch, self.step, account))
            if receipt.emptied:
                dead = ", ".join(receipt.emptied)
                raise TrialEndedError("collapsed", f"{dead} lost its last unit in epoch {self.epoch}")
            self._structure_changed()
        return ended

    def _structure_changed(self) -> None:
        """Look again at what depends on the structure."""
        with strangers:
            self.tensors = dict(self.network.named_parameters())
            self.all_tensors = self.tensors | dict(self.network.named_buffers())
            self.macs = multiply_accumulates(self.network, self.example)
        self.copy_is_stale = True

    def _close_epoch(self, phase: Phase, train_loss: float) -> None:
        """Validate, enter the epoch into the journal, keep the network if it is the best so far."""
        with self.journal.timed("evaluation"):
            val_loss, val_score = evaluate(self.network, self.job.split.validation, self.job.objective)
        if not math.isfinite(val_loss):
            self._diverge(phase, f"the validation loss was {val_loss}")
        size = measure(self.network, self.sized_layers, self.macs)
        entry = Epoch(self.epoch, phase.name, train_loss, val_loss, val_score, size)
        self.journal.epochs.append(entry)
        kept = self.journal.selected
        if phase.selectable and (kept is None or self.job.objective.is_better(val_score, kept.val_score)):
            with strangers:  # copying runs code of theirs
                copied = self._copy_of_network(kept)
            self.journal.selected = Selected(self.epoch, val_score, copied)
        self.on_epoch(entry)

    def _copy_of_network(self, kept: Selected | None) -> nn.Module:
        if kept is None or self.copy_is_stale:
            self.copy_is_stale = False
            return copy.deepcopy(self.network)
        # Same structure: writing into the old copy is several times cheaper than making a new one.
        source = self.network.state_dict()
        for name, tensor in kept.network.state_dict().items():
            tensor.copy_(source[name])
        return kept.network

    def _diverge(self, phase: Phase, what: str) -> NoReturn:
        size = measure(self.network, self.sized_layers, self.macs)
        self.journal.epochs.append(Epoch(self.epoch, phase.name, None, None, None, size))
        raise TrialEndedError("diverged", f"{what} in epoch {self.epoch}")

    def _make_optimizer(self) -> torch.optim.Optimizer:
        """Gates in a group of their own, which weight decay does not touch."""
        gate_names = gate_parameters(self.network)
        groups: list[dict[str, Any]] = [
            {"params": [], "decays": 1.0},
            {"params": [], "decays": 0.0},
        ]
        for name, parameter in self.network.named_parameters():
            groups[name in gate_names]["params"].append(parameter)
        options = dict(self.job.optimizer_options)
        if OPTIMIZERS[self.job.optimizer].is_fused:
            options["fused"] = True
        kind: type[torch.optim.Optimizer] = getattr(torch.optim, self.job.optimizer)
        return kind([group for group in groups if group["params"]], **options)
