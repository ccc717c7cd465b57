"""The searcher that Tune asks for configurations: it deals bundles, and takes back what comes of them."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.search import Searcher

from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.runs.giving_up import give_up
from harness.runs.tasks import Task

if TYPE_CHECKING:
    from harness.runs.dealing import Bundle, Dealer


class StartsWatcher(tune.Callback):
    """Tells the searcher when a worker begins a bundle: dealt bundles wait for a worker first."""

    def __init__(self, searcher: "DealingSearcher"):
        self.searcher = searcher

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.searcher.begin(trial.trial_id)


class DealingSearcher(Searcher):
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
