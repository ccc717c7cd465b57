"""The worker of a Ray cluster. Nothing here loads torch or Optuna before a worker's first step."""

import json
import os
import signal
import socket
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from harness.datasets.base import DataError
from harness.records.directory import RunDirectory
from harness.runs.attempts import Attempt, EngineError, run_attempt
from harness.study.plan import Plan, Trial

if TYPE_CHECKING:
    from harness.runs.trial_runner import TrialRunner


class Worker(tune.Trainable):
    """One worker: runs a bundle's trials one a step, and is then given the next bundle."""

    def setup(  # type: ignore[override]
        self,
        config: dict[str, Any],
        plan: Plan,
        data_root: Path | None,
        directory: RunDirectory,
        certify: bool,
    ) -> None:
        self.plan, self.data_root, self.directory, self.certify = plan, data_root, directory, certify
        # A worker told to go goes at once. Ray's and Python's own answers are SystemExit and
        # KeyboardInterrupt in the middle of a step, which would pass for the method's and be recorded as
        # its crash.
        leave = os._exit  # a trial has another
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: leave(1))
        self.reset_config(config)

    @cached_property
    def runner(self) -> "TrialRunner":
        """Made at the first step, not in `setup`: it brings torch, seconds of loading, and while a worker is
        being set up Tune kills it as soon as another comes free, only to start a new one for what follows.
        """
        from harness.runs.trial_runner import TrialRunner

        runner = TrialRunner(self.plan, self.data_root, self.certify)
        runner.prepare_worker()
        self.taken_at = time.time()  # what a worker takes to start is no trial's waiting
        return runner

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        bundle = json.loads(new_config["bundle"])
        self.attempts = [
            Attempt(**attempt | {"trial": Trial(**attempt["trial"])}) for attempt in bundle["attempts"]
        ]
        self.deadline = bundle["deadline"]
        self.taken_at = time.time()
        return True

    def step(self) -> dict[str, Any]:
        try:
            runner = self.runner
        except Exception as error:  # noqa: BLE001 - told to the driver, which ends the run
            trace = self.directory.faults.write(f"worker-{socket.gethostname()}-{os.getpid()}", error)
            what = f"a worker cannot begin: {self.directory.faults.read(trace.stem)}"
            return {"unprepared": f"{what}; the traceback lies in {trace}", "done": True}
        if self.deadline is not None and time.time() > self.deadline:
            return {"done": True}
        attempt = self.attempts.pop(0)
        try:
            record = run_attempt(
                runner, self.directory, attempt, time.time() - self.taken_at, may_end_process=True
            )
        except DataError as error:
            return {"unreadable": str(error), "done": True}
        except EngineError:
            os._exit(1)  # nothing here is to be trusted any more; the driver finds what was kept of it
        except OSError as error:
            return {"unkept": f"the record of trial {attempt.trial.id} cannot be kept: {error}", "done": True}
        done = "trial_id_done" if record is not None else "trial_id_short_of_memory"
        return {done: attempt.trial.id, "done": not self.attempts}
