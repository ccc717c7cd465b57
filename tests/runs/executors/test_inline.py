"""Trials in this process: every way a trial can end is a record; stopping and going on."""

import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from harness.datasets import DataError, Part, Split, load_split
from harness.records.directory import DirectoryError, RunDirectory
from harness.records.record import Record
from harness.runs import trial_runner
from harness.runs.executors.base import EngineFaultError
from harness.runs.run import RunRequest, plan_study, run_study
from harness.runs.trial_runner import TrialRunner
from harness.sizing.methods.fixed import Fixed
from harness.study.schema import Study
from harness.training import fault as whose_fault
from harness.training import loop, time_limit
from harness.training.surroundings import changes_since, settings
from harness.watching import Silent
from tests.making import Ended, a_record
from tests.runs.executors.driving import Driver, outcomes_of, records_of, starts_of_finished, table_of
from tests.runs.executors.faults import FAULTS, FAULTY, check_faults, faulty, slow_study, study_of_faults

Fields = dict[str, Any]
Run = Callable[[Fields, Path], str]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_whatever_goes_wrong_in_a_method_is_its_trials_record(
    run_inline: Run, tiny: Fields, out: Path
) -> None:
    printed = run_inline(study_of_faults(tiny), out)
    check_faults(out)
    assert "digits/mlp/build trial 0: crashed: RuntimeError: broken in build" in printed
    table = table_of(out)
    assert len(table) == len(FAULTS) + 2
    failed = table[table["status"] != "ok"]
    assert failed[["val_score", "test_score", "parameters", "selected_epoch"]].isna().all(axis=None)
    assert failed["message"].notna().all()


def test_what_a_method_sets_in_the_process_changes_no_other_trial(
    run_inline: Run, tiny: Fields, tmp_path: Path
) -> None:
    alone, after = tmp_path / "alone", tmp_path / "after"
    draws = faulty("draws", "draws")
    plain = tiny | {"methods": ["fixed", draws], "trials": 1, "plugins": [FAULTY]}
    run_inline(plain, alone)
    before = settings()  # of a process that is prepared for trials
    run_inline(plain | {"methods": [faulty("sets", "sets_everything"), "fixed", draws]}, after)
    assert changes_since(before) == []
    found = outcomes_of(after)
    assert len(found) == 3
    assert outcomes_of(alone).items() <= found.items()


def test_a_time_limit_ends_a_trial(run_inline: Run, tiny: Fields, out: Path) -> None:
    tiny["training"]["time_limit_seconds"] = 1e-6
    run_inline(tiny | {"trials": 1}, out)
    for [record] in records_of(out).values():
        assert (record.status, record.message) == ("timed_out", "over its 1e-06 s in epoch 1")
        assert record.epochs == []


def test_a_call_that_does_not_come_back_is_ended_and_the_study_goes_on(
    monkeypatch: pytest.MonkeyPatch, run_inline: Run, tiny: Fields, out: Path
) -> None:
    monkeypatch.setattr(time_limit, "GRACE_SECONDS", 0.1)
    tiny["training"]["time_limit_seconds"] = 2
    run_inline(
        tiny | {"methods": [faulty("sleeps", "sleeps"), "fixed"], "trials": 1, "plugins": [FAULTY]}, out
    )
    [hung], [after] = records_of(out)["sleeps"], records_of(out)["fixed"]
    assert after.status == "ok"
    assert hung.status == "timed_out"
    assert hung.message == "over its 2 s: a call did not come back, in epoch 2"
    assert "faulty.py" in hung.traceback, "it leads to the call"
    assert len(hung.epochs) == 1, "what was measured before is kept"
    assert hung.costs.train_seconds > 1
    assert not (out / "running").exists()


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
            searched = 16 if method == "shrinknets" else int(record.params["hidden1"])
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
    assert [[e.outcome() for e in r.epochs] for r in fixed] == [[e.outcome() for e in r.epochs] for r in l2]
    assert [r.test_score for r in fixed] == [r.test_score for r in l2]


def test_trials_do_not_depend_on_what_ran_before_them(run_inline: Run, tiny: Fields, tmp_path: Path) -> None:
    run_inline(tiny, tmp_path / "both")
    run_inline(tiny | {"methods": ["l2"], "claim": {"baseline": "l2"}}, tmp_path / "one")
    both, one = outcomes_of(tmp_path / "both"), outcomes_of(tmp_path / "one")
    assert len(one) == 3
    assert one.items() <= both.items()


# --- stopping and going on


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
    code, _, err = driver.end(seconds=60)
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
    searching = tiny | {"methods": ["l2"], "sampler": {"name": "TPESampler", "round_size": 3}}
    searching |= {"claim": {"baseline": "l2", "n": 1}}
    run_inline(searching, out)
    store = RunDirectory(out).store
    store.write(a_record("ffff"))
    assert "Record ffff is of no trial of this plan; it was set aside" in run_inline(searching, out)
    plan = plan_study(Study.model_validate(searching), None)
    [arm] = plan.arms.values()
    # As if another version of Optuna had asked for other points.
    other = plan.make_trial(arm, 0, 0, {"hidden1": 7, "weight_decay": 0.5})
    named = {name: getattr(other, name) for name in ("arm", "params", "seeds", "index", "pair_id")}
    store.write(a_record(other.id, **named))
    with pytest.raises(DirectoryError, match=rf"holds 1 record\(s\) of no trial.*such as {other.id}"):
        run_inline(searching, out)


# --- whose fault it is


def test_data_that_change_while_the_study_runs_stop_their_arms(
    tiny: Fields, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(seed: int) -> None:
        random = np.random.default_rng(seed)
        x, y = random.random((60, 4), dtype=np.float32), np.arange(60) % 3
        np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x[:15], y_test=y[:15])

    write(0)
    study = tmp_path / "study.yaml"
    mine = {"name": "mine", "source": "npz", "path": "mine.npz"}
    study.write_text(yaml.safe_dump(tiny | {"datasets": [mine, "digits"]}))
    run = TrialRunner.run

    def run_and_change(self: TrialRunner, *arguments: Any, **named: Any) -> Record:
        record = run(self, *arguments, **named)
        write(1)
        return record

    monkeypatch.setattr(TrialRunner, "run", run_and_change)
    request = RunRequest(str(study), tmp_path / "out", "inline", data_root=tmp_path)
    with pytest.raises(DataError, match="data set 'mine': its content changed while the study ran") as told:
        run_study(request, Silent())
    assert str(told.value).endswith("(so these arms were stopped: mine/mlp/fixed, mine/mlp/l2)")
    arms = Counter(record.arm for record in RunDirectory(tmp_path / "out").store.read_all()[0].values())
    assert arms == {"mine/mlp/fixed": 1, "digits/mlp/fixed": 3, "digits/mlp/l2": 3}, "the others went on"

    monkeypatch.undo()
    write(0)
    assert run_study(request, Silent()).complete, "once the data are back, the same command goes on"


def test_a_trial_short_of_memory_runs_once_more_after_all_others(
    run_inline: Run, tiny: Fields, out: Path, tmp_path: Path
) -> None:
    once = faulty("once", "memory_once", options={"marker": str(tmp_path / "marker")})
    run_inline(tiny | {"methods": [once, faulty("always", "memory"), "fixed"], "plugins": [FAULTY]}, out)
    records = records_of(out)
    assert [record.status for record in records["once"]] == ["ok"] * 3
    assert [record.attempt for record in records["once"]] == [2, 1, 1]
    assert [(record.status, record.attempt) for record in records["always"]] == [("out_of_memory", 2)] * 3
    lines = [(line["event"], line["attempt"]) for line in RunDirectory(out).log.read()]
    first = lines.index(("started", 2))
    assert lines[first:] == [("started", 2), ("finished", 2)] * 4, "the second tries come last"
    assert RunDirectory(out).log.lost_attempts() == 0, "a first try has an end"


def damaged_study(tiny: Fields, tmp_path: Path) -> Fields:
    engine = faulty("engine", "engine_once", options={"marker": str(tmp_path / "marker")})
    return tiny | {"methods": ["fixed", engine], "plugins": [FAULTY], "trials": 1}


def test_a_fault_of_ours_ends_the_study_and_is_held_against_no_trial(
    harness_command: Callable[..., Ended],
    write_study: Callable[[Fields], Path],
    run_inline: Run,
    tiny: Fields,
    tmp_path: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = damaged_study(tiny, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "survey", vars(loop)["survey"])  # so that it is put back
        ended = harness_command("run", write_study(fields), "--executor", "inline", "--out", out)
    assert ended.code == 3
    [file] = (out / "faults").iterdir()
    trial_id, attempt, _ = file.name.split(".")
    assert ended.err == (
        f"trial {trial_id} of digits/mlp/engine could not be run to an outcome: RuntimeError: the ledger is "
        f"broken; the traceback lies in {file}. Every finished trial is kept, and the same command goes on\n"
    )
    assert attempt == "1"
    assert "in broken" in file.read_text()
    assert set(records_of(out)) == {"fixed"}
    run_inline(fields, out)
    [record] = records_of(out)["engine"]
    assert (record.status, record.attempt, record.trial_id) == ("ok", 2, trial_id)


def test_on_a_broken_device_nothing_is_held_against_a_trial(
    run_inline: Run, tiny: Fields, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a GPU had failed under a method, which is then the first to be told."""
    fields = tiny | {"methods": ["fixed", faulty("cuda", "cuda")], "plugins": [FAULTY], "trials": 1}
    monkeypatch.setattr(whose_fault, "answers", lambda device: False)
    with pytest.raises(
        EngineFaultError, match=r"the device is broken; it showed in RuntimeError: CUDA error"
    ):
        run_inline(fields, out)
    assert set(records_of(out)) == {"fixed"}


@pytest.mark.parametrize("then", ["raised", "swallowed", "disguised"])
def test_ctrl_c_stops_at_once_whatever_a_method_makes_of_it(
    run_inline: Run, tiny: Fields, out: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    def interrupted(*_: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if then == "raised":
                raise
            if then == "disguised":
                raise ValueError("something else") from None

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(Fixed, "penalty", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_inline(tiny, out)
    assert records_of(out) == {}
    assert signal.getsignal(signal.SIGINT) is before


def test_the_failed_trials_and_the_way_to_their_tracebacks(
    run_inline: Run, harness_command: Callable[..., Ended], tiny: Fields, out: Path
) -> None:
    methods = ["fixed", faulty("edits", "edits"), faulty("nan", "nan")]
    run_inline(tiny | {"methods": methods, "plugins": [FAULTY], "trials": 1}, out)
    assert f"2 failed; `harness status {out} --failed` lists them" in harness_command("status", out).out
    crashed, diverged = records_of(out)["edits"][0].trial_id, records_of(out)["nan"][0].trial_id
    assert harness_command("status", out, "--failed").out.splitlines() == [
        f"{crashed} digits/mlp/edits trial 0: crashed: RuntimeError: broken in edits",
        f"    its traceback: harness status {out} --traceback {crashed}",
        f"{diverged} digits/mlp/nan trial 0: diverged: the training loss was nan in epoch 1",
    ]
    shown = harness_command("status", out, "--traceback", crashed[:6]).out
    assert "faulty.py" in shown
    assert shown.rstrip().endswith("RuntimeError: broken in edits")
    none = harness_command("status", out, "--traceback", diverged)
    assert none.code == 2
    assert none.err == f"--traceback {diverged}: the trial ended as 'diverged', without one\n"
    assert harness_command("status", out, "--traceback", "x").err.startswith("--traceback x: no record of ")
