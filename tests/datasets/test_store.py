"""The disk cache: killed writers, several processes, damage."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import filelock
import numpy as np
import pytest

from harness.datasets import DataError, DatasetSpec, prepare
from harness.datasets.cache import store
from harness.datasets.cache.store import Entry, get_or_build
from harness.datasets.preparation import _ARRAYS, decoded

DIGITS = DatasetSpec("digits", "digits")

#: Prepares digits, and hangs or waits in the middle of writing as the planted lines say.
SCRIPT = """
import sys, time
from pathlib import Path
import numpy as np
from harness.datasets import DatasetSpec, prepare
save = np.save
def planted(path, array, **options):
    save(path, array, **options)
    {planted}
np.save = planted
print(prepare(DatasetSpec("digits", "digits"), None, Path(sys.argv[1])).fingerprint)
"""


def _start(cache: Path, planted: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SCRIPT.format(planted=planted), str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _wait_for(cache: Path, pattern: str) -> Path:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for path in cache.glob(pattern):
            return path
        time.sleep(0.01)
    raise AssertionError(f"{pattern} did not appear")


@pytest.fixture
def killed_writer(cache: Path) -> Path:
    """The folder that a writer left which was killed after its second array."""
    writer = _start(cache, "if 'y_train' in str(path): time.sleep(600)")
    try:
        left = _wait_for(cache, "decoded/.tmp-*/y_train.npy").parent
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    return left


def test_a_killed_writer_leaves_nothing_that_is_used(killed_writer: Path, cache: Path) -> None:
    assert [path for path in killed_writer.parent.iterdir() if not path.name.startswith(".tmp-")] == []
    entry = decoded(DIGITS, None, cache)
    assert sorted(path.stem for path in entry.folder.iterdir()) == sorted([*_ARRAYS, "meta"])
    assert killed_writer.is_dir()  # too young to be told from one that another machine is writing


def test_what_a_killed_writer_left_is_removed_when_old(killed_writer: Path, cache: Path) -> None:
    old = time.time() - 2 * store._ABANDONED_SECONDS
    for path in (*killed_writer.iterdir(), killed_writer):
        os.utime(path, (old, old))
    prepare(DIGITS, None, cache)
    assert not killed_writer.exists()


def test_two_processes_at_once_build_once(cache: Path) -> None:
    note = "open(sys.argv[1] + '/built', 'a').write('x'); time.sleep(0.2)"
    processes = [_start(cache, note) for _ in range(3)]
    printed = {process.communicate(timeout=120)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert printed == {prepare(DIGITS, None, cache).fingerprint + "\n"}
    assert (cache / "built").read_text() == "x" * len(_ARRAYS)
    assert len(list((cache / "decoded").iterdir())) == 1


def test_where_locks_do_not_hold_the_second_builder_discards(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filelock, "FileLock", lambda path: nullcontext())

    def build(folder: Path) -> dict[str, int]:
        np.save(folder / "a.npy", np.arange(3))
        return {"builder": 1}

    def build_second(folder: Path) -> dict[str, int]:
        get_or_build(cache, "decoded", "key", build, ("a",))
        np.save(folder / "a.npy", np.arange(3))
        return {"builder": 2}

    entry = get_or_build(cache, "decoded", "key", build_second, ("a",))
    assert entry.about == {"builder": 1}
    assert [path.name for path in (cache / "decoded").iterdir()] == ["key"]


def test_a_failing_build_leaves_nothing(cache: Path) -> None:
    def build(folder: Path) -> dict[str, int]:
        np.save(folder / "a.npy", np.arange(3))
        raise DataError("no good")

    with pytest.raises(DataError, match="no good"):
        get_or_build(cache, "decoded", "key", build, ("a",))
    assert list((cache / "decoded").iterdir()) == []


def _truncate(entry: Entry) -> None:
    file = entry.folder / "x_train.npy"
    os.truncate(file, file.stat().st_size - 1)


def _flip(entry: Entry) -> None:
    file = entry.folder / "x_train.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def _remove_array(entry: Entry) -> None:
    (entry.folder / "y_test.npy").unlink()


def _cut_meta(entry: Entry) -> None:
    os.truncate(entry.folder / "meta.json", 100)


def _edit_meta(entry: Entry) -> None:
    meta = json.loads((entry.folder / "meta.json").read_text())
    meta["body"]["about"]["outputs"] = 11
    (entry.folder / "meta.json").write_text(json.dumps(meta))


def _remove_meta(entry: Entry) -> None:
    (entry.folder / "meta.json").unlink()


@pytest.mark.parametrize("damage", [_truncate, _flip, _remove_array, _cut_meta, _edit_meta, _remove_meta])
def test_a_damaged_entry_is_reported_and_made_again(
    cache: Path, damage: Callable[[Entry], None], caplog: pytest.LogCaptureFixture
) -> None:
    facts = prepare(DIGITS, None, cache)
    entry = decoded(DIGITS, None, cache)
    good = {path.name: path.read_bytes() for path in entry.folder.glob("*.npy")}
    damage(entry)
    with caplog.at_level(logging.WARNING):
        assert prepare(DIGITS, None, cache) == facts
    assert "damaged" in caplog.text
    assert {path.name: path.read_bytes() for path in entry.folder.glob("*.npy")} == good
    assert [path.name for path in (cache / "decoded").iterdir()] == [entry.folder.name]


def test_writing_to_an_array_stays_in_the_process(cache: Path) -> None:
    entry = decoded(DIGITS, None, cache)
    before = (entry.folder / "x_train.npy").read_bytes()
    array = entry.array("x_train")
    array[:] = 7
    assert (entry.folder / "x_train.npy").read_bytes() == before


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file: the data cache cannot be written \(.+\); .* HARNESS_CACHE$"):
        prepare(DIGITS, None, tmp_path / "file")


def test_a_full_disk_is_one_sentence_and_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DataError, match="No space left on device"):
        prepare(DIGITS, None, cache)
    assert list((cache / "decoded").iterdir()) == []


def test_a_cache_that_may_only_be_read_serves(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = prepare(DIGITS, None, cache)
    for memo in (cache / "hashes").iterdir():
        memo.unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert prepare(DIGITS, None, cache) == facts
    assert list((cache / "hashes").iterdir()) == []
