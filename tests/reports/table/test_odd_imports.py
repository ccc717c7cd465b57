"""What tools really leave, and what strangers may have put there: read as meant, or refused in a sentence."""

import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.errors import TableError
from reports.settings import Settings
from reports.table.formulas import guarded
from reports.table.importers import ImportOptions
from reports.table.importers.files import import_trials, write_table
from tests.reports.foreign import optuna_storage

OPTIONS = ImportOptions(dataset="d", architecture="a", method="m")


def ray_trial(folder: Path, name: str, reports: list[dict[str, Any]], error: str | None = None) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    (place / "params.json").write_text('{"lr": 0.1}')
    (place / "result.json").write_text("".join(json.dumps(report) + "\n" for report in reports))
    if error is not None:
        (place / "error.txt").write_text(error)
    return place


REPORT = {"val_accuracy": 0.5, "test_accuracy": 0.4, "eval": {"acc": 0.3, "test": 0.2}, "done": False}


def test_a_ray_trial_that_recovered_is_ok(tmp_path: Path) -> None:
    ray_trial(tmp_path, "a", [REPORT, REPORT | {"done": True}], "RuntimeError: hiccup\n")
    ray_trial(tmp_path, "b", [REPORT | {"timestamp": 4e9}], "RuntimeError: hiccup\n")
    ray_trial(tmp_path, "c", [REPORT], "Traceback\nRuntimeError: the end\n")
    (ray_trial(tmp_path, "d", [REPORT]) / "error.pkl").write_bytes(b"never read")
    table = import_trials("ray", str(tmp_path), OPTIONS).table.set_index("trial_id")
    assert dict(table["status"]) == {"a": "ok", "b": "ok", "c": "crashed", "d": "crashed"}
    assert table.loc["c", "message"] == "RuntimeError: the end"


def test_what_ray_nests_has_its_path_as_name(tmp_path: Path) -> None:
    ray_trial(tmp_path, "a", [REPORT | {"done": True}])
    asked = replace(OPTIONS, validation="eval/acc", test="eval/test")
    [row] = import_trials("ray", str(tmp_path), asked).table.to_dict("records")
    assert (row["val_accuracy"], row["test_accuracy"], row["param_lr"]) == (0.3, 0.2, 0.1)


def mlflow_run(
    folder: Path, name: str, metrics: dict[str, float], tags: dict[str, str] | None = None
) -> Path:
    place = folder / "1" / name
    for kind in ("metrics", "params", "tags"):
        (place / kind).mkdir(parents=True)
    (place / "meta.yaml").write_text(f"run_id: {name}\nstatus: 3\nlifecycle_stage: active\n")
    for kind, values in (("metrics", metrics), ("tags", tags or {})):
        for key, value in values.items():
            file = place / kind / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"1 {value} 0\n" if kind == "metrics" else str(value))
    return place


def test_mlflow_metrics_in_folders_parents_and_deleted_runs(tmp_path: Path) -> None:
    metrics = {"val/acc": 0.6, "test/acc": 0.5}
    mlflow_run(tmp_path, "child", metrics, {"mlflow.parentRunId": "parent"})
    mlflow_run(tmp_path, "parent", {"best": 0.6})
    gone = mlflow_run(tmp_path, "gone", metrics)
    (gone / "meta.yaml").write_text("run_id: gone\nlifecycle_stage: deleted\n")
    asked = replace(OPTIONS, validation="val/acc", test="test/acc")
    imported = import_trials("mlflow", str(tmp_path), asked)
    assert list(imported.table["trial_id"]) == ["child"]
    assert any("1 runs that only hold others" in note for note in imported.notes)


@pytest.mark.parametrize(
    "where", ["meta.yaml", "params/secret", "tags/secret", "metrics/val_accuracy", "params"]
)
def test_mlflow_reads_nothing_outside_its_folder(tmp_path: Path, where: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "mlruns"
    place = mlflow_run(root, "a", {"val_accuracy": 0.6, "test_accuracy": 0.5})
    outside.mkdir()
    (outside / "secret").write_text("status: 3")
    link = place / where
    if link.is_dir():
        link.rmdir()
        link.symlink_to(outside)
    else:
        link.unlink(missing_ok=True)
        link.symlink_to(outside / "secret")
    with pytest.raises(TableError, match="a link found that leads out of"):
        import_trials("mlflow", str(root), OPTIONS)


def test_a_pipe_in_what_is_imported_is_not_waited_for(tmp_path: Path) -> None:
    place = mlflow_run(tmp_path, "a", {"val_accuracy": 0.6, "test_accuracy": 0.5})
    os.mkfifo(place / "params" / "lr")
    with pytest.raises(TableError, match="neither a file nor a folder"):
        import_trials("mlflow", str(tmp_path), OPTIONS)


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "9" * 5000, "x" * 100_001, "\t{"])
def test_odd_facts_of_an_mlflow_run_are_refused_by_name(tmp_path: Path, text: str) -> None:
    place = mlflow_run(tmp_path, "a", {"val_accuracy": 0.6, "test_accuracy": 0.5})
    (place / "meta.yaml").write_text(text)
    with pytest.raises(TableError, match=r"a/meta\.yaml: (not YAML|more than 100,000 bytes)"):
        import_trials("mlflow", str(tmp_path), OPTIONS)


def test_what_unfolds_in_the_facts_of_an_mlflow_run_is_never_unfolded(tmp_path: Path) -> None:
    place = mlflow_run(tmp_path, "a", {"val_accuracy": 0.6, "test_accuracy": 0.5})
    folded = "".join(f"k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 9) if i else 'x'}]\n" for i in range(30))
    (place / "meta.yaml").write_text(f"{folded}run_id: *k29\n")
    assert list(import_trials("mlflow", str(tmp_path), OPTIONS).table["trial_id"]) == ["a"]


def test_an_mlflow_database_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as made:
        made.execute("create table runs (run_uuid text)")
    with pytest.raises(TableError, match=r"a database found.*search_runs"):
        import_trials("mlflow", str(tmp_path / "mlflow.db"), OPTIONS)


def test_an_optuna_storage_is_never_written_to(tmp_path: Path) -> None:
    url = optuna_storage(tmp_path)
    imported = import_trials("optuna", f"{url}?timeout=20", OPTIONS)
    assert len(imported.table) == 6
    old = tmp_path / "old.db"
    with sqlite3.connect(old) as made:
        made.execute(
            "create table version_info (version_info_id integer primary key, schema_version integer)"
        )
        made.execute("create table studies (study_id integer primary key, study_name varchar(512))")
    before = old.read_bytes()
    with pytest.raises(TableError, match="cannot be read as an Optuna storage"):
        import_trials("optuna", str(old), OPTIONS)
    assert old.read_bytes() == before
    with pytest.raises(TableError, match="there is no such file"):
        import_trials("optuna", f"sqlite+pysqlite:///{tmp_path}/nope.db", OPTIONS)
    assert not (tmp_path / "nope.db").exists()


def test_odd_attributes_and_damaged_fields_of_an_optuna_storage(tmp_path: Path) -> None:
    url = optuna_storage(tmp_path)
    with sqlite3.connect(tmp_path / "runs.db") as made:
        made.execute(
            "insert into trial_user_attributes (trial_id, key, value_json) values (1, 'index', '[1]')"
        )
    assert list(import_trials("optuna", url, OPTIONS).table["index"]) == list(range(6))
    with sqlite3.connect(tmp_path / "runs.db") as made:
        made.execute("delete from trial_user_attributes where trial_id = 1 and key = 'test_accuracy'")
    with pytest.raises(TableError, match="is complete and has no value named 'test_accuracy'"):
        import_trials("optuna", url, OPTIONS)
    with sqlite3.connect(tmp_path / "runs.db") as made:
        made.execute("update trial_user_attributes set value_json = '{'")
    with pytest.raises(TableError, match="cannot be read as an Optuna storage"):
        import_trials("optuna", url, OPTIONS)


def test_texts_that_a_spreadsheet_would_run_are_guarded_in_written_tables(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "dataset": ["d"],
            "architecture": ["a"],
            "method": ['=HYPERLINK("x")'],
            "val_accuracy": [0.5],
            "test_accuracy": [0.4],
            "param_=x": ["-0.5"],
            "param_y": [-0.5],
        }
    )
    write_table(table, tmp_path / "t.csv", Settings(), "source")
    text = (tmp_path / "t.csv").read_text()
    assert "'=HYPERLINK" in text
    assert "-0.5,-0.5" in text, "a number is no formula"
    assert list(guarded(pd.DataFrame({"=a": pd.Series(["@b", None], dtype="string")}))["'=a"].dropna()) == [
        "'@b"
    ]
