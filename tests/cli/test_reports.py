"""`harness report` on runs and tables, and `harness import`: what reaches the report, and what is refused."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.records.directory import RunDirectory
from harness.records.store import RecordStore
from reports.settings import Settings, Target
from tests.making import Ended, a_record, plan_of, put, refused
from tests.reports.foreign import optuna_storage
from tests.reports.tables import arm, table

Fields = dict[str, Any]
Command = Callable[..., Ended]


def scores(method: str, middle: float, trials: int = 10, **columns: Any) -> pd.DataFrame:
    """An arm with scores around a middle, test scores a little below."""
    rng = np.random.default_rng(len(method))
    validation = np.round(np.clip(middle + rng.normal(0, 0.02, trials), 0, 1), 4)
    return arm(method, validation, test=validation - 0.003, **columns)


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a trial table of two methods, or the one given, to a CSV file."""

    def write(frame: pd.DataFrame | None = None, name: str = "trials.csv") -> Path:
        path = tmp_path / name
        made = table(scores("base", 0.9), scores("new", 0.92)) if frame is None else frame
        made.to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run directory of a study, with a record of every trial, or of those with the given indices."""

    def write(fields: Fields, name: str, indices: tuple[int, ...] = (0, 1, 2)) -> Path:
        path, plan = tmp_path / name, plan_of(fields)
        RunDirectory(path).open_for(plan)
        for trials in plan.frozen.values():
            for trial in trials:
                if trial.index in indices:
                    own = {"arm": trial.arm, "index": trial.index, "pair_id": trial.pair_id}
                    record = a_record(trial.id, params=dict(trial.params), seeds=dict(trial.seeds), **own)
                    RecordStore(path).write(record)
        return path

    return write


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stands in for the report, which takes seconds: what it was asked for, call by call."""
    calls: list[dict[str, Any]] = []

    def write_report(frame: pd.DataFrame, out: Path, **rest: Any) -> Path:
        calls.append({"table": frame, "out": out, **rest})
        return out / "report.html"

    monkeypatch.setattr("reports.write.write_report", write_report)
    monkeypatch.setattr("reports.write.said", lambda page: ())
    return calls


def only(asked: list[dict[str, Any]], ended: Ended) -> dict[str, Any]:
    """The one report that was asked for."""
    assert ended.code == 0, ended.err
    (call,) = asked
    return call


# --- whole reports


def test_anyones_table_gives_a_report_that_says_how_it_was_read(
    harness_command: Command, write_table: Callable[..., Path], tmp_path: Path
) -> None:
    frame = table(scores("base", 0.9), scores("new", 0.92)).drop(columns=["status", "sampling"])
    frame[["val_accuracy", "test_accuracy"]] *= 100
    out = tmp_path / "out"
    ended = harness_command("report", write_table(frame), "--baseline", "base", "--n", 2, "--out", out)
    assert ended.code == 0, ended.err
    assert "digits/mlp/new" in ended.out
    assert f"Report: {out / 'report.html'}" in ended.out
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert (results["baseline"], results["analysis"]["n"]) == ("base", 2)
    assert len(results["analysis"]["cells"][0]["contrasts"]) == 1
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "read as per cent" in page
    assert "does not say how its trials were sampled" in page


def test_a_loss_and_names_that_are_markup(
    harness_command: Command, write_table: Callable[..., Path], tmp_path: Path
) -> None:
    names = {"dataset": "=cmd|x", "architecture": 'a,b "q"'}
    frame = table(scores("<script>alert(1)</script>", 0.9, 6, **names), scores("base", 0.8, 6, **names))
    frame = frame.rename(columns={"val_accuracy": "val_rmse", "test_accuracy": "test_rmse"})
    frame[["val_rmse", "test_rmse"]] *= 40
    flags = ("--validation-column", "val_rmse", "--test-column", "test_rmse", "--lower-is-better")
    out = tmp_path / "out"
    ended = harness_command("report", write_table(frame), "--baseline", "base", "--out", out, *flags)
    assert ended.code == 0, ended.err
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert results["score"] == {"name": "rmse", "is_accuracy": False, "lower_is_better": True}
    assert "<script>alert" not in (out / "report.html").read_text(encoding="utf-8")


# --- what is asked for


def test_every_flag_reaches_the_report(
    harness_command: Command, write_table: Callable[..., Path], tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    frame = table(scores("base", 0.9, train_seconds=2.0), scores("new", 0.92, train_seconds=3.0))
    flags = (
        "--baseline base --n 3 --cost device_seconds --margin 0.01 --failed-score 0.1 --method new "
        "--target 0.9 --target digits=0.91 --target digits/mlp=0.92 --confidence 0.9 --seed 7 --score hits"
    )
    ended = harness_command("report", write_table(frame), *flags.split(), "--out", tmp_path / "o")
    call = only(asked, ended)
    assert call["settings"] == Settings(
        baseline="base",
        methods=("new",),
        n=3,
        cost="device_seconds",
        margin=0.01,
        targets=(Target(0.9), Target(0.91, "digits"), Target(0.92, "digits", "mlp")),
        failed_score=0.1,
        score="hits",
        confidence=0.9,
        seed=7,
    )
    assert call["out"] == tmp_path / "o"
    assert call["source"] == str(tmp_path / "trials.csv")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            "--target abc",
            "--target: found 'abc'; allowed is VALUE, DATASET=VALUE or DATASET/ARCHITECTURE=VALUE",
        ),
        ("--target =0.5", "--target: found '=0.5'; allowed is"),
        ("--target digits/=0.5", "--target: found 'digits/=0.5'; allowed is"),
        ("--target nan", "--target: found 'nan'; allowed is"),
        ("--target digit=0.5", "has no data set 'digit' (did you mean 'digits'?); there are: digits"),
        ("--target digits/mpl=0.5", "has no architecture 'mpl' (did you mean 'mlp'?); there are: mlp"),
        ("--target 97", "--target: found 97 (did you mean 0.97?); allowed is a share from 0 to 1"),
        ("--n 0", "--n: found 0; allowed is a whole number of trials, 1 or more"),
        ("--confidence 2", "--confidence: found 2; allowed is a level from 0.5 to 0.999"),
        ("--confidence 95", "--confidence: found 95 (did you mean 0.95?)"),
        ("--cost nonsense", "allowed are trials, train_flops, train_seconds, joules, total_train_flops"),
        ("--cost joules", "has no joules; what it has: trials"),
        ("--margin -1", "--margin: found -1; allowed is 0 or more"),
        ("--margin nan", "--margin: found nan; allowed is 0 or more"),
        ("--failed-score inf", "--failed-score: found inf; allowed is a finite number"),
        ("--seed -1", "--seed: found -1; allowed is"),
        ("--baseline bse", "has no method 'bse' (did you mean 'base'?); there are: base, new"),
        ("--method nwe", "has no method 'nwe' (did you mean 'new'?)"),
        ("--baseline new --method new", "--method: 'new' is the baseline"),
        ("--lower-is-better", "--lower-is-better: an accuracy is better when higher"),
        ("--test-column test_loss", "two different scores"),
        ("--test-column test_accuracy", "--test-column: found 'test_accuracy' alone"),
        ("--validation-column loss --test-column loss", "--test-column: 'loss' is named twice"),
        ("--validation-column val_loss --test-column test_loss", "column val_loss is missing"),
    ],
)
def test_a_wrong_flag_is_one_sentence(
    harness_command: Command, write_table: Callable[..., Path], tmp_path: Path, flags: str, sentence: str
) -> None:
    out = tmp_path / "out"
    assert sentence in refused(harness_command("report", write_table(), "--out", out, *flags.split()))
    assert not out.exists()


def _changed(column: str, row: int, value: str | float | None) -> pd.DataFrame:
    frame = table(scores("base", 0.9), scores("new", 0.92)).astype(object)
    frame.loc[row, column] = value
    return frame


_TWO = table(scores("base", 0.9), scores("new", 0.92))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (_TWO.drop(columns="val_accuracy"), "column val_accuracy is missing"),
        (_changed("test_accuracy", 3, None), "test_accuracy, row 4: found nothing"),
        (_changed("test_accuracy", 3, 1.7), "test_accuracy, row 4: found '1.7'"),
        (_TWO.assign(trial_id="a"), "trial_id, row 2: found 'a' (and 18 more such rows)"),
        (_TWO.assign(metric=["accuracy", "f1"] * 10), "2 metrics (accuracy, f1)"),
        (_changed("sampling", 0, "adaptive"), "sampled in more than one way: adaptive, iid"),
        (_TWO.iloc[:0], "has column names but no trials"),
    ],
)
def test_a_wrong_table_is_one_sentence(
    harness_command: Command,
    write_table: Callable[..., Path],
    tmp_path: Path,
    frame: pd.DataFrame,
    words: str,
) -> None:
    assert words in refused(harness_command("report", write_table(frame), "--out", tmp_path / "out"))


def test_paths_that_are_nothing_to_report_on(harness_command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "notes.txt.gz").write_bytes(b"\x1f\x8b")
    for name, words in (
        ("none.csv", "found nothing; allowed are run directories and trial tables"),
        ("empty.csv", "the file is empty"),
        ("notes.txt.gz", "found the ending '.gz'"),
        (".", "is not a run directory"),
    ):
        assert words in refused(harness_command("report", tmp_path / name, "--out", tmp_path / "out"))


def test_what_is_no_report_is_not_written_over(
    harness_command: Command, write_table: Callable[..., Path], tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    path = write_table()
    project = tmp_path / "project"
    (project / "figures").mkdir(parents=True)
    (project / "paper.tex").touch()
    assert "choose another folder" in refused(harness_command("report", path, "--out", project))
    (project / "results.json").touch()
    assert harness_command("report", path, "--out", project).code == 0
    (project / "tables").mkdir()
    inside = write_table(name="project/tables/trials.csv")
    assert "would be written" in refused(harness_command("report", inside, "--out", project))
    assert "is not a folder" in refused(harness_command("report", path, "--out", path))


# --- several tables


def test_tables_are_joined(
    harness_command: Command,
    write_table: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: list[dict[str, Any]],
) -> None:
    monkeypatch.chdir(tmp_path)
    first = write_table(table(scores("base", 0.9), scores("new", 0.92)).assign(trial_id=range(20)), "a.csv")
    second = tmp_path / "b.parquet"
    scores("new", 0.91, 5).to_parquet(second)
    call = only(asked, harness_command("report", first, second, "--baseline", "base"))
    assert call["out"] == Path("report")
    assert len(call["table"]) == 25
    assert call["table"]["trial_id"].is_unique
    assert call["notes"] == (
        "Trials of digits/mlp/new come from more than one table; they are taken as draws from one space, "
        "trained alike.",
    )


def test_tables_that_cannot_be_joined(harness_command: Command, write_table: Callable[..., Path]) -> None:
    first = write_table(_TWO.assign(trial_id=range(20)), "a.csv")
    same = write_table(scores("base", 0.8).assign(trial_id=range(10)), "b.csv")
    searched = write_table(scores("new", 0.9, sampling="adaptive"), "c.csv")
    more = write_table(scores("new", 0.91, sampling="adaptive"), "d.csv")
    bad = write_table(_TWO.drop(columns="method"), "e.csv")
    assert "both hold trial 0 (and 9 more)" in refused(harness_command("report", first, same))
    assert "both hold trials of digits/mlp/new, and its sampling is adaptive" in refused(
        harness_command("report", searched, more)
    )
    assert refused(harness_command("report", first, bad)).startswith(f"{bad}: column method is missing")


# --- runs


def test_a_run_is_reported_in_its_own_folder_and_flags_that_leave_its_claim_are_told(
    harness_command: Command, write_run: Callable[..., Path], tiny: Fields, asked: list[dict[str, Any]]
) -> None:
    run = write_run(tiny, "run")
    call = only(asked, harness_command("report", run))
    assert (call["out"], call["notes"], len(call["table"])) == (run / "report", (), 6)
    assert call["design"].claim.baseline == "fixed"
    harness_command("report", run, "--n", 2, "--baseline", "fixed")
    assert asked[1]["settings"].n == 2
    assert asked[1]["notes"] == (
        "This report was asked for n 2 instead of 1: what it says is not the claim that the study fixed "
        "before it ran.",
    )


def test_parts_of_one_plan_are_one_run(
    harness_command: Command, write_run: Callable[..., Path], tiny: Fields, asked: list[dict[str, Any]]
) -> None:
    parts = write_run(tiny, "here", (0, 1)), write_run(tiny, "there", (2,))
    call = only(asked, harness_command("report", *parts))
    assert len(call["table"]) == 6
    assert [arm.trials for arm in call["design"].arms] == [3, 3]
    assert len(call["histories"]) == 12
    assert "joins trials of 2 runs (here: fixed, l2; there: fixed, l2), trained alike" in call["notes"][0]


def test_another_seed_gives_more_trials_of_the_same_arms(
    harness_command: Command, write_run: Callable[..., Path], tiny: Fields, asked: list[dict[str, Any]]
) -> None:
    paired = tiny | {"paired": True}
    runs = [write_run(paired | {"seeds": {"study": seed}}, f"run{seed}") for seed in (0, 1)]
    call = only(asked, harness_command("report", *runs))
    assert [arm.trials for arm in call["design"].arms] == [6, 6]
    assert call["design"].paired
    assert call["design"].settings["Seed"] == "run0: 0; run1: 1"
    pairs = call["table"].groupby("method")["pair_id"].nunique()
    assert set(pairs) == {6}, "pairs of different seeds are different pairs"


def test_other_methods_on_a_cell_say_what_was_not_alike(
    harness_command: Command, write_run: Callable[..., Path], tiny: Fields, asked: list[dict[str, Any]]
) -> None:
    first = write_run(tiny | {"methods": ["fixed"]}, "a")
    second = write_run(
        put(copy.deepcopy(tiny), "training.batch_size", 64)
        | {"methods": ["l2"], "claim": {"baseline": "l2", "n": 1, "margin": 0.1}},
        "b",
    )
    sentence = refused(harness_command("report", first, second))
    assert sentence == (
        "the runs fixed different claims (baseline: fixed in a, l2 in b; margin: 0.0 in a, 0.1 in b); say "
        "which holds with --baseline and --margin"
    )
    ended = harness_command("report", first, second, "--baseline", "fixed", "--margin", 0)
    call = only(asked, ended)
    assert call["notes"][0].startswith("The runs fixed different claims")
    assert "not trained alike (training.batch_size)" in call["notes"][1]


def test_a_run_whose_networks_were_timed_was_trained_as_one_whose_were_not(
    harness_command: Command, write_run: Callable[..., Path], tiny: Fields, asked: list[dict[str, Any]]
) -> None:
    timed = put(copy.deepcopy(tiny), "training.measure_speed", True)
    runs = write_run(tiny | {"methods": ["fixed"]}, "a"), write_run(timed, "b")
    sentence = refused(harness_command("report", *runs))
    assert "both have the arm digits/mlp/fixed, and not alike (training.measure_speed)" in sentence
    other = write_run(timed | {"methods": ["l2"], "claim": tiny["claim"] | {"baseline": "l2"}}, "c")
    call = only(asked, harness_command("report", runs[0], other, "--baseline", "fixed"))
    assert "trained alike" in call["notes"][-1]
    assert "not trained alike" not in call["notes"][-1]


def test_runs_that_cannot_be_joined(
    harness_command: Command, write_run: Callable[..., Path], tiny: Fields
) -> None:
    first, copied = write_run(tiny, "a"), write_run(tiny, "b")
    longer = write_run(put(copy.deepcopy(tiny), "training.epochs", 5), "c")
    assert "hold 6 trial(s) in common" in refused(harness_command("report", first, copied))
    assert "is named twice" in refused(harness_command("report", first, first))
    assert "both have the arm digits/mlp/fixed, and not alike (epochs, training.epochs)" in refused(
        harness_command("report", first, longer)
    )
    plan = json.loads((copied / "plan.json").read_text())
    plan["data"]["digits"]["fingerprint"] = "another"
    (copied / "plan.json").write_text(json.dumps(plan))
    assert "the data set 'digits' of one is not that of the other" in refused(
        harness_command("report", first, copied)
    )


def test_a_run_beside_a_table(
    harness_command: Command,
    write_run: Callable[..., Path],
    write_table: Callable[..., Path],
    tiny: Fields,
    tmp_path: Path,
    asked: list[dict[str, Any]],
) -> None:
    run, other = write_run(tiny, "run", (0, 1)), write_table(scores("theirs", 0.9))
    call = only(asked, harness_command("report", run, other, "--out", tmp_path / "out"))
    assert call["design"] is None
    assert (call["settings"].baseline, call["settings"].n, call["settings"].cost) == (
        "fixed",
        1,
        "train_flops",
    )
    assert len(call["table"]) == 14
    assert "they stand in the runs' own reports" in call["notes"][0]
    assert "1 of 3 planned trials of fixed on digits / mlp have no outcome yet." in call["notes"]


# --- imports


def test_an_import_is_a_table_for_a_report(
    harness_command: Command, tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    storage = optuna_storage(tmp_path, studies=2)
    place = ("--dataset", "digits", "--architecture", "mlp")
    for name in ("trials.csv", "trials.parquet"):
        out = tmp_path / name
        ended = harness_command("import", "optuna", storage, "--out", out, *place)
        assert ended.code == 0, ended.err
        assert "Note: Optuna does not store the sampler" in ended.out
        assert f"{out}: 12 trials of search-0, search-1" in ended.out
        assert ended.out.endswith(f"Go on with: harness report {out} --baseline METHOD\n")
        assert harness_command("report", out, "--baseline", "search-0", "--out", tmp_path / "out").code == 0
    first, second = (call["table"] for call in asked)
    assert first["test_accuracy"].astype(float).dropna().tolist() == second["test_accuracy"].dropna().tolist()


def test_studies_as_searches_of_one_method(harness_command: Command, tmp_path: Path) -> None:
    storage, out = optuna_storage(tmp_path, studies=2), tmp_path / "t.csv"
    flags = "--dataset digits --architecture mlp --method tpe --one-method --sampling iid"
    ended = harness_command("import", "optuna", storage, "--out", out, *flags.split())
    assert ended.out.endswith(f"harness report {out} OTHER.csv --baseline METHOD\n"), ended.err
    written = pd.read_csv(out)
    assert (set(written["method"]), set(written["sampling"])) == ({"tpe"}, {"iid"})
    assert set(written["replicate"]) == {0, 1}


def test_a_loss_is_imported_with_its_flags(harness_command: Command, tmp_path: Path) -> None:
    source, out = tmp_path / "runs.csv", tmp_path / "t.csv"
    source.write_text("run_id,status,metrics.val_loss,metrics.test_loss,params.rate\na,FINISHED,2.5,2.6,x\n")
    flags = "--dataset d --architecture a --method m --lower-is-better"
    columns = "--validation-column val_loss --test-column test_loss"
    ended = harness_command("import", "mlflow", source, "--out", out, *flags.split(), *columns.split())
    assert ended.code == 0, ended.err
    assert f"--baseline METHOD {columns} --lower-is-better" in ended.out
    assert pd.read_csv(out)["test_loss"].tolist() == [2.6]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            "mlfow runs.csv --out t.csv",
            "KIND: found 'mlfow' (did you mean 'mlflow'?); allowed is one of optuna",
        ),
        (
            "mlflow runs.csv --out t.xlsx",
            "--out: found t.xlsx; allowed is a file that ends in .csv or .parquet",
        ),
        ("mlflow runs.csv --out none/t.csv", "--out: there is no folder none"),
        ("mlflow runs.csv --out t.csv", "does not tell its dataset; give one for all with --dataset"),
        ("mlflow runs.csv --out t.csv --test nope", "no trial has a value named 'nope'"),
        ("mlflow runs.csv --out t.csv --sampling random", "sampling: found 'random'; allowed is one of iid"),
        ("mlflow runs.csv --out t.csv --one-method", "--study and --one-method are for optuna"),
        ("mlflow high.csv --out t.csv --dataset d --architecture a --method m", "found '80.0'"),
        ("mlflow mlruns --out t.csv", "meta.yaml: not YAML that can be read"),
        ("mlflow none --out t.csv", "none: there is no such place"),
        ("ray ray --out t.csv", "is not UTF-8 text"),
        ("ray none --out t.csv", "none: there is no such folder"),
        ("optuna none.db --out t.csv", "none.db: there is no such file"),
        ("optuna runs.csv --out t.csv --one-method", "--one-method: name the method"),
    ],
)
def test_an_import_that_cannot_be_is_one_sentence(
    harness_command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    head = "run_id,status,metrics.val_accuracy,metrics.test_accuracy\n"
    Path("runs.csv").write_text(f"{head}a,FINISHED,0.9,0.8\n")
    Path("high.csv").write_text(f"{head}a,FINISHED,80,0.8\n")
    Path("mlruns/0/a/metrics").mkdir(parents=True)
    Path("mlruns/0/a/meta.yaml").write_text(": [")
    Path("ray/a").mkdir(parents=True)
    Path("ray/a/result.json").write_bytes(b"\xff\xfe")
    assert sentence in refused(harness_command("import", *arguments.split()))
    assert not Path("t.csv").exists()
