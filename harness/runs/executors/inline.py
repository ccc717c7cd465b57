"""Runs everything in this process, one trial after the other: for debugging, tests, machines without Ray."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.datasets.base import DataError
from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.runs.attempts import EngineError, run_attempt
from harness.runs.dealing import Dealer
from harness.runs.executors.base import KEPT, EngineFaultError, ExecutorError, ResourcesError
from harness.runs.trial_runner import TrialRunner
from harness.study.plan import Plan


@dataclass(frozen=True, slots=True)
class InlineExecutor:
    """One worker: this process."""

    plan: Plan
    data_root: Path | None
    directory: RunDirectory
    certify: bool = False
    workers: int = 1

    def run(self, dealer: Dealer, on_record: Callable[[Record], None], deadline: float | None) -> None:
        """See `Executor.run`. An interrupted trial leaves no record and runs again."""
        gpus = self.plan.study.resources.gpus
        if gpus and not torch.cuda.is_available():
            raise ResourcesError(
                f"resources.gpus: {gpus:g} GPU is asked for each trial, and this machine has none that torch "
                "can use; write 0 to run on the CPU"
            )
        runner = TrialRunner(self.plan, self.data_root, self.certify)
        runner.prepare_worker()
        while (bundle := dealer.deal(self.workers)) is not None:
            taken_at = time.monotonic()
            dealer.running[bundle.arm] += 1
            left = deque(bundle.attempts)
            while left and not dealer.is_stopped(left[0]):
                if deadline is not None and time.monotonic() > deadline:
                    return
                attempt = left[0]
                try:
                    record = run_attempt(
                        runner, self.directory, attempt, time.monotonic() - taken_at, may_end_process=False
                    )
                except KeyboardInterrupt:
                    self.directory.log.stopped([(attempt.trial.id, attempt.number)])
                    raise
                except DataError as error:
                    dealer.stop_arms_of(attempt, str(error))
                    continue
                except EngineError as error:
                    raise EngineFaultError(f"{error}. {KEPT}") from error
                except OSError as error:
                    raise ExecutorError(
                        f"{self.directory.path}: the record of trial {attempt.trial.id} cannot be kept "
                        f"({error})"
                    ) from error
                left.popleft()
                if record is None:
                    dealer.return_short_of_memory(attempt)
                    continue
                dealer.take(record)
                on_record(record)
            for attempt in reversed(left):
                dealer.return_unstarted(attempt)
            dealer.running[bundle.arm] -= 1
