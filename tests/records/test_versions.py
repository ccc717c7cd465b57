"""What other versions of the harness wrote: read where that can be, else refused in a sentence."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.records.directory import DirectoryError, RunDirectory
from harness.records.store import RecordStore
from harness.results.joining import load_trials
from harness.runs.run import RunRequest, run_study
from harness.study.parts import Part, added
from harness.study.training import Training
from harness.study.versions import VersionError
from harness.watching import Silent
from tests.making import a_record

#: A study with a plug-in and a search that learns, run by the last harness that wrote plans of version 1.
VERSION_1 = Path(__file__).parent / "version-1"


class Listener(Silent):
    """Notes what is said and recorded."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.recorded_trials: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def recorded(self, record: Any) -> None:
        self.recorded_trials.append(record.trial_id)


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    shutil.copytree(VERSION_1 / "run", tmp_path / "run")
    return tmp_path / "run"


def go_on(run: Path) -> Listener:
    listener = Listener()
    assert run_study(RunRequest(str(VERSION_1 / "study.yaml"), run, "inline"), listener).complete
    return listener


def test_a_run_of_version_1_is_read_and_goes_on(old_run: Path) -> None:
    """Its ids hold, though the schema has gained fields since and ids are made otherwise now."""
    before = {path: path.read_bytes() for path in (old_run / "records").iterdir()}
    assert len(load_trials(old_run)) == len(before) == 8
    listener = go_on(old_run)
    assert listener.recorded_trials == [], "no trial ran again"
    assert [said for said in listener.said if "began this run" in said], listener.said
    lost = sorted(before)[3]
    lost.unlink()
    assert go_on(old_run).recorded_trials == [lost.stem]
    assert set((old_run / "records").iterdir()) == set(before)


def test_a_newer_plan_is_refused(old_run: Path) -> None:
    directory = RunDirectory(old_run)
    fields = json.loads(directory.plan_file.read_text())
    directory.plan_file.write_text(json.dumps(fields | {"plan_version": 99, "arms": "anything"}))
    with pytest.raises(VersionError, match=r"plan\.json was written by a newer version of the harness"):
        directory.read_plan()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("plan_version", "2", "version '2' found; a whole number from 1 to 3 is needed"),
        ("plan_version", True, "version True found"),
        ("arms", [], "is not a plan: arms: "),
        ("trials", [{"id": 3}], "is not a plan: trials.0.id: "),
        ("study", {"name": "x"}, "is not a plan: study."),
    ],
)
def test_a_changed_plan_is_refused_by_the_field(old_run: Path, field: str, value: Any, message: str) -> None:
    directory = RunDirectory(old_run)
    fields = json.loads(directory.plan_file.read_text())
    directory.plan_file.write_text(json.dumps(fields | {field: value}))
    with pytest.raises((DirectoryError, VersionError)) as raised:
        directory.read_plan()
    assert message in str(raised.value)


def _of_version(store: RecordStore, version: int, **more: Any) -> None:
    lines = store.path("aa").read_text().split("\n")
    body = json.dumps(json.loads(lines[1]) | {"version": version} | more)
    text = f'{{"sha256": "{hashlib.sha256(body.encode()).hexdigest()}", "record":\n{body}\n}}\n'
    store.path("aa").write_text(text)


@pytest.mark.parametrize("more", [{}, {"status": "unheard of"}], ids=["that fits", "that does not fit"])
def test_a_newer_record_is_refused_and_not_set_aside(tmp_path: Path, more: dict[str, Any]) -> None:
    store = RecordStore(tmp_path)
    store.write(a_record())
    _of_version(store, 99, **more)
    with pytest.raises(VersionError, match="record aa was written by a newer version of the harness"):
        store.read_all()


class _Grown(Training):
    """A schema that has gained two fields, one of them a part of its own."""

    colour: str = added(2, "red")
    extras: list[str] = added(2, [])


def test_a_field_at_its_default_enters_no_identity() -> None:
    fields = {"epochs": 3, "batch_size": 8}
    old = Training.model_validate(fields)
    first = {"epochs", "batch_size", "optimizer", "validation_fraction", "time_limit_seconds"}
    assert old.identity() == old.model_dump(mode="json", include=first), "as in version 1"
    assert _Grown.model_validate(fields).identity() == old.identity()
    assert _Grown.model_validate(fields | {"colour": "red"}).identity() == old.identity()
    assert _Grown.model_validate(fields | {"colour": "blue"}).identity() == old.identity() | {
        "colour": "blue"
    }
    assert isinstance(old, Part)


def test_a_run_that_this_version_began_says_nothing(tmp_path: Path) -> None:
    study = str(VERSION_1 / "study.yaml")
    run_study(RunRequest(study, tmp_path / "run", "inline", only=("*/fixed",)), Silent())
    listener = Listener()
    run_study(RunRequest(study, tmp_path / "run", "inline", only=("*/fixed",)), listener)
    assert [said for said in listener.said if "began this run" in said] == []


def test_a_newer_table_is_refused(harness_command: Callable[..., Any], old_run: Path, tmp_path: Path) -> None:
    table = load_trials(old_run).assign(table_version=99)
    table.to_csv(tmp_path / "trials.csv", index=False)
    ended = harness_command("report", tmp_path / "trials.csv", "--out", tmp_path / "report")
    assert ended.code == 2
    assert "was written by a newer version of the harness" in ended.err
