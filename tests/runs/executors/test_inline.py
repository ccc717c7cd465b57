"""Trials in this process: every way a trial can end is a record; stopping and going on."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from harness.datasets import DataError, Part, Split, load_split
from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.runs import trial_runner
from harness.runs.run import RunRequest, run_study
from harness.runs.trial_runner import TrialRunner
from harness.watching import Silent
from tests.runs.executors.conftest import FAULTY, Driver, faulty, outcomes_of, starts_of_finished, table_of

Fields = dict[str, Any]
Run = Callable[[Fields, Path], str]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


def records_of(out: Path) -> dict[str, list[Record]]:
    """Method -> its records in the order of the plan."""
    records, damaged = RunDirectory(out).store.read_all()
    assert damaged == {}
    found: dict[str, list[Record]] = {}
    for record in sorted(records.values(), key=lambda record: record.index):
        found.setdefault(record.arm.rpartition("/")[2], []).append(record)
    return found


#: Fault -> status and message of its trial's record.
FAULTS = {
    "build": ("crashed", "RuntimeError: broken in build"),
    "phases": ("crashed", "RuntimeError: broken in phases"),
    "penalty": ("crashed", "RuntimeError: broken in penalty"),
    "after_step": ("crashed", "RuntimeError: broken in after_step"),
    "edits": ("crashed", "RuntimeError: broken in edits"),
    "second_epoch": ("crashed", "RuntimeError: broken in second_epoch"),
    "strange_tensor": ("crashed", "KeyError: 'no.such.tensor'"),
    "strange_edit": ("crashed", None),
    "no_edit": ("crashed", "TypeError: a method proposed 'remove something', which is no edit"),
    "exit": ("crashed", "SystemExit: 3"),
    "unselectable": ("crashed", "the method's phases allow no epoch to be selected"),
    "nan": ("diverged", "the training loss was nan in epoch 1"),
    "collapse": ("collapsed", "hidden1 lost its last unit in epoch 1"),
    "memory": ("out_of_memory", "MemoryError: no room"),
    "device_memory": ("out_of_memory", "OutOfMemoryError: CUDA out of memory"),
    "huge_tensor": ("out_of_memory", None),
    "half_a_character": ("crashed", "OSError: no such file: \\udcff.png"),
    "huge_message": ("crashed", None),
    "speechless": ("crashed", "SpeechlessError: (its message cannot be had: __str__ raised RuntimeError)"),
    "stop": ("ok", ""),
}


def study_of_faults(tiny: Fields) -> Fields:
    """One arm a fault, one trial each, between two arms that are sound."""
    methods = ["fixed", *(faulty(fault, fault) for fault in FAULTS), "l2"]
    return tiny | {"methods": methods, "trials": 1, "plugins": [FAULTY]}


def check_faults(out: Path) -> None:
    records = {method: found[0] for method, found in records_of(out).items()}
    for method in ("fixed", "l2"):
        assert records[method].status == "ok", "the study goes on"
    for fault, (status, message) in FAULTS.items():
        record = records[fault]
        assert record.status == status, (fault, record.message)
        assert message is None or record.message == message
        assert (record.message == "") == (status == "ok")
        has_traceback = status in ("crashed", "out_of_memory") and fault != "unselectable"
        assert ("Traceback" in record.traceback) == has_traceback, fault
        if status != "ok":
            nothing = (record.selected_epoch, record.val_score, record.test_score, record.selected_size)
            assert nothing == (None,) * 4
    assert "faulty.py" in records["penalty"].traceback, "the traceback leads to the line"
    assert len(records["second_epoch"].epochs) == 1, "what was measured before is kept"
    assert records["second_epoch"].costs.train_flops > 0
    assert records["build"].start_size is None
    assert len(records["stop"].epochs) == 1
    huge = records["huge_message"]
    assert huge.message.startswith("ValueError: xxx")
    assert "characters left out" in huge.message
    assert (out / "records" / f"{huge.trial_id}.json").stat().st_size < 100_000


def test_whatever_goes_wrong_in_a_method_is_its_trials_record(
    run_inline: Run, tiny: Fields, out: Path
) -> None:
    printed = run_inline(study_of_faults(tiny), out)
    check_faults(out)
    assert "digits/mlp/build trial 0: crashed: RuntimeError: broken in build" in printed
    table = table_of(out)
    assert len(table) == len(FAULTS) + 2
    failed = table[table["status"] != "ok"]
    assert failed[["val_accuracy", "test_accuracy", "parameters", "selected_epoch"]].isna().all(axis=None)
    assert failed["message"].notna().all()


def test_a_time_limit_ends_a_trial(run_inline: Run, tiny: Fields, out: Path) -> None:
    tiny["training"]["time_limit_seconds"] = 1e-6
    run_inline(tiny | {"trials": 1}, out)
    for [record] in records_of(out).values():
        assert (record.status, record.message) == ("timed_out", "over its 1e-06 s in epoch 1")
        assert record.epochs == []


def test_a_record_holds_all_that_was_asked_for(run_inline: Run, tiny: Fields, out: Path) -> None:
    run_inline(tiny | {"methods": ["fixed", "l2", "shrinknets"]}, out)
    for method, records in records_of(out).items():
        assert [record.index for record in records] == [0, 1, 2]
        for record in records:
            assert record.status == "ok"
            best = max(epoch.val_score for epoch in record.epochs if epoch.val_score is not None)
            first = next(epoch for epoch in record.epochs if epoch.val_score == best)
            assert (record.val_score, record.selected_epoch) == (best, first.epoch)
            assert record.test_score is not None
            assert (record.val_examples, record.test_examples) == (288, 359)
            assert (record.epochs_planned, len(record.epochs), record.attempt) == (2, 2, 1)
            start, units = record.start_size, record.epochs[0].size.units["hidden1"]
            assert start is not None
            searched = 16 if method == "shrinknets" else record.params["hidden1"]
            assert start.units == {"hidden1": searched}
            assert start.parameters == 64 * searched + searched + searched * 10 + 10
            assert record.costs.train_flops > 0
            if method != "shrinknets":
                assert units == searched
                assert record.costs.train_flops == 6 * (64 + 10) * units * 1150 * 2
            assert record.costs.train_seconds > 0
            assert record.costs.evaluation_seconds > 0
            assert record.costs.device
            assert record.costs.device_share == 1
            assert record.provenance.keys() >= {"commit", "dirty", "packages", "python", "cpu", "host"}
            assert record.started_at <= record.finished_at


def test_the_test_part_is_scored_once_a_trial_and_decides_nothing(
    run_inline: Run, tiny: Fields, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tpe = {"name": "TPESampler", "round_size": 2, "options": {"n_startup_trials": 2}}
    crash = faulty("odd", "some_sizes", sampler=tpe)
    fields = tiny | {"methods": ["fixed", {"name": "l2", "sampler": tpe}, crash], "trials": 5}
    fields["plugins"] = [FAULTY]
    run_inline(fields, tmp_path / "whole")

    reads: list[int] = []

    class Counted(Part):
        def __len__(self) -> int:
            reads.append(len(self.y))
            return len(self.y)

    def poisoned(*arguments: Any, **named: Any) -> Split:
        split = load_split(*arguments, **named)
        return replace(split, test=Counted(split.test.x, (split.test.y + 1) % 10))

    monkeypatch.setattr(trial_runner, "load_split", poisoned)
    run_inline(fields, tmp_path / "poisoned")
    whole, poison = outcomes_of(tmp_path / "whole"), outcomes_of(tmp_path / "poisoned")
    assert whole.keys() == poison.keys(), "the searches went the same way"
    assert {outcome["status"] for outcome in whole.values()} == {"ok", "crashed"}
    for trial_id, outcome in whole.items():
        assert (outcome["test_score"] is None) == (outcome["status"] != "ok")
        assert outcome["test_score"] is None or outcome["test_score"] != poison[trial_id]["test_score"]
    without = [{i: o | {"test_score": None} for i, o in outcomes.items()} for outcomes in (whole, poison)]
    assert without[0] == without[1]


def test_paired_arms_start_from_the_same_weights(run_inline: Run, tiny: Fields, out: Path) -> None:
    """With the same draws and seeds and no decay to speak of, l2 does what fixed does."""
    methods = ["fixed", {"name": "l2", "space": {"weight_decay": 0.0}}]
    run_inline(tiny | {"methods": methods, "paired": True}, out)
    fixed, l2 = records_of(out)["fixed"], records_of(out)["l2"]
    assert [r.pair_id for r in fixed] == [r.pair_id for r in l2]
    assert [r.epochs for r in fixed] == [r.epochs for r in l2]
    assert [r.test_score for r in fixed] == [r.test_score for r in l2]


def test_trials_do_not_depend_on_what_ran_before_them(run_inline: Run, tiny: Fields, tmp_path: Path) -> None:
    run_inline(tiny, tmp_path / "both")
    run_inline(tiny | {"methods": ["l2"], "claim": {"baseline": "l2"}}, tmp_path / "one")
    both, one = outcomes_of(tmp_path / "both"), outcomes_of(tmp_path / "one")
    assert len(one) == 3
    assert one.items() <= both.items()


# --- stopping and going on


def slow_study(tiny: Fields) -> Fields:
    """Eight trials of two epochs of 0.15 s, half of them adaptive: time to be stopped in the middle."""
    tpe = {"name": "TPESampler", "round_size": 2, "options": {"n_startup_trials": 2}}
    methods = [faulty("slow", "slow"), faulty("tpe", "slow", sampler=tpe)]
    return tiny | {"methods": methods, "trials": 4, "plugins": [FAULTY], "claim": {"baseline": "slow"}}


def test_a_killed_driver_and_the_same_command_again(
    start: Callable[..., Driver], run_inline: Run, tiny: Fields, tmp_path: Path
) -> None:
    fields, out = slow_study(tiny), tmp_path / "killed"
    driver = start(fields, out, "--executor", "inline")
    driver.wait_for_records(2)
    driver.signal(signal.SIGKILL)
    driver.end()
    finished = starts_of_finished(out)
    assert 2 <= len(finished) < 8

    driver = start(fields, out, "--executor", "inline")
    driver.wait_for_records(len(finished) + 1)
    driver.signal(signal.SIGINT)
    code, _, err = driver.end(seconds=5)
    assert code == 130
    assert err == "Stopped; every finished trial is kept. The same command goes on.\n"
    later = starts_of_finished(out)
    assert finished.items() < later.items()
    assert len(later) < 8

    run_inline(fields, out)
    run_inline(fields, tmp_path / "uninterrupted")
    assert outcomes_of(out) == outcomes_of(tmp_path / "uninterrupted")
    pd.testing.assert_frame_equal(table_of(out), table_of(tmp_path / "uninterrupted"))
    assert later.items() <= starts_of_finished(out).items(), "a finished trial ran again"
    lost = RunDirectory(out).log.lost_attempts()
    assert 1 <= lost <= 2
    attempts = {record.attempt for records in records_of(out).values() for record in records}
    assert attempts <= {1, 2, 3}


def test_records_that_the_plan_cannot_explain(run_inline: Run, tiny: Fields, out: Path) -> None:
    """As if another version of Optuna had asked for other points."""
    from harness.records.directory import DirectoryError
    from tests.records.test_record import a_record

    run_inline(tiny, out)
    RunDirectory(out).store.write(a_record("ffff"))
    with pytest.raises(DirectoryError, match=r"holds 1 record\(s\) of no trial of this plan, such as ffff"):
        run_inline(tiny, out)


def test_data_that_change_while_the_study_runs_end_it_in_one_sentence(
    tiny: Fields, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(seed: int) -> None:
        random = np.random.default_rng(seed)
        x, y = random.random((60, 4), dtype=np.float32), np.arange(60) % 3
        np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x[:15], y_test=y[:15])

    write(0)
    study = tmp_path / "study.yaml"
    fields = tiny | {"datasets": [{"name": "mine", "source": "npz", "path": "mine.npz"}]}
    study.write_text(yaml.safe_dump(fields))
    run = TrialRunner.run

    def run_and_change(self: TrialRunner, *arguments: Any, **named: Any) -> Record:
        record = run(self, *arguments, **named)
        write(1)
        return record

    monkeypatch.setattr(TrialRunner, "run", run_and_change)
    request = RunRequest(str(study), tmp_path / "out", "inline", data_root=tmp_path)
    with pytest.raises(DataError, match="data set 'mine': its content changed while the study ran"):
        run_study(request, Silent())
    assert len(RunDirectory(tmp_path / "out").store.read_all()[0]) == 1
