"""What the driver makes of what its workers say and leave behind, without a cluster."""

import json
from pathlib import Path
from typing import Any

import pytest
from ray.tune.search import Searcher

from harness.records.directory import RunDirectory
from harness.records.faults import attempt_name
from harness.records.record import Record
from harness.runs.dealing import Dealer
from harness.runs.executors.base import EngineFaultError, ExecutorError
from harness.runs.executors.ray.searcher import DealingSearcher
from harness.runs.losses import MAX_LOSSES_IN_ALL
from tests.making import plan_of
from tests.runs.dealt import record_of

Fields = dict[str, Any]


class Driver:
    """A searcher, and workers that are played by the test."""

    def __init__(self, fields: Fields, out: Path) -> None:
        self.directory = RunDirectory(out)
        self.recorded: list[Record] = []
        self.dealer = Dealer(plan_of(fields), {}, {})
        self.searcher = DealingSearcher(self.dealer, self.directory, 2, self.recorded.append, None)
        self.bundles = 0

    def deal(self) -> tuple[str, str, int]:
        """The next bundle, of one trial: Tune's name for it, the trial's id, the attempt."""
        self.bundles += 1
        name = str(self.bundles)
        suggested = self.searcher.suggest(name)
        [attempt] = json.loads(suggested["bundle"])["attempts"]
        self.directory.log.write("started", attempt["trial"]["id"], attempt["number"])
        return name, attempt["trial"]["id"], attempt["number"]

    def leave(self, bundle: tuple[str, str, int], error: Exception) -> None:
        """The worker meets a fault that is not the trial's, keeps it, and leaves."""
        name, trial_id, attempt = bundle
        self.directory.faults.write(attempt_name(trial_id, attempt), error)
        self.searcher.on_trial_complete(name, error=True)

    def finish(self, bundle: tuple[str, str, int]) -> None:
        name, trial_id, _ = bundle
        self.directory.store.write(record_of(self.dealer.trials[trial_id]))
        self.searcher.on_trial_complete(name, {"trial_id_done": trial_id, "done": True})


@pytest.fixture
def driver(tiny: Fields, tmp_path: Path) -> Driver:
    return Driver(tiny, tmp_path)


def test_a_fault_of_ours_is_met_once_and_its_trial_runs_again(driver: Driver) -> None:
    first = driver.deal()
    driver.leave(first, RuntimeError("broken"))
    assert driver.searcher.fault is None
    driver.deal()  # of the other arm
    again = driver.deal()
    assert again[1:] == (first[1], 2)
    driver.finish(again)
    assert [record.trial_id for record in driver.recorded] == [first[1]]


def test_the_same_kind_of_fault_in_another_trial_ends_the_study(driver: Driver) -> None:
    driver.leave(first := driver.deal(), RuntimeError("broken here"))
    driver.leave(second := driver.deal(), RuntimeError("broken there"))
    assert isinstance(driver.searcher.fault, EngineFaultError)
    told = str(driver.searcher.fault)
    for _, trial_id, attempt in (first, second):
        assert str(driver.directory.faults.path(attempt_name(trial_id, attempt))) in told
    assert driver.searcher.suggest("next") == Searcher.FINISHED
    assert driver.recorded == [], "and nothing is held against either"


def test_any_fault_in_the_same_trial_ends_the_study(driver: Driver) -> None:
    driver.leave(driver.deal(), RuntimeError("broken"))
    driver.deal()
    driver.leave(driver.deal(), KeyError("something else"))
    assert isinstance(driver.searcher.fault, EngineFaultError)


def test_faults_that_have_nothing_in_common_do_not(driver: Driver) -> None:
    driver.leave(driver.deal(), RuntimeError("broken"))
    driver.leave(driver.deal(), KeyError("something else"))
    assert driver.searcher.fault is None


def test_data_that_a_worker_cannot_read_stop_the_arm(driver: Driver) -> None:
    name = driver.deal()[0]
    driver.searcher.on_trial_complete(name, {"unreadable": "gone", "done": True})
    assert driver.searcher.fault is None
    assert driver.dealer.unreadable == {"digits": "gone"}
    assert driver.dealer.finished
    assert [line["event"] for line in driver.directory.log.read()] == ["started"], "its worker was not lost"


def test_a_trial_short_of_memory_is_dealt_again_when_all_others_are_done(driver: Driver) -> None:
    name, short, _ = driver.deal()
    driver.searcher.on_trial_complete(name, {"trial_id_short_of_memory": short, "done": True})
    for _ in range(5):
        bundle = driver.deal()
        assert bundle[1] != short
        driver.finish(bundle)
    assert driver.deal()[1:] == (short, 2)
    assert driver.searcher.suggest("beside it") is None


@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        ({"unkept": "the disk is full"}, ExecutorError, "the disk is full"),
        ({"unprepared": "a worker cannot begin: x"}, EngineFaultError, "a worker cannot begin: x. Every"),
    ],
)
def test_what_no_other_worker_could_do_better_ends_the_run(
    driver: Driver, said: Fields, kind: type[Exception], sentence: str
) -> None:
    name = driver.deal()[0]
    driver.searcher.on_trial_complete(name, said | {"done": True})
    assert type(driver.searcher.fault) is kind
    assert sentence in str(driver.searcher.fault)
    assert driver.recorded == []


def test_a_trial_whose_worker_dies_here_and_there_is_not_blamed_and_the_run_ends_at_last(
    tiny: Fields, tmp_path: Path
) -> None:
    driver = Driver(tiny | {"methods": ["fixed"], "trials": 1, "claim": {"baseline": "fixed"}}, tmp_path)
    for number in range(1, MAX_LOSSES_IN_ALL + 1):
        assert driver.searcher.fault is None
        name, trial_id, attempt = driver.deal()
        assert attempt == number
        path = driver.directory.running.path(attempt_name(trial_id, attempt))
        path.parent.mkdir(exist_ok=True)
        path.write_text("epoch ended\n" * (number % 2))
        driver.searcher.on_trial_complete(name, error=True)
    assert isinstance(driver.searcher.fault, ExecutorError)
    assert "something outside the study ends workers" in str(driver.searcher.fault)
    assert driver.recorded == []


def test_a_trial_whose_worker_dies_in_one_epoch_is_blamed(tiny: Fields, tmp_path: Path) -> None:
    driver = Driver(tiny | {"methods": ["fixed"], "trials": 1, "claim": {"baseline": "fixed"}}, tmp_path)
    for _ in range(3):
        driver.searcher.on_trial_complete(driver.deal()[0], error=True)
    [record] = driver.recorded
    assert record.message.startswith(
        "its worker died 3 times in epoch 1, the last time with nothing beside it"
    )


def test_what_ctrl_c_stops_is_not_lost(driver: Driver) -> None:
    _, trial_id, _ = driver.deal()
    driver.searcher.stop()
    events = [(line["event"], line["trial_id"]) for line in driver.directory.log.read()]
    assert events == [("started", trial_id), ("stopped", trial_id)]
