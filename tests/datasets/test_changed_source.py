"""A source that changes is decoded anew, whatever its size and times say."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from harness.datasets import DatasetSpec, prepare
from harness.datasets.cache import hashes
from harness.datasets.cache.hashes import hash_file, hash_files
from tests.datasets.kinds import Arrays, WriteNpz


def test_a_changed_file_of_the_same_size_is_noticed(mnist_folder: Path, cache: Path) -> None:
    spec = DatasetSpec("mnist", "mnist")
    before = prepare(spec, mnist_folder, cache)
    labels = mnist_folder / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    content = bytearray(labels.read_bytes())
    content[-1] = 0 if content[-1] else 1
    labels.write_bytes(content)
    after = prepare(spec, mnist_folder, cache)
    assert after.fingerprint != before.fingerprint


def test_a_file_changed_back_finds_its_old_entry(
    small: DatasetSpec, arrays: Arrays, write_npz: WriteNpz, cache: Path, tmp_path: Path
) -> None:
    before = prepare(small, tmp_path, cache)
    changed = prepare(write_npz(arrays | {"y_test": np.zeros(10, dtype=int)}), tmp_path, cache)
    assert changed.fingerprint != before.fingerprint
    assert prepare(write_npz(arrays), tmp_path, cache) == before


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"first")
    return file


def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files written now count as settled."""
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 10_000_000_000)


def test_a_settled_file_is_read_once(old_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _later(monkeypatch)
    expected = {old_file: hash_file(old_file)}
    assert hash_files([old_file], tmp_path) == expected
    monkeypatch.setattr(hashes, "hash_file", None)
    assert hash_files([old_file], tmp_path) == expected


def test_a_file_just_written_is_not_trusted(old_file: Path, tmp_path: Path) -> None:
    # A second write within one tick of the file system's clock leaves size and times as they were.
    hash_files([old_file], tmp_path)
    assert not list(tmp_path.glob("*.json"))


def test_a_change_with_size_and_modification_time_restored_is_noticed(
    old_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _later(monkeypatch)
    before = hash_files([old_file], tmp_path)
    stat = old_file.stat()
    time.sleep(0.02)  # a tick of the file system's clock, which the time of change is taken from
    old_file.write_bytes(b"other")
    os.utime(old_file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert old_file.stat().st_mtime_ns == stat.st_mtime_ns
    assert hash_files([old_file], tmp_path) != before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"file": 3}', '"text"'])
def test_a_memory_cut_short_is_worked_out_again(
    old_file: Path, tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _later(monkeypatch)
    expected = hash_files([old_file], tmp_path)
    (memo,) = tmp_path.glob("*.json")
    memo.write_text(content)
    assert hash_files([old_file], tmp_path) == expected
