"""The dealer: every trial recorded exactly once, whatever comes back when; adaptive rounds in plan order."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.records.record import Record
from harness.runs.attempts import MAX_LOSSES, Attempt
from harness.runs.dealing import BUNDLE_SECONDS, Bundle, Dealer
from harness.runs.losses import MAX_LOSSES_IN_ALL
from harness.study.plan import Plan, Trial
from tests.making import a_record, plan_of
from tests.runs.dealt import ADAPTIVE, CONTROLLED, FIELDS, PLAN, REPEATED, record_of


def run_in_order(plan: Plan) -> dict[str, Trial]:
    dealer = Dealer(plan, {}, {})
    while (bundle := dealer.deal(1)) is not None:
        for attempt in bundle.attempts:
            dealer.take(record_of(attempt.trial))
    assert dealer.finished
    return dealer.trials


IN_ORDER = run_in_order(PLAN)


def test_all_trials_of_the_plan_are_dealt() -> None:
    assert len(IN_ORDER) == PLAN.planned_trials == 6 + 4 + 2 * 7
    counts = Counter((trial.arm, trial.replicate) for trial in IN_ORDER.values())
    assert counts[ADAPTIVE, 0] == counts[ADAPTIVE, 1] == 7


# Each number is one thing that may happen next; which one depends on what is possible then.
_EVENTS = st.lists(st.integers(0, 2**20), min_size=1, max_size=300)


class _World:
    """Workers that take bundles, finish trials, die, give bundles back, and drivers that are restarted."""

    def __init__(self, workers: int, plan: Plan) -> None:
        self.workers, self.plan = workers, plan
        self.written: dict[str, Record] = {}
        self.writes: Counter[str] = Counter()
        self.starts: dict[str, int] = {}
        self.losses_since_start: Counter[str] = Counter()
        self.restart()

    def restart(self) -> None:
        """The driver was killed: what its workers had not recorded is gone."""
        self.dealer = Dealer(self.plan, self.written, self.starts)
        self.out: list[list[Attempt]] = []
        self.losses_since_start.clear()

    def happen(self, number: int) -> None:
        kind, choice = number % 10, number // 10
        if kind < 3 and len(self.out) < self.workers:
            bundle = self.dealer.deal(self.workers)
            if self.is_alone():
                assert bundle is None, "a trial is dealt beside one that is to be alone"
            if bundle is not None:
                self.check_bundle(bundle)
                self.out.append(list(bundle.attempts))
        elif kind == 9 and choice % 7 == 0:
            self.restart()
        elif self.out:
            attempts = self.out[choice % len(self.out)]
            if kind < 7:
                self.start(attempts[0])
                self.record(attempts.pop(0))
            elif kind == 7:
                self.die(attempts)
            elif kind == 8 and choice % 3 == 0 and not attempts[0].ran_out:
                self.start(attempts[0])
                self.dealer.return_short_of_memory(attempts.pop(0))
            elif kind == 8 and choice % 3 == 1:
                self.start(attempts[0])
                self.dealer.return_unharmed(attempts.pop(0))
            else:  # the deadline has passed: nothing more of the bundle is begun
                for attempt in reversed(attempts):
                    self.dealer.return_unstarted(attempt)
                attempts.clear()
            self.out = [attempts for attempts in self.out if attempts]

    def is_alone(self) -> bool:
        return any(self.wants_to_be(attempt) for attempts in self.out for attempt in attempts)

    def wants_to_be(self, attempt: Attempt) -> bool:
        return attempt.ran_out or self.losses_since_start[attempt.trial.id] >= MAX_LOSSES - 1

    def check_bundle(self, bundle: Bundle) -> None:
        if any(map(self.wants_to_be, bundle.attempts)):
            assert self.out == [], "a trial that ran out of memory, or lost two workers, has company"
            assert len(bundle.attempts) == 1
        assert len({attempt.trial.arm for attempt in bundle.attempts}) == 1
        running = {attempt.trial.id for attempts in self.out for attempt in attempts}
        for attempt in bundle.attempts:
            assert attempt.trial.id not in self.written, "a finished trial is dealt again"
            assert attempt.trial.id not in running, "a running trial is dealt again"
            origin = attempt.trial.origin
            assert origin is None or origin in self.written, "a control is dealt before its origin is done"
            assert attempt.number == self.starts.get(attempt.trial.id, 0) + 1

    def start(self, attempt: Attempt) -> None:
        self.starts[attempt.trial.id] = attempt.number

    def record(self, attempt: Attempt) -> None:
        record = record_of(attempt.trial)
        self.written[record.trial_id] = record
        self.writes[record.trial_id] += 1
        self.dealer.take(record)

    def die(self, attempts: list[Attempt]) -> None:
        self.start(attempts[0])
        for attempt in reversed(attempts[1:]):
            self.dealer.return_unstarted(attempt)
        lost = attempts[0]
        self.losses_since_start[lost.trial.id] += 1
        again = self.dealer.lose(lost, epoch=1)
        assert again == (self.losses_since_start[lost.trial.id] < MAX_LOSSES)
        attempts.clear()
        if not again:
            self.record(lost)

    def finish(self) -> None:
        for _ in range(1000):
            if self.dealer.finished:
                return
            self.happen(0)
            if self.out:
                self.happen(3)
        raise AssertionError("the run does not end")


@pytest.mark.parametrize(
    ("plan", "in_order"),
    [
        (PLAN, IN_ORDER),
        (CONTROLLED, run_in_order(CONTROLLED)),
        (REPEATED, run_in_order(REPEATED)),
    ],
)
@given(_EVENTS, st.integers(1, 5))
@settings(max_examples=40)
def test_every_trial_is_recorded_exactly_once(
    plan: Plan, in_order: dict[str, Trial], events: list[int], workers: int
) -> None:
    world = _World(workers, plan)
    for number in events:
        world.happen(number)
    world.finish()
    assert world.writes == Counter(dict.fromkeys(in_order, 1))
    assert world.written.keys() == in_order.keys(), "another search than in order"
    assert world.dealer.trials == in_order
    assert all(world.dealer.dealt(key) == 0 for key in plan.arms)
    assert world.dealer.deal(workers) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_round_is_told_in_plan_order_whatever_finishes_first(seed: int) -> None:
    shuffled = random.Random(seed)
    dealer, out = Dealer(PLAN, {}, {}), list[Attempt]()
    while not dealer.finished:
        while (bundle := dealer.deal(100)) is not None:
            out.extend(bundle.attempts)
        asked = {
            attempt.trial.index
            for attempt in out
            if (attempt.trial.arm, attempt.trial.replicate) == (ADAPTIVE, 0)
        }
        assert len({index // 3 for index in asked}) <= 1, "the next round waits for all of this one"
        dealer.take(record_of(out.pop(shuffled.randrange(len(out))).trial))
    assert dealer.trials.keys() == IN_ORDER.keys()


def test_what_is_told_decides_what_is_asked() -> None:
    """Else the tests above would hold of a search that learns nothing."""
    dealer = Dealer(PLAN, {}, {})
    while (bundle := dealer.deal(1)) is not None:
        for attempt in bundle.attempts:
            dealer.take(
                a_record(
                    attempt.trial.id, arm=attempt.trial.arm, replicate=attempt.trial.replicate, val_score=0.5
                )
            )
    assert dealer.trials.keys() != IN_ORDER.keys()
    assert len(dealer.trials) == len(IN_ORDER)


def test_resuming_takes_up_an_adaptive_search_where_it_was() -> None:
    records = {i: record_of(trial) for i, trial in IN_ORDER.items()}
    for kept in (0, 5, 10, 20, len(records)):
        some = dict(list(records.items())[:kept])
        dealer = Dealer(PLAN, some, {})
        dealt = []
        while (bundle := dealer.deal(2)) is not None:
            for attempt in bundle.attempts:
                dealt.append(attempt.trial.id)
                dealer.take(records[attempt.trial.id])
        assert sorted(dealt) == sorted(set(records) - set(some))
        assert dealer.strangers() == []


def lost_in(epochs: list[int]) -> tuple[Dealer, list[bool]]:
    """A dealer of one trial whose worker died in these epochs, and whether it was taken back each time."""
    dealer, backs = Dealer(_ONE, {}, {}), []
    for number, epoch in enumerate(epochs, 1):
        bundle = dealer.deal(4)
        assert bundle is not None
        [attempt] = bundle.attempts
        assert attempt.number == number
        backs.append(dealer.lose(attempt, epoch))
        assert dealer.is_lost_too_often(attempt) == (number >= MAX_LOSSES_IN_ALL)
    return dealer, backs


_ONE = plan_of(FIELDS | {"methods": ["fixed"], "trials": 1})


def test_a_trial_answers_for_its_workers_if_they_die_in_the_same_epoch() -> None:
    dealer, backs = lost_in([2, 2, 2])
    assert backs == [True, True, False]
    [trial] = dealer.trials.values()
    assert dealer.dealt(trial.arm) == 1, "it is out until its record is taken"
    dealer.take(record_of(trial))
    assert dealer.finished


@pytest.mark.parametrize(
    "epochs", [[1, 2, 3, 1, 2, 3], [1, 1, 2, 1, 1, 3], [5, 4] * (MAX_LOSSES_IN_ALL // 2)]
)
def test_workers_that_die_here_and_there_are_held_against_no_trial(epochs: list[int]) -> None:
    _, backs = lost_in(epochs)
    assert all(backs)


def test_before_a_trial_is_blamed_it_runs_with_nothing_beside_it() -> None:
    dealer = Dealer(PLAN, {}, {})
    first = dealer.deal(100)
    assert first is not None
    [attempt] = first.attempts
    assert dealer.lose(attempt, 1)
    others = [dealer.deal(100) for _ in PLAN.arms]
    again = others.pop()
    assert again is not None
    [attempt] = again.attempts
    assert attempt == Attempt(first.attempts[0].trial, 2), "it runs again before the others of its arm"
    assert dealer.lose(attempt, 1)
    while (bundle := dealer.deal(1)) is not None:
        others.append(bundle)
    trials = [a.trial for other in others if other for a in other.attempts]
    assert attempt.trial not in trials
    for trial in trials:
        dealer.take(record_of(trial))
    while (bundle := dealer.deal(1)) is not None and bundle.attempts[0].trial != attempt.trial:
        for other in bundle.attempts:
            dealer.take(record_of(other.trial))
    assert bundle is not None
    assert dealer.deal(1) is None, "and nothing beside it"
    assert not dealer.lose(bundle.attempts[0], 1)


def test_who_has_whole_gpus_is_alone_anyway() -> None:
    """So a trial that ran out of memory there runs again at once, and others beside it."""
    dealer = Dealer(plan_of(FIELDS | {"resources": {"cpus": 1, "gpus": 1}}), {}, {})
    bundle = dealer.deal(1)
    assert bundle is not None
    [attempt] = bundle.attempts
    dealer.return_short_of_memory(attempt)
    dealt = [dealer.deal(1) for _ in PLAN.arms]
    again = dealt[-1]
    assert again is not None
    assert again.attempts == (Attempt(attempt.trial, 2, ran_out=True),)
    assert all(dealt), "and the others go on"


def test_data_that_cannot_be_read_stop_their_arms_and_no_others() -> None:
    plan = plan_of(FIELDS | {"datasets": ["digits", {"name": "other", "source": "digits"}]})
    dealer = Dealer(plan, {}, {})
    first = dealer.deal(1)
    assert first is not None
    [attempt] = first.attempts
    dealer.return_short_of_memory(attempt)
    second = dealer.deal(1)
    assert second is not None
    [attempt] = second.attempts
    dealer.stop_arms_of(attempt, "gone")
    dealer.return_unstarted(attempt)
    arms = set()
    while (bundle := dealer.deal(1)) is not None:
        for attempt in bundle.attempts:
            arms.add(attempt.trial.arm)
            dealer.take(record_of(attempt.trial))
    assert arms == {key for key in plan.arms if key.startswith("other/")}
    assert dealer.finished
    assert dealer.unreadable == {"digits": "gone"}


def test_controls_of_what_cannot_be_read_are_not_waited_for() -> None:
    """Those whose origin is done go on; the others never can, and the run ends."""
    plan = plan_of(
        FIELDS
        | {
            "datasets": ["digits", {"name": "other", "source": "digits"}],
            "methods": [
                "fixed",
                {"name": "c", "method": "l2", "of": {"method": "fixed", "dataset": "digits"}},
            ],
        }
    )
    dealer = Dealer(plan, {}, {})
    first, second = dealer.deal(1), dealer.deal(1)
    assert first is not None
    assert second is not None
    assert {first.arm, second.arm} == {"digits/mlp/fixed", "other/mlp/fixed"}
    for begun in (first, second):
        dealer.take(record_of(begun.attempts[0].trial))
    dealt = []
    while (bundle := dealer.deal(1)) is not None:
        for attempt in bundle.attempts:
            if attempt.trial.arm == "digits/mlp/fixed":
                dealer.stop_arms_of(attempt, "gone")
                dealer.return_unstarted(attempt)
            else:
                dealt.append(attempt.trial.arm)
                dealer.take(record_of(attempt.trial))
    assert dealer.finished
    assert Counter(dealt)["other/mlp/fixed"] == 5
    assert Counter(dealt)["other/mlp/c"] == 1


def test_controls_are_dealt_in_plan_order_whatever_finishes_first() -> None:
    plan = plan_of(FIELDS | {"methods": ["fixed", {"name": "c", "method": "l2", "of": "fixed"}]})
    dealer, out = Dealer(plan, {}, {}), list[Trial]()
    while (bundle := dealer.deal(1)) is not None:
        out += [attempt.trial for attempt in bundle.attempts]
    assert {trial.arm for trial in out} == {"digits/mlp/fixed"}
    for trial in reversed(out):
        dealer.take(record_of(trial))
    controls = []
    while (bundle := dealer.deal(1)) is not None:
        controls += [attempt.trial.index for attempt in bundle.attempts]
    assert controls == list(range(6))


def test_all_points_are_dealt_before_any_is_repeated() -> None:
    dealer, dealt = Dealer(REPEATED, {}, {}), list[Trial]()
    while (bundle := dealer.deal(1)) is not None:
        for attempt in bundle.attempts:
            dealt.append(attempt.trial)
            dealer.take(record_of(attempt.trial))
    assert len(dealt) == REPEATED.planned_trials == 3 * (3 + 6 + 4)
    for key, arm in REPEATED.arms.items():
        order = [(trial.repeat, trial.index) for trial in dealt if trial.arm == key]
        assert order == [(repeat, index) for repeat in range(3) for index in range(arm.trials)]


def test_records_of_no_trial_are_named() -> None:
    assert Dealer(PLAN, {"zz": a_record("zz")}, {}).strangers() == ["zz"]


def test_controls_of_a_search_that_waits_for_a_lost_record_are_no_strangers() -> None:
    records = {i: record_of(trial) for i, trial in run_in_order(CONTROLLED).items()}
    lost = next(i for i, record in records.items() if record.arm == ADAPTIVE)
    del records[lost]
    assert Dealer(CONTROLLED, records, {}).strangers() == []


def test_arms_are_dealt_in_turn() -> None:
    dealer = Dealer(PLAN, {}, {})
    bundles = [dealer.deal(2) for _ in range(3)]
    assert [bundle.attempts[0].trial.arm for bundle in bundles if bundle] == list(PLAN.arms)


def test_bundles_are_worth_seconds_and_shrink_towards_the_end() -> None:
    many = plan_of(FIELDS | {"methods": ["fixed"], "trials": 200})
    dealer = Dealer(many, {}, {})
    first = dealer.deal(2)
    assert first is not None
    assert len(first.attempts) == 1, "nothing is known of the arm's trials yet"
    dealer.take(record_of(first.attempts[0].trial, seconds=0.1))
    sizes = []
    while (bundle := dealer.deal(2)) is not None:
        sizes.append(len(bundle.attempts))
    assert sizes[0] == round(BUNDLE_SECONDS / 0.1)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1
    assert sum(sizes) == 199


def test_long_trials_are_dealt_one_by_one() -> None:
    dealer = Dealer(plan_of(FIELDS | {"methods": ["fixed"], "trials": 20}), {}, {})
    first = dealer.deal(1)
    assert first is not None
    dealer.take(record_of(first.attempts[0].trial, seconds=60))
    bundle = dealer.deal(1)
    assert bundle is not None
    assert len(bundle.attempts) == 1


def test_time_left() -> None:
    dealer = Dealer(plan_of(FIELDS | {"methods": ["fixed", "l2"], "trials": 4}), {}, {})
    assert dealer.expected_seconds() is None
    for seconds in (1.0, 3.0):
        bundle = dealer.deal(1)
        assert bundle is not None
        dealer.take(record_of(bundle.attempts[0].trial, seconds))
    # Three trials are left in each arm.
    assert dealer.expected_seconds() == pytest.approx(3 * 1.0 + 3 * 3.0)


def test_of_some_arms_only_those_are_dealt_and_the_rest_stays_for_later() -> None:
    plan = plan_of(FIELDS | {"methods": ["fixed", "l2"], "trials": 3})
    chosen = next(key for key in plan.arms if key.endswith("/l2"))
    dealer = Dealer(plan, {}, {}, {chosen})
    arms = set()
    while (bundle := dealer.deal(1)) is not None:
        for attempt in bundle.attempts:
            arms.add(attempt.trial.arm)
            dealer.take(a_record(attempt.trial.id, arm=attempt.trial.arm, index=attempt.trial.index))
    assert arms == {chosen}
    assert dealer.finished
    assert len(dealer.records) == 3
    assert not Dealer(plan, dealer.records, {}).finished
