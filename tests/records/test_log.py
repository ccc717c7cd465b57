"""The execution log."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.records.log import ExecutionLog


@pytest.fixture
def log(tmp_path: Path) -> ExecutionLog:
    return ExecutionLog(tmp_path)


def test_lines_are_read_in_order_of_time(log: ExecutionLog) -> None:
    assert log.read() == []
    log.write("started", "a", 1)
    log.write("finished", "a", 1)
    log.write("started", "b", 1)
    lines = log.read()
    assert [(line["event"], line["trial_id"], line["attempt"]) for line in lines] == [
        ("started", "a", 1),
        ("finished", "a", 1),
        ("started", "b", 1),
    ]
    assert len({line["process"] for line in lines}) == 1


def test_every_process_has_a_file_of_its_own(log: ExecutionLog, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.records.log import ExecutionLog; "
        "ExecutionLog(Path(sys.argv[1])).write('started', 'b', 1)"
    )
    log.write("started", "a", 1)
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert len(list((tmp_path / "executions").iterdir())) == 2
    assert [line["trial_id"] for line in log.read()] == ["a", "b"]
    assert len({line["process"] for line in log.read()}) == 2


def test_a_line_cut_short_by_a_kill_is_left_out(log: ExecutionLog, tmp_path: Path) -> None:
    log.write("started", "a", 1)
    [path] = (tmp_path / "executions").iterdir()
    with path.open("a") as file:
        file.write('{"time": 1, "eve')
    assert [line["trial_id"] for line in log.read()] == ["a"]


def test_starts_and_losses(log: ExecutionLog) -> None:
    log.write("started", "killed", 1)
    log.write("started", "killed", 2)
    log.write("lost", "killed", 2)
    log.write("started", "killed", 3)
    log.write("finished", "killed", 3)
    log.write("started", "fine", 1)
    log.write("finished", "fine", 1)
    log.write("started", "running", 1)
    assert log.starts() == {"killed": 3, "fine": 1, "running": 1}
    assert log.lost_attempts() == 2


def test_what_the_user_stopped_was_not_lost(log: ExecutionLog) -> None:
    log.write("started", "stopped", 1)
    log.write("started", "done", 1)
    log.write("finished", "done", 1)
    log.stopped([("stopped", 1), ("done", 1), ("waiting", 1)])
    assert [line["trial_id"] for line in log.read() if line["event"] == "stopped"] == ["stopped"]
    log.write("started", "stopped", 2)
    assert log.lost_attempts() == 0
    assert log.starts() == {"stopped": 2, "done": 1}


def test_a_trial_run_again_for_its_damaged_record_was_not_lost(log: ExecutionLog) -> None:
    for attempt in (1, 2):
        log.write("started", "a", attempt)
        log.write("finished", "a", attempt)
    assert log.lost_attempts() == 0
