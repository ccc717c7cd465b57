"""Runs one trial of a plan: data, network, training, and the record of how it went."""

import dataclasses
import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from torch import nn

from harness import registry
from harness.architectures.weights import load_weights, shapes_of
from harness.datasets import forget_splits, load_split
from harness.datasets.base import DataError, Split
from harness.datasets.resizing import resized
from harness.records.making import make_record, now
from harness.records.plain_text import message_of, plain, traceback_of
from harness.records.provenance import cpu_name
from harness.records.record import Costs, Outcome, Record, Status
from harness.runs.origins import NEVER_LOOKED, watched
from harness.sizing.base import State, checked_phases
from harness.sizing.interval import Epoch
from harness.sizing.ledger.sparse import Sparsity
from harness.sizing.ledger.sparsity import entries_of, sparsity
from harness.sizing.origin import OriginOutcome
from harness.study.making import entry_named, make_augmentation
from harness.study.plan import Arm, Plan, Trial
from harness.study.training import LearningRateSchedule
from harness.study.weights import digest_of
from harness.training import fault, memory, speed
from harness.training.fault import TrialFaultError, heeding_interrupts, is_out_of_memory, strangers
from harness.training.journal import Journal, TrialEndedError
from harness.training.leaving import staying
from harness.training.loop import Job, train
from harness.training.precision import products
from harness.training.schedules import RateSchedule
from harness.training.step import StepSettings
from harness.training.surroundings import kept, seed_all
from harness.training.time_limit import OverdueError, coming_back


class DeviceError(RuntimeError):
    """A device does not compute any more, in this process at least."""


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
        registry.load_study_files(map(Path, self.plan.study.plugins))
        torch.set_num_threads(max(1, int(self.plan.study.resources.cpus)))
        # Gates and dying units leave numbers so small that the processor slows down a hundredfold on them.
        torch.set_flush_denormal(True)
        _warm_up(self._device())

    @kept()
    def run(
        self,
        trial: Trial,
        attempt: int,
        wait_seconds: float = 0.0,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        origin: OriginOutcome | None = None,
    ) -> Record:
        """Run a trial to its outcome: what its method or its network does wrong is in the record.

        What it sets in the process, for everyone, is set back.

        Args:
            trial: to be run.
            attempt: the how-manieth attempt this is, from 1.
            wait_seconds: that it waited for its worker.
            on_epoch: is told of every measured interval.
            origin: how the trial's origin ended, if it has one. If that failed, the trial ends as it did,
                unless its method can begin from it.

        Raises:
            DataError: if the data cannot be loaded: no trial of the arm can run then, so it is no outcome.
            DeviceError: if the device is broken, whatever that made of the trial.
            KeyboardInterrupt: if the user pressed Ctrl-C, and not if a method raised it.
            Whatever our own code raises goes through: it is no outcome either.
        """
        arm = self.plan.arms[trial.arm]
        journal = Journal()
        started_at = now()
        memory.begin(self._device())
        status: Status = "ok"
        message = trace = residence = ""
        looked: set[str] = set()
        left: Sparsity | None = None
        epochs_planned = arm.epochs
        limit_seconds = self.plan.study.training.time_limit_seconds
        try:
            with heeding_interrupts(), staying():
                if origin is not None:
                    if origin.has_failed:
                        self._begin_from_failed(arm, origin)
                    origin, looked = watched(origin)
                with journal.timed("warm_up"):
                    split = self.split(trial)
                    residence = split.residence
                    with coming_back(limit_seconds):
                        job, network, state = self.start(trial, split, origin)
                    epochs_planned = sum(int(phase.epochs) for phase in job.phases)
                started = entries_of(network)
                with products(job.step.precision):
                    train(job, network, state, journal, on_epoch)
                if journal.selected is not None:
                    with coming_back(limit_seconds), strangers:  # the network runs once more
                        left = sparsity(journal.selected.network, started, split.train.x[:1])
        except TrialEndedError as end:
            status, message = end.status, plain(str(end))
        except OverdueError as overdue:
            status, message = "timed_out", f"{overdue}, in epoch {len(journal.epochs) + 1}"
            trace = traceback_of(overdue)
        except TrialFaultError as theirs:
            status, message, trace = self._charge(theirs.cause)
        except Exception as error:
            if not is_out_of_memory(error):  # that it may be anywhere, in our own code too
                raise
            status, message, trace = self._charge(error)
        if status == "ok" and origin is not None and not looked:
            journal.notes.append(NEVER_LOOKED)
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
            stop_reason=journal.stop_reason,
            notes=tuple(journal.notes),
            best_test_scores=journal.best_test_scores,
            sparsity=left if selected else None,
        )
        peak_memory_bytes = memory.peak_bytes(self._device())  # before anything else is measured
        latency_ms, failure = self._latency(trial, journal) if selected else ({}, "")
        costs = self._costs(journal, wait_seconds, peak_memory_bytes, latency_ms, failure)
        return make_record(self.plan, trial, attempt, outcome, costs, started_at, residence)

    def free_memory(self) -> None:
        """Give back what earlier trials left: garbage, data sets kept for later, memory that torch keeps."""
        forget_splits()
        gc.collect()
        if self._device().type == "cuda":
            torch.cuda.empty_cache()

    def start(
        self, trial: Trial, split: Split, origin: OriginOutcome | None = None
    ) -> tuple[Job, nn.Module, State]:
        """What `train` wants of a trial: the job, the network before its first step, the method's state.

        Args:
            origin: as in `run`.

        Raises:
            TrialFaultError: for whatever the method or the network raises.
            DataError: if weights that the network starts with are not there any more.
        """
        study, arm = self.plan.study, self.plan.arms[trial.arm]
        method = self.plan.method(arm)
        cell = dataclasses.replace(self.plan.cell(arm, trial.params), origin=origin)
        schedule = dataclasses.replace(self.plan.schedule(arm, trial.params), origin=origin)
        weights, optimizer = self._weights(arm), self.plan.optimizer(arm)
        seed_all(trial.seeds["init"])
        with strangers:
            network, state = method.build(cell, trial.params)
            if weights is not None:
                _, free = shapes_of(
                    cell.architecture,
                    cell.example_shape,
                    cell.outputs,
                    method.start_sizes(cell, trial.params),
                )
                load_weights(network, weights, free)
            network.to(split.train.x.device)
            phases = checked_phases(method.phases(trial.params, schedule))
        job = Job(
            method=method,
            params=trial.params,
            cell=cell,
            phases=phases,
            split=split,
            objective=self.plan.objective,
            batch_size=self.plan.batch_size(arm, trial.params),
            step=StepSettings(
                optimizer.name,
                optimizer.options,
                study.training.precision,
                study.training.gradient_clip,
                study.training.compile,
            ),
            schedule=_rate_schedule(study.training.schedule),
            seeds=trial.seeds,
            limit_seconds=study.training.time_limit_seconds,
            certify=self.certify,
            seals_test_scores=self.plan.is_replayed(arm) and not trial.repeat,
            augmentation=make_augmentation(study.training.augmentation),
        )
        return job, network, state

    def split(self, trial: Trial) -> Split:
        """The trial's data on the device it trains on.

        Raises:
            DataError: if they cannot be loaded, or are no longer those that the trials were planned for.
        """
        arm = self.plan.arms[trial.arm]
        try:
            split = load_split(
                self.plan.dataset(arm),
                self.data_root,
                validation_fraction=self.plan.study.training.validation_fraction,
                split_seed=self.plan.split_seed(trial),
                device=self._device(),
                device_share=self.plan.study.resources.gpus or 1.0,
            )
        except OSError as error:
            raise DataError(f"data set {arm.dataset!r}: it cannot be read ({error})") from error
        if split.facts.fingerprint != self.plan.facts[arm.dataset].fingerprint:
            raise DataError(
                f"data set {arm.dataset!r}: its content changed while the study ran; put back what it was, "
                "or run the study on the new content into another directory with --out"
            )
        return resized(split, self.plan.study.training.resize)

    def _weights(self, arm: Arm) -> Path | None:
        """The file of weights that the arm's networks start with.

        Raises:
            DataError: if it cannot be read, or is no longer what the trials were planned for.
        """
        entry = entry_named(self.plan.study.architectures, arm.architecture)
        file: Path | None = entry.weights_file
        if file is not None:
            try:
                same = digest_of(file) == self.plan.sources[arm.key][entry.weights]
            except OSError as error:
                raise DataError(f"weights {file}: they cannot be read ({error})") from error
            if not same:
                raise DataError(
                    f"weights {file}: the content changed while the study ran; put back what it was, or run "
                    "the study on the new content into another directory with --out"
                )
        return file

    def _begin_from_failed(self, arm: Arm, origin: OriginOutcome) -> None:
        """End the trial as its origin ended, unless its method can begin from that.

        Raises:
            TrialEndedError: with the origin's status.
        """
        with strangers:
            can_begin = self.plan.method(arm).can_begin_from(origin)
        if not can_begin:
            status = next(status for status in get_args(Status) if status == origin.status)
            why = f": {origin.message}" if origin.message else ""
            raise TrialEndedError(
                status,
                f"not run, because its origin, trial {origin.trial_id} of {origin.arm}, ended as "
                f"{origin.status!r}{why}",
            )

    def _charge(self, error: BaseException) -> tuple[Status, str, str]:
        """What a trial is charged with: status, message, traceback.

        Raises:
            DeviceError: if the device computes nothing any more, so that nobody can say whose fault it was.
        """
        if not fault.answers(self._device()):
            raise DeviceError(f"the device is broken; it showed in {message_of(error)}") from error
        status: Status = "out_of_memory" if is_out_of_memory(error) else "crashed"
        return status, message_of(error), traceback_of(error)

    def _device(self) -> torch.device:
        return torch.device("cuda" if self.plan.study.resources.gpus else "cpu")

    def _latency(self, trial: Trial, journal: Journal) -> tuple[dict[int, float], str]:
        """Batch size -> milliseconds of the selected network, if the study asks; why one is missing.

        The trial has its outcome by then: its network has run on other batches, and what it does on these
        takes no score away. The time that it takes is no work of the method, and is charged to no trial.

        Raises:
            DeviceError: if the device is broken.
        """
        training, selected = self.plan.study.training, journal.selected
        measured: dict[int, float] = {}
        if not training.measure_speed or selected is None:
            return measured, ""
        shape = self.plan.cell(self.plan.arms[trial.arm], trial.params).example_shape
        limit_seconds = training.time_limit_seconds
        try:
            with (
                heeding_interrupts(),
                staying(),
                products(training.precision),
                coming_back(limit_seconds),
            ):
                for batch_size, latency_ms in speed.latencies_ms(selected.network, shape, self._device()):
                    measured[batch_size] = latency_ms
        except OverdueError as overdue:
            failure = str(overdue)
        except TrialFaultError as theirs:
            _, failure, _ = self._charge(theirs.cause)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            _, failure, _ = self._charge(error)
        else:
            failure = ""
        return measured, failure

    def _costs(
        self,
        journal: Journal,
        wait_seconds: float,
        peak_memory_bytes: int | None,
        latency_ms: dict[int, float],
        latency_failure: str,
    ) -> Costs:
        resources = self.plan.study.resources
        on_gpu = resources.gpus > 0
        return Costs(
            wait_seconds=wait_seconds,
            warm_up_seconds=journal.seconds["warm_up"],
            train_seconds=journal.seconds["train"],
            evaluation_seconds=journal.seconds["evaluation"],
            train_flops=journal.train_flops,
            peak_memory_bytes=peak_memory_bytes,
            latency_ms=latency_ms,
            latency_failure=latency_failure,
            device=torch.cuda.get_device_name() if on_gpu else cpu_name(),
            device_share=resources.gpus if on_gpu else resources.cpus,
        )


def _rate_schedule(asked: LearningRateSchedule) -> RateSchedule:
    return RateSchedule(asked.name, asked.options, asked.every, asked.warm_up_epochs)


def _warm_up(device: torch.device) -> None:
    """One step of a tiny network: what torch loads at its first step is charged to no trial."""
    network = nn.Linear(2, 2, device=device)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    network(torch.zeros(1, 2, device=device)).sum().backward()
    optimizer.step()
