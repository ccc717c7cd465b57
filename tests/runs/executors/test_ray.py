"""The same plans on Ray: equal records, workers that die, drivers that are stopped. Ray starts take seconds,
so each of the two runs here serves many tests."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import ray

from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.runs.attempts import MAX_LOSSES
from tests.making import Ended, plan_of, refused
from tests.runs.executors.driving import Driver, outcomes_of, records_of, starts_of_finished, table_of
from tests.runs.executors.faults import FAULTS, check_faults, faulty, slow_study, study_of_faults

Fields = dict[str, Any]
Write = Callable[[Fields], Path]

_TPE = {"name": "TPESampler", "round_size": 2, "options": {"n_startup_trials": 2}}
#: Arms that end a worker process; inline they would end the tests.
_DEADLY = {"quit_once", "engine_once", "kill"}


def study_of_everything(tiny: Fields, marker: Path) -> Fields:
    """Every fault, TPE arms, ShrinkNets, and two methods that end their worker."""
    fields = study_of_faults(tiny)
    fields["methods"] += [
        "shrinknets",
        {"name": "tpe", "method": "l2", "sampler": _TPE, "trials": 5},
        faulty("tpe-odd", "some_sizes", sampler=_TPE | {"replicates": 2}, trials=4),
        {"name": "control", "method": "l2", "of": "tpe-odd"},
        {"name": "of-control", "method": "shrinknets", "of": "control", "trials": 2},
        faulty("quit_once", "quit_once", options={"marker": str(marker)}, trials=2),
        faulty("engine_once", "engine_once", options={"marker": f"{marker}-engine"}, trials=2),
        faulty("memory_once", "memory_once", options={"marker": f"{marker}-memory"}, trials=2),
        faulty("kill", "kill"),
    ]
    return fields


def test_both_executors_give_the_same_records(
    start: Callable[..., Driver], run_inline: Callable[[Fields, Path], str], tiny: Fields, tmp_path: Path
) -> None:
    fields, on_ray, inline = (
        study_of_everything(tiny, tmp_path / "quit"),
        tmp_path / "ray",
        tmp_path / "inline",
    )
    code, printed, err = start(fields, on_ray).end()
    assert code == 0, err
    check_faults(on_ray)
    records = records_of(on_ray)

    harmless = [
        method
        for method in fields["methods"]
        if not set(_DEADLY) & {dict(method)["name"] if isinstance(method, dict) else method}
    ]
    run_inline(fields | {"methods": harmless}, inline)
    ours = {
        i: outcome
        for i, outcome in outcomes_of(on_ray).items()
        if outcome["arm"].rpartition("/")[2] not in _DEADLY
    }
    assert ours == outcomes_of(inline)
    assert len(ours) == len(FAULTS) + 3 + 5 + 2 * 4 + 2 * 4 + 2 * 2 + 2
    assert {record.status for record in records["tpe-odd"]} == {"ok", "crashed"}
    ends = {record.trial_id: record.status for record in records["tpe-odd"]}
    assert {record.origin_trial_id: record.status for record in records["control"]} == ends
    table = table_of(on_ray)
    alive = table[~table["method"].isin(_DEADLY)].reset_index(drop=True)
    pd.testing.assert_frame_equal(alive, table_of(inline))

    check_lost_once(records["quit_once"], on_ray)
    lost = check_lost_once(records["engine_once"], on_ray)
    assert [file.name for file in (on_ray / "faults").iterdir()] == [f"{lost}.1.txt"], "its worker left"
    check_tried_twice(records["memory_once"], on_ray)
    check_given_up(records["kill"][0], on_ray)
    assert f"{len(table)} of {len(table)} trials done" in printed
    assert not (on_ray / ".tune").exists(), "nothing of Ray Tune's own is left"


def events_of(out: Path, trial_id: str) -> list[tuple[str, int]]:
    return [
        (line["event"], line["attempt"])
        for line in RunDirectory(out).log.read()
        if line["trial_id"] == trial_id
    ]


def check_lost_once(records: list[Record], out: Path) -> str:
    """One of the two trials ended its worker, ran again, and is like any other."""
    assert [record.status for record in records] == ["ok", "ok"]
    assert sorted(record.attempt for record in records) == [1, 2]
    [lost] = [record for record in records if record.attempt == 2]
    assert events_of(out, lost.trial_id) == [("started", 1), ("lost", 1), ("started", 2), ("finished", 2)]
    return lost.trial_id


def check_tried_twice(records: list[Record], out: Path) -> None:
    """One of the two ran out of memory, and ran again when no other trial did."""
    assert [record.status for record in records] == ["ok", "ok"]
    [again] = [record for record in records if record.attempt == 2]
    expected = [("started", 1), ("out_of_memory", 1), ("started", 2), ("finished", 2)]
    assert events_of(out, again.trial_id) == expected
    lines = [(line["event"], line["trial_id"], line["attempt"]) for line in RunDirectory(out).log.read()]
    begun = lines.index(("started", again.trial_id, 2))
    assert lines[begun + 1] == ("finished", again.trial_id, 2)
    before = {(trial, attempt) for event, trial, attempt in lines[:begun] if event == "started"}
    ended = {(trial, attempt) for event, trial, attempt in lines[:begun] if event != "started"}
    assert before == ended, "no other trial was running"


def check_given_up(record: Record, out: Path) -> None:
    assert (record.status, record.attempt) == ("crashed", MAX_LOSSES)
    assert record.message.startswith(
        "its worker died 3 times in epoch 1, the last time with nothing beside it (out of memory, or a fault"
    )
    assert record.costs.train_seconds > 0, "what the lost attempts took is charged"
    assert record.costs.device
    assert (record.epochs, record.val_score, record.test_score) == ([], None, None)
    expected = [(event, attempt) for attempt in (1, 2, 3) for event in ("started", "lost")]
    assert events_of(out, record.trial_id) == expected


def test_stopped_in_the_middle_and_the_same_command_again(
    start: Callable[..., Driver], run_inline: Callable[[Fields, Path], str], tiny: Fields, tmp_path: Path
) -> None:
    fields, out = slow_study(tiny), tmp_path / "stopped"
    fields["methods"][0]["trials"] = 12

    driver = start(fields, out)
    driver.wait_for_records(2)
    driver.signal(signal.SIGINT)
    code, _, err = driver.end(seconds=60)
    assert code == 130, err
    assert err.endswith("Stopped; every finished trial is kept. The same command goes on.\n")
    assert "Traceback" not in err
    first = starts_of_finished(out)
    assert 2 <= len(first) < 16

    driver = start(fields, out)
    driver.wait_for_records(len(first) + 2)
    driver.signal(signal.SIGKILL)
    driver.end()
    second = starts_of_finished(out)
    assert first.items() < second.items(), "a finished trial ran again"
    assert len(second) < 16

    code, _, err = start(fields, out).end()
    assert code == 0, err
    assert second.items() <= starts_of_finished(out).items(), "a finished trial ran again"
    run_inline(fields, tmp_path / "uninterrupted")
    assert outcomes_of(out) == outcomes_of(tmp_path / "uninterrupted")
    pd.testing.assert_frame_equal(table_of(out), table_of(tmp_path / "uninterrupted"))
    assert most_at_once(out) >= 2


def most_at_once(out: Path) -> int:
    """How many worker processes ran a trial at the same time, by the execution log.

    Only attempts that were finished count: one that was killed has no end, and would overlap with all later.
    """
    begun: dict[tuple[str, str], float] = {}
    spans = []
    for line in RunDirectory(out).log.read():
        key = (line["process"], line["trial_id"])
        if line["event"] == "started":
            begun[key] = line["time"]
        elif line["event"] == "finished":
            spans.append((begun.pop(key), line["time"], line["process"]))
    return max(
        len({process for start, end, process in spans if start <= moment < end}) for moment, _, _ in spans
    )


def test_no_trial_begins_after_the_deadline_however_long_a_worker_takes_to_start(
    monkeypatch: pytest.MonkeyPatch, tiny: Fields, tmp_path: Path
) -> None:
    import harness.runs.trial_runner
    from harness.runs.executors.ray.worker import Worker

    ready_at = []

    class SlowToStart:
        def __init__(self, *_: object) -> None:
            time.sleep(0.2)

        def prepare_worker(self) -> None:
            ready_at.append(time.time())

    monkeypatch.setattr(harness.runs.trial_runner, "TrialRunner", SlowToStart)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    trial = {"id": "0", "arm": "a", "replicate": 0, "index": 0, "params": {}, "seeds": {}}
    bundle = {"attempts": [{"trial": trial, "number": 1}], "deadline": time.time() + 0.1}
    worker = Worker.__new__(Worker)
    worker.setup({"bundle": json.dumps(bundle)}, plan_of(tiny), None, RunDirectory(tmp_path), certify=False)
    assert worker.step() == {"done": True}
    assert len(worker.attempts) == 1
    assert [worker.taken_at >= ready for ready in ready_at] == [True], "a start is no trial's waiting"


# --- clusters that are there already


@pytest.fixture
def head() -> Iterator[str]:
    """The address of a Ray cluster on this machine that demands the token "right"."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "start",
        "--head",
        f"--port={port}",
        "--num-cpus=1",
    ]
    command += ["--include-dashboard=false", "--block", "--disable-usage-stats"]
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "right"}
    with (
        tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder,
        subprocess.Popen(
            [*command, f"--temp-dir={folder}"], env=environment, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout is not None
        assert any("Ray runtime started" in line for line in process.stdout), "the head did not start"
        yield f"127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        process.communicate()


def test_beside_a_cluster_and_on_it(
    start: Callable[..., Driver], head: str, tiny: Fields, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an address a run has a cluster of its own; with one it needs the cluster's token."""
    fields = tiny | {"methods": ["fixed"], "trials": 1}
    monkeypatch.setenv("HOME", "/dev/null")  # where no token can be read or written
    drivers = {"own": start(fields, tmp_path / "own")}
    drivers["tokenless"] = start(fields, tmp_path / "tokenless", "--address", head)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    drivers["wrong"] = start(fields, tmp_path / "wrong", "--address", head)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "right")
    drivers["right"] = start(fields, tmp_path / "right", "--address", head)
    ended = {name: driver.end() for name, driver in drivers.items()}
    for name in ("own", "right"):
        assert ended[name][0] == 0, ended[name]
        assert len(table_of(tmp_path / name)) == 1
    wanted = {
        "tokenless": "the Ray cluster there demands a token, and there is none here; ",
        "wrong": "the Ray cluster there does not take the token of RAY_AUTH_TOKEN; ",
    }
    for name, sentence in wanted.items():
        code, _, err = ended[name]
        assert code == 2
        # matplotlib complains of the home directory before
        assert err.splitlines()[-1].startswith(f"--address {head}: {sentence}show the cluster's")


def test_rays_client_is_an_extra(
    harness_command: Callable[..., Ended], write_study: Write, tiny: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ended = harness_command("run", write_study(tiny), "--address", "ray://host:10001")
    assert "need Ray's client, which is not installed: pip install 'sizing-harness[client]'" in refused(ended)


# --- clusters that are not there


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.runs.executors.ray import connection as ray_connection

    assert ray_connection.CONNECT_SECONDS == 30
    monkeypatch.setattr(ray_connection, "CONNECT_SECONDS", 4)


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("how", ["refuses", "silent", "environment"])
def test_an_address_that_does_not_answer(
    harness_command: Callable[..., Ended],
    write_study: Write,
    tiny: Fields,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    impatient: None,
    silent: str,
    how: str,
) -> None:
    address = "127.0.0.1:1" if how == "refuses" else silent
    options, named, without = ["--address", address], f"--address {address}", "leave --address out"
    if how == "environment":
        monkeypatch.setenv("RAY_ADDRESS", address)
        options, named, without = [], f"RAY_ADDRESS={address}", "unset RAY_ADDRESS"
    ended = harness_command("run", write_study(tiny), "--out", tmp_path / "run", *options)
    assert refused(ended) == (
        f"{named}: no Ray cluster answered within 4 s; start one with `ray start --head`, or "
        f"{without} to run on this machine"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("field", "kind"), [("gpus", "GPU"), ("cpus", "CPU")])
def test_more_than_the_cluster_has(
    monkeypatch: pytest.MonkeyPatch,
    harness_command: Callable[..., Ended],
    write_study: Write,
    tiny: Fields,
    tmp_path: Path,
    field: str,
    kind: str,
) -> None:

    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "nodes", lambda: nodes_of({"CPU": 0.5}, {"CPU": 0.5}))
    path = write_study(
        tiny | {"resources": {"cpus": 1 if kind == "CPU" else 0.5, "gpus": int(kind == "GPU")}}
    )
    ended = harness_command("run", path, "--out", tmp_path / "run")
    has = {"CPU": "0.5", "GPU": "0"}[kind]
    assert (
        refused(ended)
        == f"{path}: resources.{field}: 1 {kind} is asked for each trial, and no machine of the cluster "
        f"has more than {has}"
    )
    assert not (tmp_path / "run").exists()


def test_enough_in_all_and_on_no_machine_is_refused(monkeypatch: pytest.MonkeyPatch, tiny: Fields) -> None:
    from harness.runs.executors.base import ResourcesError
    from harness.runs.executors.ray import connection as ray_connection

    monkeypatch.setattr(ray, "nodes", lambda: nodes_of({"CPU": 8}, {"GPU": 1}))
    plan = plan_of(tiny | {"resources": {"cpus": 1, "gpus": 1}})
    with pytest.raises(ResourcesError, match="no machine of the cluster has both"):
        ray_connection._count_workers(plan)


def nodes_of(*resources: dict[str, float]) -> list[dict[str, Any]]:
    """As Ray lists the machines of a cluster; one that is gone stays in the list."""
    alive = [{"Alive": True, "Resources": has} for has in resources]
    return [*alive, {"Alive": False, "Resources": {"CPU": 64, "GPU": 8}}]


@pytest.mark.parametrize(
    ("cpus", "gpus", "cluster", "workers"),
    [
        (1, 0, [{"CPU": 4}], 4),
        (0.5, 0, [{"CPU": 4}], 8),
        (3, 0, [{"CPU": 4}], 1),
        (3, 0, [{"CPU": 5}, {"CPU": 5}], 2),  # what two machines have left over adds up to nothing
        (1, 0.25, [{"CPU": 16, "GPU": 1}], 4),
        (1, 0.1, [{"CPU": 16, "GPU": 1}], 10),
        (0.1, 0.3, [{"CPU": 1, "GPU": 2}], 6),
        (1, 1, [{"CPU": 16}, {"CPU": 1, "GPU": 4}], 1),  # a machine without a GPU runs none
    ],
)
def test_how_many_trials_run_at_once(
    monkeypatch: pytest.MonkeyPatch,
    tiny: Fields,
    cpus: float,
    gpus: float,
    cluster: list[dict[str, float]],
    workers: int,
) -> None:
    from harness.runs.executors.ray import connection as ray_connection

    monkeypatch.setattr(ray, "nodes", lambda: nodes_of(*cluster))
    plan = plan_of(tiny | {"resources": {"cpus": cpus, "gpus": gpus}})
    assert ray_connection._count_workers(plan) == workers
