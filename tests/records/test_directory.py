"""Run directories: whose they are, whether they can be written, one driver at a time."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.records.differences import changes
from harness.records.directory import DirectoryError, RunDirectory
from tests.making import facts_of, plan_of, put

Fields = dict[str, Any]


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


def test_a_new_directory_gets_the_plan_and_nothing_else(directory: RunDirectory, tiny: Fields) -> None:
    plan = plan_of(tiny)
    directory.open_for(plan)
    assert [path.name for path in directory.path.iterdir()] == ["plan.json"]
    written = directory.read_plan()
    assert written.study == plan.study
    assert written.data == plan.facts
    assert written.arms == {key: arm.design() for key, arm in plan.arms.items()}
    assert written.trials == tuple(trial for trials in plan.frozen.values() for trial in trials)
    assert written.begun_by is not None


def test_the_same_plan_opens_it_again_and_leaves_it_as_it_was(directory: RunDirectory, tiny: Fields) -> None:
    directory.open_for(plan_of(tiny))
    before = directory.plan_file.stat().st_mtime_ns, directory.plan_file.read_bytes()
    directory.open_for(plan_of(tiny))
    assert (directory.plan_file.stat().st_mtime_ns, directory.plan_file.read_bytes()) == before


def test_another_study_is_refused(directory: RunDirectory, tiny: Fields) -> None:
    directory.open_for(plan_of(tiny))
    before = directory.plan_file.read_bytes()
    with pytest.raises(DirectoryError) as raised:
        directory.open_for(plan_of(tiny | {"name": "other"}))
    assert str(raised.value) == (
        f"{directory.path} holds another study: 'tiny', not 'other'; choose another with --out"
    )
    assert directory.plan_file.read_bytes() == before
    assert [path.name for path in directory.path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("training.epochs", 5, "study.training.epochs was 2, is now 5"),
        ("trials", 4, "study.trials was 3, is now 4"),
        ("claim.n", 2, "study.claim.n was 1, is now 2"),
        ("seeds", {"study": 9}, "study.seeds.study was 0, is now 9"),
        ("methods", ["fixed"], "study.methods: 2 entries became 1: lost l2"),
        ("architectures.0.widths.high", 17, "study.architectures.0.widths.high was 16, is now 17"),
        ("paired", True, "study.paired was False, is now True"),
    ],
)
def test_a_changed_plan_is_refused_with_what_changed(
    directory: RunDirectory, tiny: Fields, place: str, value: Any, told: str
) -> None:
    directory.open_for(plan_of(tiny))
    with pytest.raises(DirectoryError) as raised:
        directory.open_for(plan_of(put(tiny, place, value)))
    message = str(raised.value)
    assert message.startswith(f"{directory.path} holds this study with another plan: {told}")
    assert "--out" in message
    assert "\n" not in message
    assert message.count(" was ") + message.count(" is new") + message.count(" is gone") <= 5


def test_changed_data_are_a_changed_plan(directory: RunDirectory, tiny: Fields) -> None:
    directory.open_for(plan_of(tiny))
    with pytest.raises(DirectoryError, match=r"data\.digits\.fingerprint was 'f', is now 'g'"):
        directory.open_for(plan_of(tiny, lambda spec: facts_of(spec, fingerprint="g")))


def test_strange_files_are_left_alone(directory: RunDirectory, tiny: Fields) -> None:
    directory.path.mkdir()
    (directory.path / "thesis.txt").write_text("words")
    with pytest.raises(DirectoryError, match=r"holds files but no plan\.json; choose another with --out"):
        directory.open_for(plan_of(tiny))
    assert [path.name for path in directory.path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("left", ["plan.partial", ".writable", ".lock"])
def test_what_a_killed_start_leaves_is_no_strange_file(
    directory: RunDirectory, tiny: Fields, left: str
) -> None:
    directory.path.mkdir()
    (directory.path / left).write_text("")
    directory.open_for(plan_of(tiny))
    assert directory.read_plan().study.name == "tiny"


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/run", "/sys/run"])
def test_a_directory_that_cannot_be_written(tmp_path: Path, tiny: Fields, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    directory = RunDirectory(tmp_path / place)
    with pytest.raises(
        DirectoryError, match=r"cannot be written \(.+\); choose another with --out"
    ) as raised:
        directory.open_for(plan_of(tiny))
    assert str(directory.path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a run directory: it holds no plan.json"),
        ("{", "cannot be read"),
        ("[]", "is not a plan"),
        ('{"study": {}}', "is not a plan"),
        ('{"study": 1, "arms": {}, "data": {}, "warnings": [], "trials": []}', "is not a plan"),
    ],
)
def test_directories_without_a_sound_plan(directory: RunDirectory, content: str | None, message: str) -> None:
    directory.path.mkdir()
    if content is not None:
        directory.plan_file.write_text(content)
    with pytest.raises(DirectoryError, match=message):
        directory.read_plan()


def test_one_driver_at_a_time(directory: RunDirectory, tiny: Fields) -> None:
    directory.open_for(plan_of(tiny))
    assert not directory.in_use()
    code = (
        "import sys; from pathlib import Path; from harness.records.directory import *\n"
        "try:\n  with RunDirectory(Path(sys.argv[1])).locked(): print('held')\n"
        "except DirectoryError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(directory.path)]
    with directory.locked():
        assert directory.in_use()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        holder = f"process {os.getpid()} on {socket.gethostname()} since 20"
        assert f"is in use by another `harness run` ({holder}" in done.stdout
        assert "); choose another with --out" in done.stdout
    assert not directory.in_use()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "held\n"


def test_looking_whether_it_is_in_use_refuses_no_start(directory: RunDirectory, tiny: Fields) -> None:
    directory.open_for(plan_of(tiny))
    with directory.locked():
        pass
    looking = threading.Event()

    def look() -> None:
        while not looking.is_set():
            directory.in_use()

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            with directory.locked():
                pass
    finally:
        looking.set()
        for thread in threads:
            thread.join()


def test_a_file_system_without_locks_is_not_called_in_use(
    directory: RunDirectory, tiny: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    directory.open_for(plan_of(tiny))
    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert not directory.in_use()
    with pytest.raises(DirectoryError, match=r"cannot be locked \(No locks available\); choose a directory"):
        directory.locked().__enter__()


def test_changes_are_named_by_their_place() -> None:
    before = {"a": {"b": [1, {"c": 2}]}, "gone": 1, "same": [1]}
    after = {"a": {"b": [1, {"c": 3}]}, "new": 2, "same": [1]}
    assert changes(before, after) == ["a.b.1.c was 2, is now 3", "gone is gone, was 1", "new is new: 2"]
    assert changes(before, before) == []
    assert changes({"a": [1]}, {"a": [1, 2]}) == ["a: 1 entries became 2: gained 2"]


def test_other_words_in_the_description_are_no_other_plan(directory: RunDirectory, tiny: Fields) -> None:
    directory.open_for(plan_of(tiny | {"description": "before"}))
    directory.open_for(plan_of(tiny | {"description": "after"}))
