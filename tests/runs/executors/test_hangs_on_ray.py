"""Calls that do not come back, in workers of a real cluster."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.records.directory import RunDirectory
from tests.runs.executors.driving import Driver, records_of
from tests.runs.executors.faults import FAULTY, faulty

pytestmark = pytest.mark.faults


def test_hangs_in_python_and_in_native_code_are_ended_and_the_other_arms_go_on(
    start: Callable[..., Driver], tiny: dict[str, Any], tmp_path: Path
) -> None:
    limit = 5
    tiny["training"]["time_limit_seconds"] = limit
    methods = [faulty("sleeps", "sleeps"), faulty("hangs", "hangs"), "fixed"]
    out = tmp_path / "run"
    fields = tiny | {"methods": methods, "trials": 1, "plugins": [FAULTY]}
    code, _, err = start(fields | {"claim": {"baseline": "fixed"}}, out).end()
    assert code == 0, err
    records = {method: found[0] for method, found in records_of(out).items()}
    assert {method: record.status for method, record in records.items()} == {
        "sleeps": "timed_out",
        "hangs": "timed_out",
        "fixed": "ok",
    }
    assert records["sleeps"].message == "over its 5 s: a call did not come back, in epoch 2"
    assert records["hangs"].message.startswith(
        "over its 5 s: a call in native code did not come back, in epoch 2"
    )
    times: dict[str, dict[str, float]] = {}
    for line in RunDirectory(out).log.read():
        times.setdefault(line["trial_id"], {})[line["event"]] = line["time"]
    for method, end in (("sleeps", "finished"), ("hangs", "lost")):
        assert "faulty.py" in records[method].traceback
        told = times[records[method].trial_id]
        assert told[end] - told["started"] < limit + 15 + 5, "and some seconds for a loaded machine"
        assert records[method].costs.train_seconds >= limit
    assert not (out / "running").exists()
