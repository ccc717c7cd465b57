"""Where an attempt is, and what is left of it if its worker dies."""

import os
from pathlib import Path

from harness.records.running import HUNG, LeftBehind, RunningFolder, note_epoch


def test_an_attempt_that_ends_leaves_nothing(tmp_path: Path) -> None:
    folder = RunningFolder(tmp_path)
    with folder.begun("a.1") as file:
        note_epoch(file)
        assert folder.path("a.1").exists()
    assert list((tmp_path / "running").iterdir()) == []
    assert folder.take("a.1") == LeftBehind(0, "")


def test_what_a_killed_driver_left_goes(tmp_path: Path) -> None:
    folder = RunningFolder(tmp_path)
    folder.clear()
    folder.path("a.1").parent.mkdir()
    folder.path("a.1").touch()
    folder.clear()
    assert not folder.path("a.1").exists()


def test_what_a_dead_worker_left_is_taken_once(tmp_path: Path) -> None:
    folder = RunningFolder(tmp_path)
    with folder.begun("a.1") as file:
        note_epoch(file)
        note_epoch(file)
        os.write(file, f"{HUNG}0:00:01)!\n  File x".encode())
        text = folder.path("a.1").read_text()
    folder.path("a.1").write_text(text)
    assert folder.take("a.1") == LeftBehind(2, f"{HUNG}0:00:01)!\n  File x")
    assert folder.take("a.1") == LeftBehind(0, "")
