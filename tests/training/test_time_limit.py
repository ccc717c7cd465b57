"""A call that does not come back is ended, whatever it does, and in native code with its process."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from harness.records.running import HUNG
from harness.training import time_limit
from harness.training.fault import strangers
from harness.training.time_limit import OverdueError, coming_back


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(time_limit, "_AGAIN_SECONDS", 0.05)


def sleep_through(alarms: int) -> None:
    with coming_back(0.05), strangers:
        for _ in range(alarms):
            with suppress(BaseException):
                time.sleep(60)
        time.sleep(60)


@pytest.mark.parametrize("swallowed", [0, 1, 2])
def test_a_call_is_ended_past_the_limit_and_its_grace_and_is_no_crash(swallowed: int) -> None:
    with pytest.raises(OverdueError, match=r"^over its 0\.05 s: a call did not come back$"):
        sleep_through(swallowed)


def test_what_comes_back_in_time_is_left_alone_and_the_alarm_is_off() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with coming_back(0.05):
        pass
    time.sleep(0.2)
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_limit_of_ages_is_none() -> None:
    with coming_back(float("inf")):
        pass


_HANGS = """
import sys
from collections import deque
from itertools import repeat
from harness.training import time_limit
time_limit.GRACE_SECONDS = time_limit._LAST_SECONDS = 0.1
with open(sys.argv[1], "w") as file:
    with time_limit.ending_process(file.fileno()), time_limit.coming_back(0.1):
        deque(repeat(0), maxlen=0)
"""


def test_native_code_that_hangs_ends_with_its_process_and_word_is_left(tmp_path: Path) -> None:
    word = tmp_path / "word"
    done = subprocess.run([sys.executable, "-c", _HANGS, str(word)], timeout=60, check=False)
    assert done.returncode == 1
    assert word.read_text().startswith(HUNG)
    assert 'File "<string>", line 9' in word.read_text()
