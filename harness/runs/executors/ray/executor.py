"""Runs a study on Ray: one Tuner for all arms, long-lived workers that take bundles.

Every Tune "trial" is a bundle. Ray Tune places workers, reuses them, and notices when one dies; the searcher
deals. Records are written by the workers, so that nothing finished is lost with the driver; the run
directory must therefore be visible to all nodes.
"""

import json
import os
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # our records are the log
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Ctrl-C stops at once: there is nothing to save

from ray import tune
from ray.tune.search import Searcher

from harness.datasets.base import DataError
from harness.runs.executors.base import ExecutorError
from harness.runs.executors.ray.connection import connection
from harness.runs.giving_up import give_up
from harness.study.plan import Plan, Trial
from harness.records.record import Record
from harness.records.directory import RunDirectory
from harness.runs.tasks import Task, run_task

if TYPE_CHECKING:  # brings Optuna, which workers do without: every import is time before their first trial
    from harness.runs.dealing import Bundle, Dealer
    from harness.runs.trial_runner import TrialRunner


@dataclass(frozen=True, slots=True)
class RayTuneExecutor:
    """Workers of a Ray cluster that is connected; made by `connected`."""

    plan: Plan
    data_root: Path | None
    directory: RunDirectory
    certify: bool
    workers: int

    def run(self, dealer: "Dealer", on_record: Callable[[Record], None], deadline: float | None) -> None:
        """See `Executor.run`."""
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(self.workers)
        scratch = self.directory.path / ".tune"
        shutil.rmtree(scratch, ignore_errors=True)
        searcher = _DealingSearcher(dealer, self.directory, self.workers, on_record, deadline)
        resources = self.plan.study.resources
        trainable = tune.with_resources(
            tune.with_parameters(
                _Worker,
                plan=self.plan,
                data_root=self.data_root,
                directory=self.directory,
                certify=self.certify,
            ),
            {"cpu": resources.cpus, "gpu": resources.gpus},
        )
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(search_alg=searcher, num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                name="bundles",
                storage_path=str(scratch.resolve()),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),
                callbacks=[_StartsWatcher(searcher)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            tuner.fit()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if searcher.fault:
            raise ExecutorError(searcher.fault)


@contextmanager
def connected(
    plan: Plan, data_root: Path | None, directory: RunDirectory, certify: bool, address: str | None
) -> Iterator[RayTuneExecutor]:
    """An executor on a cluster, for as long as the block runs; arguments and errors as in `connection`."""
    with connection(plan, address) as workers:
        yield RayTuneExecutor(plan, data_root, directory, certify, workers)


class _Worker(tune.Trainable):
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
        # A worker told to go goes at once. Ray's own answer is SystemExit in the middle of a step, which
        # would pass for the method's and be recorded as its crash.
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(1))
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
        self.tasks = [Task(Trial(**task["trial"]), task["attempt"]) for task in bundle["tasks"]]
        self.deadline = bundle["deadline"]
        self.taken_at = time.time()
        return True

    def step(self) -> dict[str, Any]:
        try:
            runner = self.runner
            if self.deadline is not None and time.time() > self.deadline:
                return {"done": True}
            task = self.tasks.pop(0)
            run_task(runner, self.directory, task, time.time() - self.taken_at)
        except (DataError, OSError) as error:
            return {"fault": str(error), "done": True}
        except Exception:  # noqa: BLE001 - not the method's doing: told to the driver, which ends the run
            return {"fault": f"a worker could not go on:\n{traceback.format_exc()}", "done": True}
        return {"trial_id_done": task.trial.id, "done": not self.tasks}


class _StartsWatcher(tune.Callback):
    """Tells the searcher when a worker begins a bundle: dealt bundles wait for a worker first."""

    def __init__(self, searcher: "_DealingSearcher"):
        self.searcher = searcher

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.searcher.begin(trial.trial_id)


class _DealingSearcher(Searcher):
    """Answers Tune's wish for the next configuration with the next bundle, and takes what comes back."""

    def __init__(
        self,
        dealer: "Dealer",
        directory: RunDirectory,
        workers: int,
        on_record: Callable[[Record], None],
        deadline: float | None,
    ):
        super().__init__(metric="training_iteration", mode="max")
        self.dealer, self.directory, self.workers = dealer, directory, workers
        self.on_record, self.deadline = on_record, deadline
        self.out: dict[str, list[Task]] = {}
        self.begun: dict[str, str] = {}
        self.fault = ""

    def suggest(self, trial_id: str) -> Any:
        if self.fault or (self.deadline is not None and time.monotonic() > self.deadline):
            return Searcher.FINISHED
        bundle = self.dealer.deal(self.workers)
        if bundle is None:
            return Searcher.FINISHED if self.dealer.finished else None
        self.out[trial_id] = list(bundle.tasks)
        return {"bundle": self._packed(bundle)}

    def begin(self, trial_id: str) -> None:
        """A worker has begun the bundle."""
        if self.out.get(trial_id):
            self.begun[trial_id] = self.out[trial_id][0].trial.arm
            self.dealer.running[self.begun[trial_id]] += 1

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._take(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if result:
            self._take(trial_id, result)
        left = self.out.pop(trial_id)
        if trial_id in self.begun:
            self.dealer.running[self.begun.pop(trial_id)] -= 1
        if not left:
            return
        # What has its record is done, whatever became of the worker after it.
        started = {(line["trial_id"], line["attempt"]) for line in self.directory.log.read()}
        for task in reversed(left):
            record = self.directory.store.read(task.trial.id)
            if record is not None:
                self._enter(record)
            elif (task.trial.id, task.attempt) not in started or self.fault:
                self.dealer.return_unstarted(task)
            else:
                self.directory.log.write("lost", task.trial.id, task.attempt)
                if not self.dealer.lose(task):
                    self._enter(give_up(self.dealer.plan, self.directory, task))

    # Tune wants to keep a copy of its searcher. There is nothing to keep: the records tell all.

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing."""

    def restore(self, checkpoint_path: str) -> None:
        """Take up nothing."""

    def _packed(self, bundle: "Bundle") -> str:
        deadline = None if self.deadline is None else time.time() + self.deadline - time.monotonic()
        return json.dumps({"tasks": [asdict(task) for task in bundle.tasks], "deadline": deadline})

    def _take(self, trial_id: str, result: dict[str, Any]) -> None:
        self.fault = self.fault or result.get("fault", "")
        done, left = result.get("trial_id_done"), self.out[trial_id]
        if left and left[0].trial.id == done:
            record = self.directory.store.read(done)
            assert record is not None, f"the worker says that {done} is recorded, and the store has no record"
            left.pop(0)
            self._enter(record)

    def _enter(self, record: Record) -> None:
        self.dealer.take(record)
        self.on_record(record)
