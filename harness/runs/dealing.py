"""Deals a plan's trials out in bundles, and takes their records back. Owned by the driver alone.

Frozen searches lie open from the start. An adaptive search is asked for a round, and for the next only when
every trial of the round has its record; it is told in plan order. So what is searched does not depend on
which executor runs it, how many workers there are, or how often the run was stopped and taken up again: on
taking up, the adaptive searches are asked and told again from the records there are.

A trial that begins from another (a control) is held until that one has its record, however it ended, and so
have all that it began from itself.

A trial that ran out of memory may only have had the wrong neighbours. It is dealt once more, and alone: when
nothing else is out or left to deal, and nothing else until it is back. So is a trial whose workers died twice
in the same epoch, for if that happens again it is the trial's own doing.
"""

import math
from collections import Counter, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from harness.records.record import Record
from harness.records.stopped import tell
from harness.runs.attempts import Attempt
from harness.runs.holding import Held
from harness.runs.losses import Losses
from harness.search.pruners import of_search
from harness.search.samplers import Search, make_sampler
from harness.study.origins import Controls, controls_of
from harness.study.plan import Arm, Plan, Trial
from harness.trial_table import SEARCHED

#: Work that a worker takes at once: enough to drown the cost of dealing (some 50 ms), little enough that
#: the driver's view stays fresh.
BUNDLE_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Bundle:
    """Trials of one arm that one worker runs one after the other."""

    attempts: tuple[Attempt, ...]

    @property
    def arm(self) -> str:
        """The arm of its trials."""
        return self.attempts[0].trial.arm


@dataclass(slots=True)
class _Round:
    """An adaptive search and the trials it waits for."""

    search: Search
    arm: Arm
    replicate: int
    asked: list[Trial] = field(default_factory=list)
    next_index: int = 0


class Dealer:
    """Deals bundles of a plan's missing trials, the arms in turn."""

    def __init__(
        self,
        plan: Plan,
        records: Mapping[str, Record],
        starts: Mapping[str, int],
        arms: Collection[str] | None = None,
    ) -> None:
        """
        Args:
            records: what earlier runs left.
            starts: trial id -> how often earlier runs started it.
            arms: keys of the arms to deal; None for all.
        """
        self.plan = plan
        self.records = dict(records)
        self.trials: dict[str, Trial] = {}
        self._starts = dict(starts)
        self._losses = Losses()
        self._waiting: dict[str, deque[Trial]] = {key: deque() for key in plan.arms}
        self._held, self._controls = Held(), Controls(plan)
        self._turn = deque(key for key in plan.arms if arms is None or key in arms)
        self._dealt = dict.fromkeys(plan.arms, 0)
        self._ran_out: set[str] = set()
        self._to_be_alone: deque[Trial] = deque()
        self._alone_is_out = False
        #: Who has whole GPUs has them alone anyway; cores and shares of a GPU share their memory.
        self._shares_memory = plan.study.resources.gpus < 1
        #: Data set -> why it cannot be read. Its arms are not dealt any more.
        self.unreadable: dict[str, str] = {}
        #: Arm -> bundles that a worker is at, one trial at a time; kept by the executor, for whoever watches.
        self.running: Counter[str] = Counter()
        self._seconds: dict[str, list[float]] = {key: [] for key in plan.arms}
        frozen = [trial for trials in plan.frozen.values() for trial in trials]
        self.trials |= {trial.id: trial for trial in frozen}  # an arm may come before what it begins from
        for trial in frozen:
            self._add(trial)
        self._rounds = [
            _Round(make_search(plan, arm, replicate), arm, replicate)
            for arm in plan.arms.values()
            if arm.sampling in SEARCHED and arm.origin is None
            for replicate in range(arm.sampler.replicates)
        ]
        for pending in self._rounds:
            self._advance(pending)

    def deal(self, workers: int) -> Bundle | None:
        """The next bundle; None if there is nothing to deal now. `finished` says whether there will be.

        Args:
            workers: how many run at once; bundles shrink towards the end so that all stay busy.
        """
        is_any_out = any(self._dealt.values())
        if self._alone_is_out and is_any_out:
            return None
        self._alone_is_out = False
        for _ in range(len(self._turn)):
            key = self._turn[0]
            self._turn.rotate(-1)
            if waiting := self._waiting[key]:
                count = min(len(waiting), self._bundle_size(key, workers))
                trials = [waiting.popleft() for _ in range(count)]
                self._dealt[key] += count
                return Bundle(tuple(map(self._attempt, trials)))
        if self._to_be_alone and not is_any_out:
            trial = self._to_be_alone.popleft()
            self._dealt[trial.arm] += 1
            self._alone_is_out = True
            return Bundle((self._attempt(trial),))
        return None

    @property
    def finished(self) -> bool:
        """Whether every trial of the arms to deal has its record."""
        waiting = any(self._waiting[key] for key in self._turn) or bool(self._to_be_alone)
        if waiting or any(self._dealt.values()):
            return False
        return not self._held.are_any_to_come(self._turn, self.trials)

    def dealt(self, arm: str) -> int:
        """Trials of an arm that were dealt and have not come back."""
        return self._dealt[arm]

    def take(self, record: Record) -> None:
        """Take a record of a dealt trial; an adaptive search may then be asked for its next round."""
        self._dealt[record.arm] -= 1
        self._enter(record)
        for pending in self._rounds:
            if pending.arm.key == record.arm and pending.replicate == record.replicate:
                self._advance(pending)

    def lose(self, attempt: Attempt, epoch: int) -> bool:
        """Take back a started trial whose worker died; False if it is the trial's own doing.

        Args:
            epoch: in which it died, from 1.
        """
        trial = attempt.trial
        self._starts[trial.id] = attempt.number
        self._losses.add(trial.id, epoch)
        if self._losses.are_its_own(trial.id, self._alone_is_out):
            return False  # still out: the record that the driver writes of it is taken as any other
        self._put_back(trial)
        return True

    def is_lost_too_often(self, attempt: Attempt) -> bool:
        """Whether a trial has lost so many workers, by no doing of its own, that the run should end."""
        return self._losses.are_too_many(attempt.trial.id)

    def return_unstarted(self, attempt: Attempt) -> None:
        """Take back a trial that was dealt and never started."""
        self._put_back(attempt.trial)

    def return_unharmed(self, attempt: Attempt) -> None:
        """Take back a started trial that could not be run, by no fault of its own: to be started again."""
        self._starts[attempt.trial.id] = attempt.number
        self._put_back(attempt.trial)

    def return_short_of_memory(self, attempt: Attempt) -> None:
        """Take back a trial that ran out of memory, to be run once more with the device to itself."""
        self._starts[attempt.trial.id] = attempt.number
        self._ran_out.add(attempt.trial.id)
        self._put_back(attempt.trial)

    def stop_arms_of(self, attempt: Attempt, why: str) -> None:
        """Deal no more trials of the data set that a trial could not read. The trial itself is still out."""
        dataset = self.plan.arms[attempt.trial.arm].dataset
        self.unreadable.setdefault(dataset, why)
        self._turn = deque(key for key in self._turn if self.plan.arms[key].dataset != dataset)
        self._to_be_alone = deque(trial for trial in self._to_be_alone if trial.arm in self._turn)

    def is_stopped(self, attempt: Attempt) -> bool:
        """Whether the trial's data cannot be read."""
        return self.plan.arms[attempt.trial.arm].dataset in self.unreadable

    @property
    def planned(self) -> dict[str, int]:
        """Arm -> trials of the plan, all replicates."""
        return {key: arm.planned_trials for key, arm in self.plan.arms.items()}

    @property
    def higher_is_better(self) -> bool:
        """The direction of validation scores."""
        return self.plan.score.higher_is_better

    @property
    def done(self) -> int:
        """Trials of the plan that have their record."""
        return len(self.records.keys() & self.trials.keys())

    def strangers(self) -> list[str]:
        """Ids of records that belong to no trial of this plan.

        Not those of a search that waits for a lost record, nor their controls: its later trials are known
        when it goes on.
        """
        waiting = {
            (key, pending.replicate)
            for pending in self._rounds
            if not all(trial.id in self.records for trial in pending.asked)
            for key in (pending.arm.key, *controls_of(self.plan, pending.arm.key))
        }
        return sorted(
            trial_id
            for trial_id, record in self.records.items()
            if trial_id not in self.trials and (record.arm, record.replicate) not in waiting
        )

    def expected_seconds(self) -> float | None:
        """Estimate of the work left, in seconds of one worker; None before anything is known."""
        known = [seconds for times in self._seconds.values() for seconds in times]
        if not known:
            return None
        overall = sum(known) / len(known)
        left = 0.0
        for key in self._turn:
            arm, times = self.plan.arms[key], self._seconds[key]
            missing = arm.planned_trials - len(times)
            left += missing * (sum(times) / len(times) if times else overall)
        return left

    def _attempt(self, trial: Trial) -> Attempt:
        return Attempt(trial, self._starts.get(trial.id, 0) + 1, trial.id in self._ran_out)

    def _put_back(self, trial: Trial) -> None:
        self._dealt[trial.arm] -= 1
        short = trial.id in self._ran_out and self._shares_memory
        if trial.arm in self._turn and (short or self._losses.must_be_alone(trial.id)):
            self._to_be_alone.appendleft(trial)
        else:
            self._waiting[trial.arm].appendleft(trial)

    def _add(self, trial: Trial) -> None:
        self.trials[trial.id] = trial
        record = self.records.get(trial.id)
        if record is not None:
            self._enter(record)
        else:
            self._queue(trial)

    def _queue(self, trial: Trial) -> None:
        """Behind those that come before it in its arm; controls come free in another order than theirs, when
        all that they begin from have their records."""
        origin = trial.origin
        while origin is not None:
            if origin not in self.records:
                self._held.hold(trial, origin)
                return
            origin = self.trials[origin].origin
        waiting = self._waiting[trial.arm]
        place = len(waiting)
        while place and _place(waiting[place - 1]) > _place(trial):
            place -= 1
        waiting.insert(place, trial)

    def _enter(self, record: Record) -> None:
        self.records[record.trial_id] = record
        for trial in self._held.release(record.trial_id):
            self._queue(trial)
        self._seconds[record.arm].append(
            record.costs.warm_up_seconds + record.costs.train_seconds + record.costs.evaluation_seconds
        )

    def _advance(self, pending: _Round) -> None:
        """Tell finished rounds and ask for new ones, as long as the records reach."""
        while all(trial.id in self.records for trial in pending.asked):
            if pending.asked:
                tell(pending.search, [self.records[trial.id] for trial in pending.asked])
                pending.asked = []
            assert pending.arm.sampler.round_size is not None
            count = min(pending.arm.sampler.round_size, pending.arm.trials - pending.next_index)
            if count == 0:
                return
            for params in pending.search.ask(count):
                trial = self.plan.make_trial(pending.arm, pending.replicate, pending.next_index, params)
                pending.next_index += 1
                pending.asked.append(trial)
                self._add(trial)
                for control in self._controls.of(trial):
                    self._add(control)

    def _bundle_size(self, key: str, workers: int) -> int:
        times = self._seconds[key]
        if not times:
            return 1  # the first of an arm shows how long its trials take
        worth = math.ceil(BUNDLE_SECONDS / max(sum(times) / len(times), 1e-3))
        share = math.ceil(sum(map(len, self._waiting.values())) / (2 * workers))
        return max(1, min(worth, share))


def _place(trial: Trial) -> tuple[int, int, int]:
    """Of a trial in its arm: a replicate's points, then their repeats."""
    return trial.replicate, trial.repeat, trial.index


def make_search(plan: Plan, arm: Arm, replicate: int) -> Search:
    """An adaptive arm's search, seeded and at its start."""
    seed = plan.search_seed(arm, replicate)
    sampler = make_sampler(arm.sampler.name, arm.sampler_options, seed)
    pruner = None
    if arm.pruner is not None:
        pruner = of_search(arm.pruner, plan.study.name, arm.key, replicate)
    return Search(arm.space, sampler, higher_is_better=plan.score.higher_is_better, pruner=pruner)
