"""The command line: what each command prints, and one clear sentence and exit code 2 for bad input."""

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.records.directory import RunDirectory
from harness.records.record import Record
from harness.records.store import RecordStore
from tests.making import Ended, put, refused

Fields = dict[str, Any]
Command = Callable[..., Ended]
Write = Callable[[Fields], Path]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the report, which takes longer than all that is tested here."""

    def write_report(table: pd.DataFrame, out: Path, **_: object) -> Path:
        out.mkdir(exist_ok=True)
        (out / "report.html").write_text(f"{len(table)} trials")
        return out / "report.html"

    monkeypatch.setattr("reports.write.write_report", write_report)
    monkeypatch.setattr("reports.write.said", lambda page: ())


@pytest.fixture
def run(harness_command: Command, write_study: Write, out: Path, no_report: None) -> Callable[..., Ended]:
    """Writes a study and runs it inline into the test's run directory."""

    def run_inline(fields: Fields, *options: object) -> Ended:
        arguments = ("run", write_study(fields), "--executor", "inline", "--out", out, *options)
        return harness_command(*arguments)

    return run_inline


# --- studies that are wrong


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("trails", 3, "trails: unknown field; did you mean 'trials'?"),
        ("training.optimizer.lr", 1, "training.optimizer.lr: unknown field"),
        ("methods", ["fixd", "fixed"], "methods.fixd: there is no method 'fixd'; did you mean 'fixed'?"),
        (
            "datasets",
            ["digts"],
            "datasets.0: data set 'digts', field 'source': 'digts' found; did you mean 'dig",
        ),
        (
            "architectures.0.name",
            "mpl",
            "architectures.mpl: there is no architecture 'mpl'; did you mean 'mlp'",
        ),
        ("architectures.0.widths", {"low": 9, "high": 4}, "architectures.0.widths: low 9 is above high 4"),
        ("trials", 0, "trials: input should be greater than or equal to 1, found 0"),
        (
            "sampler",
            {"name": "RandomSampler", "options": {"sed": 1}},
            "sampler: RandomSampler has no option 'sed'; allowed: none",
        ),
        ("claim.baseline", "l3", "claim.baseline: 'l3' is no method of this study; did you mean 'l2'?"),
        (
            "training.validation_fraction",
            1e-6,
            "training.validation_fraction: data set 'digits': the validation",
        ),
    ],
)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_bad_study(
    harness_command: Command,
    write_study: Write,
    tiny: Fields,
    out: Path,
    command: str,
    place: str,
    value: Any,
    message: str,
) -> None:
    path = write_study(put(tiny, place, value))
    options = ("--out", out, "--executor", "inline") if command == "run" else ()
    assert refused(harness_command(command, path, *options)).startswith(f"{path}: {message}")
    assert not out.exists()


def test_a_study_that_is_nowhere(harness_command: Command, out: Path) -> None:
    sentence = refused(harness_command("run", "quikstart", "--out", out))
    assert "did you mean 'quickstart'?" in sentence
    assert not out.exists()


def test_one_process_as_a_user_starts_it(write_study: Write, tiny: Fields, out: Path) -> None:
    path = write_study(tiny | {"trials": 0})
    code = "from harness.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", str(path), "--out", str(out)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{path}: trials: input should be greater than or equal to 1, found 0\n"
    assert not out.exists()


def test_nothing_printed_is_lost_in_a_pipe(run: Callable[..., Ended], tiny: Fields, out: Path) -> None:
    run(tiny)
    code = "from harness.cli.main import main; main()"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", code, "export", str(out)], capture_output=True, text=True, env=buffered
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{out / 'trials.csv'}\n", "")


# --- data that are wrong


@pytest.fixture
def npz(tmp_path: Path, tiny: Fields) -> Fields:
    """A study of a small data set in a file, data.npz in the test's folder."""
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "data.npz",
        x_train=rng.integers(0, 256, (60, 1, 4, 4), dtype=np.uint8),
        y_train=np.arange(60) % 3,
        x_test=rng.integers(0, 256, (12, 1, 4, 4), dtype=np.uint8),
        y_test=np.arange(12) % 3,
    )
    return tiny | {"datasets": [{"name": "mine", "source": "npz", "path": "data.npz"}], "trials": 1}


def test_own_data_run(run: Callable[..., Ended], npz: Fields, tmp_path: Path, out: Path) -> None:
    ended = run(npz, "--data", tmp_path)
    assert ended.code == 0, ended.err
    assert "mine/mlp/fixed" in ended.out


def test_a_truncated_data_file(run: Callable[..., Ended], npz: Fields, tmp_path: Path, out: Path) -> None:
    file = tmp_path / "data.npz"
    file.write_bytes(file.read_bytes()[:700])
    sentence = refused(run(npz, "--data", tmp_path))
    assert sentence.startswith(f"{tmp_path / 'study.yaml'}: datasets.0: {file}: the file cannot be read")
    assert not out.exists()


def test_labels_out_of_range(run: Callable[..., Ended], npz: Fields, tmp_path: Path, out: Path) -> None:
    arrays = dict(np.load(tmp_path / "data.npz"))
    arrays["y_train"][7] = -1
    np.savez(tmp_path / "data.npz", **arrays)
    sentence = refused(run(npz, "--data", tmp_path))
    assert str(tmp_path / "data.npz") in sentence
    assert "label -1 found at position 7" in sentence
    assert not out.exists()


def test_a_data_folder_that_is_none(
    run: Callable[..., Ended], tiny: Fields, tmp_path: Path, out: Path
) -> None:
    assert refused(run(tiny, "--data", tmp_path / "none")) == f"--data: {tmp_path / 'none'} is not a folder"
    assert not out.exists()


# --- directories that are wrong


@pytest.fixture
def done_run(run: Callable[..., Ended], tiny: Fields, out: Path) -> Ended:
    """The tiny study, run."""
    ended = run(tiny)
    assert ended.code == 0, ended.err
    return ended


def files_of(out: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_the_directory_of_another_study(
    done_run: Ended, run: Callable[..., Ended], tiny: Fields, out: Path
) -> None:
    before = files_of(out)
    assert refused(run(tiny | {"name": "other"})) == (
        f"{out} holds another study: 'tiny', not 'other'; choose another with --out"
    )
    sentence = refused(run(put(tiny, "training.epochs", 3)))
    assert f"{out} holds this study with another plan: study.training.epochs was 2, is now 3" in sentence
    assert "--out" in sentence
    assert files_of(out) == before


@pytest.mark.parametrize("place", ["in-the-way", "in-the-way/below", "/proc/run"])
def test_a_directory_that_cannot_be_written(
    harness_command: Command, write_study: Write, tiny: Fields, tmp_path: Path, place: str
) -> None:
    (tmp_path / "in-the-way").write_text("")
    target = tmp_path / place
    ended = harness_command("run", write_study(tiny), "--executor", "inline", "--out", target)
    assert re.fullmatch(
        rf"{re.escape(str(target))} cannot be written \(.+\); choose another with --out", refused(ended)
    )


@pytest.mark.parametrize("command", ["status", "report", "export"])
def test_directories_that_are_no_run(harness_command: Command, tmp_path: Path, command: str) -> None:
    sentence = refused(harness_command(command, tmp_path))
    assert sentence == f"{tmp_path} is not a run directory: it holds no plan.json"
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_cannot_be_written(
    done_run: Ended, harness_command: Command, out: Path, tmp_path: Path
) -> None:
    target = tmp_path / "nowhere" / "trials.csv"
    sentence = refused(harness_command("export", out, "--out", target))
    assert sentence.startswith(f"--out: {target} cannot be written (")
    assert "None" not in sentence


def test_a_directory_in_use(
    run: Callable[..., Ended], harness_command: Command, done_run: Ended, tiny: Fields, out: Path
) -> None:
    with RunDirectory(out).locked():
        sentence = refused(run(tiny))
        assert "A `harness run` is at work here." in harness_command("status", out).out
    assert sentence.startswith(f"{out} is in use by another `harness run` (process ")
    assert sentence.endswith("); choose another with --out")


# --- damaged records


def table_of(out: Path, command: Command) -> pd.DataFrame:
    """The exported trial table without times."""
    assert command("export", out).code == 0
    table = pd.read_csv(out / "trials.csv")
    return table.drop(
        columns=[name for name in table.columns if str(name).endswith(("_seconds", "_bytes"))] + ["attempt"]
    )


def _cut(text: str) -> str:
    return text[:300]


def _edit(text: str) -> str:
    return re.sub('"val_score":0.[0-9]+,"test', '"val_score":0.99,"test', text)


@pytest.mark.parametrize(
    ("damage", "wrong"), [(_cut, "is cut short or not a record"), (_edit, "does not match its checksum")]
)
def test_a_damaged_record_is_told_set_aside_and_run_again(
    done_run: Ended,
    run: Callable[..., Ended],
    harness_command: Command,
    tiny: Fields,
    out: Path,
    damage: Callable[[str], str],
    wrong: str,
) -> None:
    undamaged = table_of(out, harness_command)
    victim = sorted((out / "records").iterdir())[2]
    damaged = damage(victim.read_text())
    assert damaged != victim.read_text()
    victim.write_text(damaged)
    status = harness_command("status", out).out
    assert f"Record {victim.stem} {wrong}" in status
    assert "5 of 6 trials done" in status
    assert len(table_of(out, harness_command)) == 5

    again = run(tiny)
    assert again.code == 0
    told = " ".join(again.out.split())
    assert f"Record {victim.stem} {wrong}" in told
    assert "it was set aside as" in told
    assert "its trial runs again" in told
    [aside] = (out / "set-aside").iterdir()
    assert aside.read_text() == damaged
    pd.testing.assert_frame_equal(table_of(out, harness_command), undamaged)
    started = RunDirectory(out).log.starts()
    assert {trial: count for trial, count in started.items() if count > 1} == {victim.stem: 2}
    assert "lost" not in harness_command("status", out).out


def test_a_damaged_record_in_the_middle_of_an_adaptive_search(
    run: Callable[..., Ended], harness_command: Command, tiny: Fields, out: Path
) -> None:
    """What the search asked for after it is not known before its trial has run again."""
    sampler = {"name": "TPESampler", "round_size": 2, "options": {"n_startup_trials": 2}}
    study = tiny | {"methods": ["fixed"], "sampler": sampler, "trials": 6}
    run(study)
    undamaged = table_of(out, harness_command)
    [victim] = [
        path for path in (out / "records").iterdir() if json.loads(path.read_text())["record"]["index"] == 2
    ]
    victim.write_text(victim.read_text()[:-40])
    again = run(study)
    assert again.code == 0, again.err
    assert "its trial runs again" in " ".join(again.out.split())
    pd.testing.assert_frame_equal(table_of(out, harness_command), undamaged)
    started = RunDirectory(out).log.starts()
    assert {trial: count for trial, count in started.items() if count > 1} == {victim.stem: 2}


def test_a_record_under_a_name_that_the_plan_does_not_know(
    run: Callable[..., Ended], tiny: Fields, out: Path
) -> None:
    run(tiny)
    [first, *_] = sorted((out / "records").iterdir())
    (first.parent / "0123456789abcdef.json").write_text(first.read_text())
    told = " ".join(run(tiny).out.split())
    assert f"Record 0123456789abcdef is the record of another trial, {first.stem}; it was set aside" in told
    assert "the plan has no such trial yet" in told
    assert "runs again" not in told


def test_a_disk_that_takes_no_record(
    run: Callable[..., Ended], tiny: Fields, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tiny)
    next((out / "records").iterdir()).unlink()

    def full(store: RecordStore, record: Record) -> bool:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(RecordStore, "write", full)
    said = refused(run(tiny))
    assert said.startswith(f"{out}: the record of trial ")
    assert said.endswith("cannot be kept ([Errno 28] No space left on device)")


# --- what cannot be run here


@pytest.mark.parametrize("gpus", [1, 0.25])
def test_a_gpu_where_there_is_none(
    run: Callable[..., Ended],
    tiny: Fields,
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gpus: float,
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    sentence = refused(run(tiny | {"resources": {"gpus": gpus}}))
    assert sentence == (
        f"{tmp_path / 'study.yaml'}: resources.gpus: {gpus} GPU is asked for each trial, and this machine "
        "has none that torch can use; write 0 to run on the CPU"
    )
    assert not out.exists()


def test_a_run_without_time_starts_nothing_and_goes_on_later(
    run: Callable[..., Ended], tiny: Fields, harness_command: Command, out: Path
) -> None:
    ended = run(tiny, "--max-hours", 0)
    assert ended.code == 0, ended.err
    assert "0 of 6 trials are done. The same command goes on." in ended.out
    assert not list((out / "records").glob("*"))
    assert (out / "report" / "report.html").is_file()
    ended = run(tiny)
    assert "The same command goes on" not in ended.out
    assert "6 of 6 trials done" in harness_command("status", out).out


@pytest.mark.parametrize("hours", ["-1", "soon"])
def test_hours_that_are_none(run: Callable[..., Ended], tiny: Fields, out: Path, hours: str) -> None:
    ended = run(tiny, "--max-hours", hours)
    assert ended.code == 2
    assert "--max-hours" in ended.err
    assert not out.exists()


# --- what works


def test_a_run_from_study_to_report(
    harness_command: Command, write_study: Write, tiny: Fields, out: Path
) -> None:
    ended = harness_command("run", write_study(tiny), "--executor", "inline", "--out", out)
    assert ended.code == 0, ended.err
    rows = [line.split() for line in ended.out.splitlines() if line.startswith("digits/mlp/")]
    assert [row[:3] for row in rows] == [["digits/mlp/fixed", "3", "0"], ["digits/mlp/l2", "3", "0"]]
    assert f"Report: {out / 'report' / 'report.html'}" in ended.out
    assert "digits" in (out / "report" / "report.html").read_text(encoding="utf-8")
    assert len(list((out / "records").iterdir())) == 6
    assert sorted(path.name for path in out.iterdir()) == [
        ".lock",
        "executions",
        "plan.json",
        "records",
        "report",
    ]


def test_the_same_command_runs_nothing_twice(
    done_run: Ended, run: Callable[..., Ended], tiny: Fields, out: Path
) -> None:
    records = files_of(out / "records")
    assert run(tiny).code == 0
    assert files_of(out / "records") == records
    assert set(RunDirectory(out).log.starts().values()) == {1}


def test_the_plan_shows_what_would_run(harness_command: Command, write_study: Write, tiny: Fields) -> None:
    put(tiny, "methods.1", {"name": "l2", "space": {"hidden1": {"low": 4, "high": 32}}})
    ended = harness_command("plan", write_study(tiny))
    assert ended.code == 0, ended.err
    for text in (
        "tiny: 6 trials in 2 arms",
        "1438 training and 359 test examples of shape 1x8x8, 10 classes",
        "hidden1: 4-16 (log)",
        "RandomSampler (iid)",
        "examples a trial",
        "training FLOPs: a trial",
        "Note: digits/mlp: fixed and l2 cannot reach the same sizes",
    ):
        assert text in ended.out


def test_a_plan_leaves_nothing(
    harness_command: Command,
    write_study: Write,
    tiny: Fields,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_study(tiny)
    monkeypatch.chdir(tmp_path)
    harness_command("plan", path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["study.yaml"]


def test_runs_go_to_a_folder_of_the_studys_name(
    harness_command: Command,
    write_study: Write,
    tiny: Fields,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_report: None,
) -> None:
    monkeypatch.chdir(tmp_path)
    harness_command("run", write_study(tiny), "--executor", "inline", "--max-hours", 0)
    assert (tmp_path / "runs" / "tiny" / "plan.json").is_file()


def test_exports(done_run: Ended, harness_command: Command, out: Path) -> None:
    assert harness_command("export", out, "--format", "csv").out.strip() == str(out / "trials.csv")
    assert harness_command("export", out, "--format", "parquet").code == 0
    csv, parquet = pd.read_csv(out / "trials.csv"), pd.read_parquet(out / "trials.parquet")
    assert len(csv) == len(parquet) == 6
    assert list(csv.columns) == list(parquet.columns)
    # Some versions of pandas read the last digit of a number otherwise than it was written.
    assert csv["val_score"].tolist() == pytest.approx(parquet["val_score"].tolist(), rel=1e-14)


def test_the_report_is_written_again(done_run: Ended, harness_command: Command, out: Path) -> None:
    page = out / "report" / "report.html"
    page.unlink()
    ended = harness_command("report", out)
    assert ended.code == 0, ended.err
    assert page.is_file()
    assert "digits/mlp/l2" in ended.out


def test_lists_and_schema(harness_command: Command) -> None:
    listed = harness_command("methods").out
    for name in (
        "fixed",
        "l2",
        "shrinknets",
        "mlp",
        "lenet5",
        "cifar100",
        "TPESampler (adaptive)",
        "quickstart",
    ):
        assert name in listed
    schema = json.loads(harness_command("schema").out)
    assert "trials" in schema["properties"]


def test_every_command_has_help(harness_command: Command) -> None:
    ended = harness_command("--help")
    assert ended.code == 0
    for command in ("run", "plan", "status", "report", "export", "methods", "schema"):
        assert command in ended.out
        assert harness_command(command, "--help").code == 0


# --- some arms now, others later


def test_some_arms_may_run_now_and_the_others_later(
    run: Callable[..., Ended], harness_command: Command, tiny: Fields, out: Path
) -> None:
    assert run(tiny, "--only", "*/l2").code == 0
    assert set(table_of(out, harness_command)["method"]) == {"l2"}
    assert run(tiny).code == 0
    assert table_of(out, harness_command)["method"].tolist() == ["fixed"] * 3 + ["l2"] * 3
    assert set(RunDirectory(out).log.starts().values()) == {1}


def test_a_pattern_that_matches_no_arm(run: Callable[..., Ended], tiny: Fields, out: Path) -> None:
    sentence = refused(run(tiny, "--only", "mnist/*"))
    assert sentence == "--only mnist/*: matches no arm; arms: digits/mlp/fixed, digits/mlp/l2"
    assert not out.exists()
