"""Runs one trial of a plan: data, network, training, and the record of how it went."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from harness import registry
from harness.datasets import load_split
from harness.datasets.base import DataError, Split
from harness.records.making import make_record, now
from harness.records.plain_text import message_of, plain, traceback_of
from harness.records.provenance import cpu_name
from harness.records.record import Costs, Epoch, Outcome, Record, Status
from harness.sizing.base import State
from harness.study.plan import Arm, Plan, Trial
from harness.training.journal import Journal, TrialEndedError
from harness.training.loop import Job, train


@dataclass(frozen=True, slots=True)
class TrialRunner:
    """What a worker needs to run trials of one plan.

    data_root: folder of the data sets; None for those that need none. certify: have every edit's record tell
    how much it changed the network's output.
    """

    plan: Plan
    data_root: Path | None
    certify: bool = False

    def prepare_worker(self) -> None:
        """Settings of the process, the same in every executor, so that all give the same bits."""
        for plugin in self.plan.study.plugins:
            registry.load_file(Path(plugin))
        torch.set_num_threads(max(1, int(self.plan.study.resources.cpus)))
        # Gates and dying units leave numbers so small that the processor slows down a hundredfold on them.
        torch.set_flush_denormal(True)
        _warm_up(self._device())

    def run(
        self,
        trial: Trial,
        attempt: int,
        wait_seconds: float = 0.0,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> Record:
        """Run a trial to its outcome. Whatever goes wrong inside the method or the training is in the record.

        Raises:
            DataError: if the data cannot be loaded: no trial of the arm can run then, so it is no outcome.
        """
        arm = self.plan.arms[trial.arm]
        journal = Journal()
        started_at = now()
        status: Status = "ok"
        message = trace = ""
        epochs_planned = arm.epochs
        with journal.timed("warm_up"):
            split = self.split(arm)
        try:
            with journal.timed("warm_up"):
                job, network, state = self.start(trial, split)
                epochs_planned = sum(phase.epochs for phase in job.phases)
            train(job, network, state, journal, on_epoch)
        except TrialEndedError as end:
            status, message = end.status, plain(str(end))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a method's fault is its trial's outcome
            status, message, trace = _status_of(error), message_of(error), traceback_of(error)
        if status == "ok" and journal.selected is None:
            status, message = "crashed", "the method's phases allow no epoch to be selected"
        selected = journal.selected if status == "ok" else None
        outcome = Outcome(
            status,
            epochs_planned,
            message,
            trace,
            journal.epochs,
            journal.events,
            journal.start_size,
            selected_epoch=selected.epoch if selected else None,
            val_score=selected.val_score if selected else None,
            test_score=journal.test_score if selected else None,
        )
        return make_record(self.plan, trial, attempt, outcome, self._costs(journal, wait_seconds), started_at)

    def start(self, trial: Trial, split: Split) -> tuple[Job, nn.Module, State]:
        """What `train` wants of a trial: the job, the network before its first step, the method's state.

        Whatever the method raises goes through.
        """
        study, arm = self.plan.study, self.plan.arms[trial.arm]
        cell, method = self.plan.cell(arm), self.plan.method(arm)
        torch.manual_seed(trial.seeds["init"])
        network, state = method.build(cell, trial.params)
        network.to(split.train.x.device)
        job = Job(
            method=method,
            params=trial.params,
            cell=cell,
            phases=method.phases(trial.params, self.plan.schedule(arm)),
            split=split,
            batch_size=study.training.batch_size,
            optimizer=study.training.optimizer.name,
            optimizer_options=study.training.optimizer.options,
            seeds=trial.seeds,
            limit_seconds=study.training.time_limit_seconds,
            certify=self.certify,
        )
        return job, network, state

    def split(self, arm: Arm) -> Split:
        """The arm's data on the device it trains on.

        Raises:
            DataError: if they cannot be loaded, or are no longer those that the trials were planned for.
        """
        split = load_split(
            self.plan.dataset(arm),
            self.data_root,
            validation_fraction=self.plan.study.training.validation_fraction,
            split_seed=self.plan.study.seeds.split,
            device=self._device(),
        )
        if split.facts.fingerprint != self.plan.facts[arm.dataset].fingerprint:
            raise DataError(
                f"data set {arm.dataset!r}: its content changed while the study ran; put back what it was, "
                "or run the study on the new content into another directory with --out"
            )
        return split

    def _device(self) -> torch.device:
        return torch.device("cuda" if self.plan.study.resources.gpus else "cpu")

    def _costs(self, journal: Journal, wait_seconds: float) -> Costs:
        resources = self.plan.study.resources
        on_gpu = resources.gpus > 0
        return Costs(
            wait_seconds=wait_seconds,
            warm_up_seconds=journal.seconds["warm_up"],
            train_seconds=journal.seconds["train"],
            evaluation_seconds=journal.seconds["evaluation"],
            train_flops=journal.train_flops,
            device=torch.cuda.get_device_name() if on_gpu else cpu_name(),
            device_share=resources.gpus if on_gpu else resources.cpus,
        )


def _warm_up(device: torch.device) -> None:
    """One step of a tiny network: what torch loads at its first step is charged to no trial."""
    network = nn.Linear(2, 2, device=device)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    functional.cross_entropy(
        network(torch.zeros(1, 2, device=device)), torch.zeros(1, dtype=torch.long, device=device)
    ).backward()
    optimizer.step()


def _status_of(error: BaseException) -> Status:
    """Out of memory, however torch says it, or a crash."""
    is_short = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return "out_of_memory" if is_short or "can't allocate memory" in message_of(error) else "crashed"
