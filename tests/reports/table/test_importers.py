"""What other tools recorded becomes a trial table that passes every check."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.errors import TableError
from reports.table.checks import check_table
from reports.table.importers import ImportOptions, import_mlflow, import_optuna, import_ray
from tests.reports.foreign import optuna_storage

PLACE = ImportOptions(dataset="digits", architecture="mlp", method="new")


def test_optuna(tmp_path: Path) -> None:
    imported = import_optuna(optuna_storage(tmp_path), PLACE)
    trials = check_table(imported.table).trials
    assert list(trials["status"]) == ["ok", "stopped", "crashed", "ok", "ok", "ok"]
    assert set(trials["method"]) == {"search-0"}
    assert set(trials["sampling"]) == {"adaptive"}
    assert {"param_rate", "param_activation", "parameters", "train_seconds"} <= set(trials.columns)
    assert any("1 waiting trials" in note for note in imported.notes)
    assert any("does not store the sampler" in note for note in imported.notes)


def test_optuna_studies_as_replicates(tmp_path: Path) -> None:
    options = ImportOptions(dataset="digits", architecture="mlp", method="tpe", sampling="iid")
    imported = import_optuna(optuna_storage(tmp_path, studies=2), options, one_method=True)
    assert sorted(imported.table["replicate"].unique()) == [0, 1]
    assert set(imported.table["method"]) == {"tpe"}
    assert set(imported.table["sampling"]) == {"iid"}


@pytest.mark.parametrize(
    ("studies", "options", "words"),
    [
        (("search-9",), PLACE, "no study 'search-9' (did you mean 'search-0'?)"),
        (
            (),
            ImportOptions(dataset="digits", architecture="mlp", test="test_acc"),
            "no trial has a value named",
        ),
        ((), ImportOptions(dataset="digits"), "does not tell its architecture"),
        ((), ImportOptions(dataset="d", architecture="a", lower_is_better=True), "same direction"),
    ],
)
def test_optuna_refusals(
    tmp_path: Path, studies: tuple[str, ...], options: ImportOptions, words: str
) -> None:
    storage = optuna_storage(tmp_path)
    with pytest.raises(TableError) as caught:
        import_optuna(storage, options, studies)
    assert words in str(caught.value)


def test_a_misspelt_storage_makes_no_database(tmp_path: Path) -> None:
    for place in (f"sqlite:///{tmp_path / 'no.db'}", str(tmp_path / "no.log")):
        with pytest.raises(TableError, match="no such file"):
            import_optuna(place, PLACE)
    assert list(tmp_path.iterdir()) == []


def ray_results(folder: Path) -> Path:
    """Four trials: one with its best in the middle, one crashed, one cut short, one without a report."""
    reports: dict[str, list[dict[str, Any]]] = {
        "a": [{"val_accuracy": v, "test_accuracy": v - 0.01} for v in (0.8, 0.9, 0.9, 0.85)],
        "b": [{"val_accuracy": 0.7, "test_accuracy": 0.69}],
        "c": [{"val_accuracy": 0.6, "test_accuracy": 0.61}],
        "d": [],
    }
    for name, lines in reports.items():
        place = folder / f"train_{name}"
        place.mkdir(parents=True)
        (place / "params.json").write_text(json.dumps({"rate": 0.1, "layers": {"first": 8}}))
        text = "".join(
            json.dumps({**line, "trial_id": name, "training_iteration": i, "time_total_s": 2.0 * i}) + "\n"
            for i, line in enumerate(lines, start=1)
        )
        (place / "result.json").write_text(text + ('{"val_acc' if name == "c" else ""))
    (folder / "train_b" / "error.txt").write_text("Traceback\nRuntimeError: no memory\n")
    (folder / "basic-variant-state.json").write_text("{}")
    return folder


def test_ray(tmp_path: Path) -> None:
    imported = import_ray(ray_results(tmp_path), PLACE)
    trials = check_table(imported.table).trials.set_index("trial_id")
    assert dict(trials["status"]) == {"a": "ok", "b": "crashed", "c": "ok", "train_d": "crashed"}
    best = trials.loc["a"]
    assert (best["val_accuracy"], best["test_accuracy"], best["selected_epoch"]) == (0.9, 0.89, 2)
    assert (best["epochs_run"], best["train_seconds"]) == (4, 8.0)
    assert best["param_layers.first"] == "8"
    assert trials.loc["b", "message"] == "RuntimeError: no memory"
    assert any("different numbers of iterations" in note for note in imported.notes)


def test_ray_refusals(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such folder"):
        import_ray(tmp_path / "no", PLACE)
    with pytest.raises(TableError, match="no trials were found"):
        import_ray(tmp_path, PLACE)
    ray_results(tmp_path)
    options = ImportOptions(dataset="digits", architecture="mlp", method="new", test="accuracy")
    with pytest.raises(TableError, match=r"named 'accuracy' \(did you mean '\w+_accuracy'\?\)"):
        import_ray(tmp_path, options)
    (tmp_path / "train_a" / "result.json").write_text("not json\n{}\n")
    with pytest.raises(TableError, match=r"result\.json: line 1 is not JSON"):
        import_ray(tmp_path, PLACE)


def test_a_complete_trial_without_a_test_score_is_no_failure(tmp_path: Path) -> None:
    ray_results(tmp_path)
    (tmp_path / "train_c" / "result.json").write_text('{"val_accuracy": 0.6, "trial_id": "c"}\n')
    with pytest.raises(TableError, match=r"trial c is complete and has no value .*1 of 4\): that is no"):
        import_ray(tmp_path, PLACE)


def test_mlflow_csv(tmp_path: Path) -> None:
    pd.DataFrame(
        {
            "run_id": ["r1", "r2", "r3"],
            "status": ["FINISHED", "FAILED", "RUNNING"],
            "start_time": ["2026-01-01 10:00:00+00:00"] * 3,
            "end_time": ["2026-01-01 10:01:00+00:00", "2026-01-01 10:00:10+00:00", None],
            "metrics.val_accuracy": [0.9, None, None],
            "metrics.test_accuracy": [0.89, None, None],
            "metrics.parameters": [1200.0, None, None],
            "params.rate": ["0.1", "0.2", "0.3"],
            "tags.method": ["new", "old", "old"],
        }
    ).to_csv(tmp_path / "runs.csv", index=False)
    imported = import_mlflow(tmp_path / "runs.csv", PLACE)
    table = check_table(imported.table)
    assert (table.lost, list(table.trials["status"])) == (1, ["ok", "crashed"])
    assert list(table.trials["method"]) == ["new", "old"]
    assert list(table.trials["train_seconds"]) == [60.0, 10.0]
    assert table.trials.loc[0, "parameters"] == 1200


def test_mlflow_folder(tmp_path: Path) -> None:
    run = tmp_path / "mlruns" / "0" / "abc"
    for name in ("metrics", "params", "tags"):
        (run / name).mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("name: Default\n")
    (run / "meta.yaml").write_text("run_id: abc\nstatus: 3\nstart_time: 1000\nend_time: 5000\n")
    (run / "metrics" / "val_accuracy").write_text("1 0.8 0\n2 0.95 1\n3 0.9 2\n")
    (run / "metrics" / "test_accuracy").write_text("1 0.7 0\n2 0.93 1\n3 0.94 2\n")
    (run / "metrics" / "parameters").write_text("3 1200 0\n")
    (run / "params" / "rate").write_text("0.1")
    imported = import_mlflow(tmp_path / "mlruns", PLACE)
    trial = check_table(imported.table).trials.loc[0]
    assert (trial["val_accuracy"], trial["test_accuracy"]) == (0.95, 0.93)
    assert (trial["train_seconds"], trial["parameters"], trial["param_rate"]) == (4.0, 1200, "0.1")
    (run / "metrics" / "val_accuracy").write_text("nonsense\n")
    with pytest.raises(TableError, match="line 1 is not 'timestamp value step'"):
        import_mlflow(tmp_path / "mlruns", PLACE)


def test_mlflow_refusals(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such place"):
        import_mlflow(tmp_path / "no.csv", PLACE)
    with pytest.raises(TableError, match="no runs were found"):
        import_mlflow(tmp_path, PLACE)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TableError, match="column run_id is missing"):
        import_mlflow(tmp_path / "x.csv", PLACE)
