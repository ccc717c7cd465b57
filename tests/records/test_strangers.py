"""What others put into a run's directory: told from its records, and in nobody's way."""

import errno
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from harness.records.directory import DirectoryError, RunDirectory
from harness.records.log import ExecutionLog
from harness.records.record import Record
from harness.records.store import RecordStore
from harness.records.strangers import is_made_by
from harness.study.plan import Plan, Trial
from tests.making import a_record, plan_of
from tests.runs.dealt import FIELDS, record_of

Fields = dict[str, Any]


def _first(plan: Plan, arm: str = "digits/mlp/l2") -> Trial:
    return plan.frozen[arm, 0][0]


def _put(directory: RunDirectory, *records: Record) -> None:
    for record in records:
        assert directory.store.write(record)


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (Path.mkdir, "is a folder and no file"),
    "a pipe": (os.mkfifo, "is a pipe and no file"),
    "a loop": (lambda path: path.symlink_to(path), "is a link that leads nowhere"),
    "a dangling link": (lambda path: path.symlink_to("nowhere"), "is a link that leads nowhere"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device and no file"),
}


@pytest.mark.parametrize("what", NO_FILES)
def test_what_is_no_file_is_no_record_and_can_be_set_aside(tmp_path: Path, what: str) -> None:
    make, told = NO_FILES[what]
    store = RecordStore(tmp_path)
    assert store.write(a_record())
    make(store.path("bb"))
    assert store.read_all() == ({"aa": a_record()}, {"bb": told})
    aside = store.set_aside("bb")
    assert os.path.lexists(aside)
    assert store.read_all() == ({"aa": a_record()}, {})


def test_a_record_may_lie_elsewhere(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    assert store.write(a_record())
    store.path("aa").rename(tmp_path / "moved.json")
    store.path("aa").symlink_to(tmp_path / "moved.json")
    assert store.read("aa") == a_record()


@pytest.mark.parametrize("what", NO_FILES)
def test_a_plan_that_is_no_file_is_refused(tmp_path: Path, tiny: Fields, what: str) -> None:
    make, told = NO_FILES[what]
    directory = RunDirectory(tmp_path)
    make(directory.plan_file)
    for use in (directory.read_plan, lambda: directory.open_for(plan_of(tiny))):
        with pytest.raises(DirectoryError, match=told):
            use()


@pytest.mark.parametrize(
    "line",
    [b"\0" * 80, b'{"time": 1.0}', b"[]", b"\xff", b'{"time": NaN, "event": "started"}', b"[" * 9999],
)
def test_a_damaged_line_of_the_log_is_counted_and_left_out(tmp_path: Path, line: bytes) -> None:
    log = ExecutionLog(tmp_path)
    log.write("started", "a", 1)
    [path] = (tmp_path / "executions").iterdir()
    sound = path.read_bytes()
    path.write_bytes(line + b"\n" + sound + line + b"\n" + sound)
    os.mkfifo(tmp_path / "executions" / "host.jsonl")
    assert [each["trial_id"] for each in log.read()] == ["a", "a"]
    assert log.damaged_lines() == 3
    assert log.starts() == {"a": 2}


CHANGES: dict[str, Fields] = {
    "params": {"params": {"hidden1": 5, "weight_decay": 0.5}},
    "seeds": {"seeds": {"init": 1, "order": 2, "method": 3}},
    "index": {"index": 2},
    "replicate": {"replicate": 1},
    "arm": {"arm": "digits/mlp/fixed"},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_record_that_says_other_than_its_trial_is_a_strangers(
    tmp_path: Path, tiny: Fields, what: str
) -> None:
    plan, directory = plan_of(tiny), RunDirectory(tmp_path / "run")
    directory.open_for(plan)
    sound, other = (record_of(trial) for trial in plan.frozen["digits/mlp/l2", 0][:2])
    _put(directory, sound, replace(other, **CHANGES[what]))
    told = {other.trial_id: f"is of another trial than the plan's of that name: its {what} differ"}
    assert directory.read_records(directory.read_plan()) == ({sound.trial_id: sound}, told)
    assert directory.read_records_for(plan) == ({sound.trial_id: sound}, told)


def test_records_of_another_study_are_told_from_the_runs(tmp_path: Path, tiny: Fields) -> None:
    plan, directory = plan_of(tiny), RunDirectory(tmp_path / "run")
    other = plan_of(tiny | {"seeds": {"study": 1}})
    directory.open_for(plan)
    ours, theirs, no_arm = record_of(_first(plan)), record_of(_first(other)), a_record("zz", arm="a/b/c")
    _put(directory, ours, theirs, no_arm)
    expected = {
        theirs.trial_id: "is of no trial of this plan",
        "zz": "is of no arm of this plan (a/b/c)",
    }
    assert directory.read_records(directory.read_plan()) == ({ours.trial_id: ours}, expected)


def test_a_record_of_a_search_that_learns_is_known_by_its_id(tmp_path: Path) -> None:
    plan, directory = plan_of(FIELDS), RunDirectory(tmp_path / "run")
    directory.open_for(plan)
    arm = next(arm for arm in plan.arms.values() if arm.sampling == "adaptive")
    params = plan.frozen[next(key for key in plan.frozen if key[0] != arm.key)][0].params
    drawn_otherwise = record_of(plan.make_trial(arm, 0, 0, params))
    assert is_made_by(plan, drawn_otherwise), "another version of a sampler may have drawn it"
    _put(directory, drawn_otherwise, replace(drawn_otherwise, trial_id="zz"))
    records, others = directory.read_records_for(plan)
    assert records == {drawn_otherwise.trial_id: drawn_otherwise}
    assert others == {"zz": "is of no trial of this plan"}


def test_a_lost_plan_is_written_again_if_the_records_fit(tmp_path: Path, tiny: Fields) -> None:
    plan, directory = plan_of(tiny), RunDirectory(tmp_path / "run")
    directory.open_for(plan)
    _put(directory, record_of(_first(plan)))
    directory.store.path("damaged").write_text("")
    before = directory.plan_file.read_bytes()
    directory.plan_file.unlink()
    with pytest.raises(DirectoryError, match="holds files but no plan"):
        directory.open_for(plan_of(tiny | {"seeds": {"study": 1}}))
    assert not directory.plan_file.exists()
    assert directory.open_for(plan), "which is told"
    assert directory.plan_file.read_bytes() == before
    assert not directory.open_for(plan)


def test_a_full_disk_leaves_no_half_files_and_is_told_by_name(
    tmp_path: Path, tiny: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    directory = RunDirectory(tmp_path / "run")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DirectoryError, match=r"plan\.json cannot be written \(No space left on device\)"):
        directory.open_for(plan_of(tiny))
    assert list(directory.path.iterdir()) == []
    with pytest.raises(OSError, match="aa") as raised:
        directory.store.write(a_record())
    assert raised.value.filename is not None
    assert list(directory.store.folder.iterdir()) == []


def test_a_record_signed_anew_after_a_change_is_still_held_against_the_plan(
    tmp_path: Path, tiny: Fields
) -> None:
    plan, directory = plan_of(tiny), RunDirectory(tmp_path / "run")
    directory.open_for(plan)
    record = record_of(_first(plan))
    body = json.dumps(asdict(replace(record, index=2)), separators=(",", ":"))
    digest = hashlib.sha256(body.encode()).hexdigest()
    directory.store.folder.mkdir()
    directory.store.path(record.trial_id).write_text(f'{{"sha256": "{digest}", "record":\n{body}\n}}\n')
    records, others = directory.read_records_for(plan)
    assert not records
    assert list(others) == [record.trial_id]
