"""The searcher that Tune asks for configurations: it deals bundles, and takes back what comes of them."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.search import Searcher

from harness.records.directory import RunDirectory
from harness.records.faults import attempt_name
from harness.records.record import Record
from harness.records.running import HUNG
from harness.runs.attempts import Attempt, EngineError
from harness.runs.executors.base import KEPT, EngineFaultError, ExecutorError
from harness.runs.giving_up import end_hung, give_up
from harness.runs.losses import MAX_LOSSES_IN_ALL

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
        self.out: dict[str, list[Attempt]] = {}
        self.begun: dict[str, str] = {}
        self.fault: ExecutorError | None = None
        #: Kind of a fault of ours, or the trial that it was met in -> the sentence about it.
        self.met: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        if self.fault or (self.deadline is not None and time.monotonic() > self.deadline):
            return Searcher.FINISHED
        bundle = self.dealer.deal(self.workers)
        if bundle is None:
            return Searcher.FINISHED if self.dealer.finished else None
        self.out[trial_id] = list(bundle.attempts)
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
        for attempt in reversed(left):
            name = attempt_name(attempt.trial.id, attempt.number)
            is_started = (attempt.trial.id, attempt.number) in started
            record = self.directory.store.read(attempt.trial.id)
            if record is not None:
                self._enter(record)
            elif not is_started or self.fault or self.dealer.is_stopped(attempt):
                self.dealer.return_unstarted(attempt)
            else:
                self.directory.log.write("lost", attempt.trial.id, attempt.number)
                behind = self.directory.running.take(name)
                if HUNG in behind.word:
                    self._enter(end_hung(self.dealer.plan, self.directory, attempt, behind))
                elif (what := self.directory.faults.read(name)) is not None:
                    self._meet(EngineError(attempt, what, self.directory.faults.path(name)), attempt, what)
                elif not self.dealer.lose(attempt, behind.epochs + 1):
                    self._enter(give_up(self.dealer.plan, self.directory, attempt, behind))
                elif self.dealer.is_lost_too_often(attempt):
                    self.fault = self.fault or ExecutorError(
                        f"trial {attempt.trial.id} of {attempt.trial.arm} lost its worker "
                        f"{MAX_LOSSES_IN_ALL} times, in one epoch or another: something outside the study "
                        f"ends workers, and no trial is held to account for it. {KEPT}"
                    )

    def stop(self) -> None:
        """The user stops the run: what was begun is not lost with its worker."""
        for left in self.out.values():
            self.directory.log.stopped([(attempt.trial.id, attempt.number) for attempt in left])

    # Tune wants to keep a copy of its searcher. There is nothing to keep: the records tell all.

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing."""

    def restore(self, checkpoint_path: str) -> None:
        """Take up nothing."""

    def _packed(self, bundle: "Bundle") -> str:
        deadline = None if self.deadline is None else time.time() + self.deadline - time.monotonic()
        return json.dumps(
            {"attempts": [asdict(attempt) for attempt in bundle.attempts], "deadline": deadline}
        )

    def _take(self, trial_id: str, result: dict[str, Any]) -> None:
        if "unkept" in result:
            self.fault = self.fault or ExecutorError(f"{self.directory.path}: {result['unkept']}")
        if "unprepared" in result:
            self.fault = self.fault or EngineFaultError(f"{result['unprepared']}. {KEPT}")
        left = self.out[trial_id]
        if left and "unreadable" in result:
            self.dealer.stop_arms_of(left[0], result["unreadable"])
        if left and left[0].trial.id == result.get("trial_id_short_of_memory"):
            self.dealer.return_short_of_memory(left.pop(0))
        done = result.get("trial_id_done")
        if left and left[0].trial.id == done:
            record = self.directory.store.read(done)
            assert record is not None, f"the worker says that {done} is recorded, and the store has no record"
            left.pop(0)
            self._enter(record)

    def _meet(self, error: EngineError, attempt: Attempt, what: str) -> None:
        """A worker left because of a fault that is ours or a device's: the study ends if it recurs.

        It recurs if another worker meets one of the same kind, or the same trial any. The worker has gone, so
        whoever meets one next is another.
        """
        kind = what.partition(":")[0]
        before = self.met.get(kind) or self.met.get(attempt.trial.id)
        if before is not None:
            self.fault = EngineFaultError(f"{error}; and before that, {before}. {KEPT}")
        self.met[kind] = self.met[attempt.trial.id] = str(error)
        self.dealer.return_unharmed(attempt)

    def _enter(self, record: Record) -> None:
        self.dealer.take(record)
        self.on_record(record)
