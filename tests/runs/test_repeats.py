"""A study whose points are trained three times on two splits, from its file to the table."""

import pytest

from harness.extraction.choice import choose
from harness.extraction.replanning import replan
from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.records.tally import Tally
from harness.results.tabulate import read_run
from harness.runs.run import RunRequest, plan_study, run_study
from harness.runs.trial_runner import TrialRunner
from harness.study.schema import Study
from harness.watching import Silent
from tests.making import Fields

FIELDS: Fields = {
    "name": "repeated",
    "datasets": ["digits"],
    "architectures": [{"name": "mlp", "options": {"hidden_layers": 1}, "widths": {"low": 4, "high": 8}}],
    "methods": ["fixed"],
    "trials": 2,
    "seeds": {"split": 3, "splits": 2, "repeats": 3},
    "training": {"epochs": 1, "batch_size": 64, "optimizer": {"learning_rate": 0.01}},
    "claim": {"baseline": "fixed", "n": 1},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    study = Study.model_validate(FIELDS)
    done = run_study(RunRequest(study, tmp_path_factory.mktemp("repeated") / "run", "inline"), Silent())
    assert done.complete
    assert done.done == 6
    return done.directory


@pytest.fixture(scope="module")
def records(run: RunDirectory) -> list[Record]:
    return sorted(run.store.read_all()[0].values(), key=lambda record: (record.repeat, record.index))


def test_records_tell_repeats_apart(records: list[Record]) -> None:
    assert [(record.repeat, record.index) for record in records] == [
        (repeat, index) for repeat in range(3) for index in range(2)
    ]
    assert all(record.status == "ok" for record in records)
    assert len({record.epochs[0].train_loss for record in records}) == 6, "no two went alike"


def test_trials_are_trained_and_selected_on_their_own_split(run: RunDirectory, records: list[Record]) -> None:
    """The first point is that of a study on the first split alone; the second has other examples."""
    alone = plan_study(Study.model_validate(FIELDS | {"seeds": {"split": 3}}), None)
    trials = alone.frozen["digits/mlp/fixed", 0]
    again = [TrialRunner(alone, None).run(trial, attempt=1) for trial in trials]
    assert again[0].outcome() == records[0].outcome()
    assert again[1].seeds == records[1].seeds
    assert again[1].epochs[0].train_loss != records[1].epochs[0].train_loss
    plan, trial = replan(run, records[1], None, ())
    parts = [TrialRunner(plan, None).split(each).validation for each in (trial, trials[0])]
    assert len(parts[0]) == len(parts[1])
    assert parts[0].y.tolist() != parts[1].y.tolist()


def test_a_repeat_can_be_trained_again(run: RunDirectory, records: list[Record]) -> None:
    plan, trial = replan(run, records[-1], None, ())
    assert (trial.id, trial.repeat) == (records[-1].trial_id, 2)
    assert TrialRunner(plan, None).run(trial, attempt=1).outcome() == records[-1].outcome()


def test_the_table_has_repeat_and_split_of_every_trial(run: RunDirectory) -> None:
    table, _, design = read_run(run.path)
    found = list(zip(table["index"], table["repeat"], table["split_seed"], strict=True))
    assert found == [(index, repeat, 3 + index) for index in range(2) for repeat in range(3)]
    assert design.settings["Validation"] == "0.2 of the training set, split seeds 3 to 4"
    assert design.settings["Repeats"] == "each point trained 3 times"


def test_a_repeat_is_never_the_best(run: RunDirectory, records: list[Record]) -> None:
    """As the report finds it: a search trains each point once."""
    best = max((r for r in records if not r.repeat), key=lambda record: record.val_score or 0)
    assert choose(run, "best").trial_id == best.trial_id
    assert Tally.of(records).best == {"digits/mlp/fixed": best.val_score}


def test_going_on_trains_nothing_again(run: RunDirectory) -> None:
    before = {path: path.read_bytes() for path in run.store.folder.iterdir()}
    assert run_study(RunRequest(Study.model_validate(FIELDS), run.path, "inline"), Silent()).complete
    assert {path: path.read_bytes() for path in run.store.folder.iterdir()} == before
