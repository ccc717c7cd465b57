"""Controls: trials that begin from another's, run from study files as any other method."""

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.cli.views.plan import show_plan
from harness.extraction.errors import ExtractionError
from harness.extraction.replanning import origin_replayed, replan
from harness.extraction.retraining import retrain
from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.results.tabulate import read_run
from harness.runs.origins import NEVER_LOOKED, origin_outcome, phases_run
from harness.runs.run import plan_study
from harness.runs.trial_runner import TrialRunner
from harness.sizing.base import Phase
from harness.sizing.interval import Epoch
from harness.study.parts import StudyError
from harness.study.schema import Study
from tests.making import SIZE
from tests.runs.executors.driving import outcomes_of, records_of
from tests.runs.finishing import finish

Fields = dict[str, Any]

PLUGIN = Path(__file__).with_name("controls.py")
FIELDS: Fields = {
    "name": "controls",
    "datasets": ["digits", {"name": "elsewhere", "source": "digits"}],
    "architectures": [{"name": "mlp", "options": {"hidden_layers": 2}, "widths": {"low": 4, "high": 24}}],
    "methods": [
        {"name": "again", "method": "random-units", "of": "random"},
        {"name": "scratch", "of": "shrinknets"},
        {"name": "random", "method": "random-units", "of": "shrinknets"},
        {
            "name": "far",
            "method": "scratch",
            "of": {"method": "shrinknets", "dataset": "digits"},
            "trials": 2,
        },
        {
            "name": "shrinknets",
            "options": {"min_units": 0, "remove_every_steps": 7, "step": "proximal"},
            "space": {"lambda": [1.5, 4.0]},
        },
    ],
    "trials": 3,
    "seeds": {"study": 1},
    "training": {"epochs": 2, "batch_size": 64, "optimizer": {"learning_rate": 0.01}},
    "claim": {"baseline": "shrinknets", "n": 1},
    "plugins": [str(PLUGIN)],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return finish(FIELDS, tmp_path_factory.mktemp("controls") / "run")


@pytest.fixture(scope="module")
def records(run: RunDirectory) -> dict[str, list[Record]]:
    """Method -> its records on the digits, in the order of the plan."""
    found = records_of(run.path)
    return {
        method: [r for r in ours if r.arm.startswith("digits/")] if method != "far" else ours
        for method, ours in found.items()
    }


def test_a_control_is_its_origins_pair(records: dict[str, list[Record]]) -> None:
    for control in ("scratch", "random"):
        for ours, theirs in zip(records[control], records["shrinknets"], strict=True):
            assert ours.origin_trial_id == theirs.trial_id
            assert ours.seeds == theirs.seeds
            assert ours.pair_id == theirs.pair_id is not None, "in unpaired studies too"
    assert [r.index for r in records["far"]] == [0, 0, 1, 1]
    assert len({r.trial_id for r in records["far"]}) == 4, "on both data sets"
    assert len({r.origin_trial_id for r in records["far"]}) == 2, "from the digits' trials"


def test_what_a_control_sees_of_its_origin(records: dict[str, list[Record]]) -> None:
    statuses = [record.status for record in records["shrinknets"]]
    assert {"ok", "collapsed"} <= set(statuses), "the test is about both"
    for scratch, random, theirs in zip(
        records["scratch"], records["random"], records["shrinknets"], strict=True
    ):
        if theirs.status != "ok":
            continue
        assert theirs.selected_size is not None
        assert scratch.start_size is not None
        assert scratch.start_size.units == theirs.selected_size.units
        assert len(scratch.epochs) == len(theirs.epochs)
        lost = [(e.epoch, e.step, e.account["removed"]) for e in theirs.events if "removed" in e.account]
        assert lost, "units were removed"
        assert [(e.epoch, e.step, e.account["removed"]) for e in random.events] == lost
        assert [e.size.units for e in random.epochs] == [e.size.units for e in theirs.epochs]
        assert random.test_score != theirs.test_score


def test_a_control_that_never_looks_at_its_origin_says_so(
    tmp_path: Path, records: dict[str, list[Record]]
) -> None:
    assert {note for name in ("scratch", "random") for r in records[name] for note in r.notes} == set()
    methods = ["shrinknets", {"name": "blind", "method": "fixed", "of": "shrinknets"}]
    fields = FIELDS | {"methods": methods, "trials": 1, "claim": FIELDS["claim"] | {"baseline": "shrinknets"}}
    blind = records_of(finish(fields, tmp_path / "blind").path)["blind"]
    assert {record.notes for record in blind} == {(NEVER_LOOKED,)}


def test_a_failed_origin_is_an_outcome_and_costs_nothing(records: dict[str, list[Record]]) -> None:
    for scratch, random, again, theirs in zip(
        *(records[name] for name in ("scratch", "random", "again", "shrinknets")), strict=True
    ):
        if theirs.status != "collapsed":
            assert scratch.status == random.status == again.status == "ok"
            continue
        assert scratch.status == "collapsed"
        assert not scratch.was_begun
        assert scratch.costs.train_flops == 0
        assert (
            f"its origin, trial {theirs.trial_id} of {theirs.arm}, ended as 'collapsed': " in scratch.message
        )
        assert random.was_begun == bool(theirs.epochs), "a method that can begin from it is asked"


def test_the_costs_of_both_stand_beside(run: RunDirectory, records: dict[str, list[Record]]) -> None:
    table, _, _ = read_run(run.path)
    rows = table.set_index("trial_id")
    again, random, theirs = (records[name][0] for name in ("again", "random", "shrinknets"))
    row = rows.loc[again.trial_id]
    assert row["origin_trial_id"] == random.trial_id
    assert row["origin_train_flops"] == random.costs.train_flops + theirs.costs.train_flops
    assert row["total_train_flops"] == row["origin_train_flops"] + row["train_flops"]
    assert row["total_train_seconds"] == pytest.approx(
        sum(record.costs.train_seconds for record in (again, random, theirs))
    )
    alone = rows.loc[theirs.trial_id]
    assert alone[["origin_trial_id", "origin_train_flops", "origin_train_seconds"]].isna().all()
    assert alone["total_train_flops"] == alone["train_flops"]


@pytest.mark.parametrize("method", ["again", "scratch", "far"])
def test_training_a_control_again_gives_its_record(
    run: RunDirectory, records: dict[str, list[Record]], method: str
) -> None:
    record = next(record for record in records[method] if record.status == "ok")
    plan, trial = replan(run, record, None, [PLUGIN])
    origin = origin_replayed(plan, record, run)
    assert origin is not None
    again = retrain(TrialRunner(plan, None), trial, record, lambda epoch: None, origin)
    assert again.differences == ()


def test_a_control_without_its_origins_record_is_not_replayed(
    run: RunDirectory, records: dict[str, list[Record]]
) -> None:
    record = next(record for record in records["scratch"] if record.status == "ok")
    plan, _ = replan(run, record, None, [PLUGIN])
    path = run.store.path(str(record.origin_trial_id))
    kept = path.read_text()
    try:
        path.unlink()
        with pytest.raises(ExtractionError, match="has no record, and another begins from it"):
            origin_replayed(plan, record, run)
        path.write_text(kept[:-9])
        with pytest.raises(ExtractionError, match="whose record is cut short"):
            origin_replayed(plan, record, run)
    finally:
        path.write_text(kept)


def test_a_run_that_is_taken_up_in_parts_gives_the_same(run: RunDirectory, tmp_path: Path) -> None:
    """Some records are lost, of origins and of controls; then a part of the arms is run, then all."""
    out, whole = tmp_path / "parts", outcomes_of(run.path)
    shutil.copytree(run.path, out)
    for trial_id in sorted(whole)[::3]:
        RunDirectory(out).store.path(trial_id).unlink()
    finish(FIELDS, out, only=("digits/*",))
    assert len(outcomes_of(out)) < len(whole)
    finish(FIELDS, out)
    assert outcomes_of(out) == whole


def test_controls_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as refused:
        finish(FIELDS, tmp_path / "out", only=("digits/mlp/scratch",))
    assert str(refused.value) == (
        "--only: digits/mlp/scratch begins from the trials of digits/mlp/shrinknets, of which 3 have no "
        "record yet; choose digits/mlp/shrinknets as well, or run it first"
    )


def test_a_plan_tells_what_begins_from_what() -> None:
    printed = io.StringIO()
    show_plan(plan_study(Study.model_validate(FIELDS), None), Console(file=printed, width=200))
    said = " ".join(printed.getvalue().split())
    assert "digits/mlp/again begins from digits/mlp/random: each of its 3 trials starts when" in said
    assert "elsewhere/mlp/far begins from digits/mlp/shrinknets: each of its 2 trials" in said


def _epochs(*places: tuple[int, int]) -> list[Epoch]:
    """One epoch for each phase index and step."""
    return [
        Epoch(number, "train", 1.0, 1.0, 0.5, SIZE, step=step, phase_index=phase)
        for number, (phase, step) in enumerate(places, start=1)
    ]


def test_phases_are_told_as_they_were_run() -> None:
    first, second = Phase(5, 0.1), Phase(9, 0.2, weight_decay=0.5, steps_per_epoch=3)
    epochs = _epochs((0, 10), (0, 20), (0, 24), (1, 27), (1, 30))
    assert phases_run((first, second, first), epochs, 10) == (
        Phase(2, 0.1),
        Phase(1, 0.1, steps_per_epoch=4),
        Phase(2, 0.2, weight_decay=0.5, steps_per_epoch=3),
    )


def test_an_origin_is_told_without_what_differs_from_run_to_run(
    run: RunDirectory, records: dict[str, list[Record]], tmp_path: Path
) -> None:
    theirs = records["shrinknets"][0]
    plan, _ = replan(run, next(r for r in records["far"] if r.status == "ok"), None, [PLUGIN])
    told = origin_outcome(plan, theirs.trial_id, run.store.read)
    assert told.phases == (Phase(1, 0.01, edit_every_steps=7),), "it collapsed in its second epoch"
    assert told.train_flops == theirs.costs.train_flops
    assert not any("second" in name or "score" in name for name in told.__dataclass_fields__)
