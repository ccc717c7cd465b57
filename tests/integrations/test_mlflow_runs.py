"""What a real MLflow has written is read as a trial table, without MLflow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.table.checks import check_table
from reports.table.importers import Imported, ImportOptions, import_mlflow

mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: make test-integrations")

PLACE = ImportOptions(dataset="digits", architecture="mlp", method="new")
#: Validation score of each epoch: the best stands at 1 first, and again at 2.
SCORES = (0.8, 0.9, 0.9, 0.85)
ENDS = ("FINISHED", "FAILED", "KILLED", "RUNNING")


@pytest.fixture(params=["files", "database"])
def experiment(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """Where MLflow keeps an experiment with one run for each way to end, and the experiment's id."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # newer versions write folders only if asked to
    is_files = request.param == "files"
    uri = (tmp_path / "mlruns").as_uri() if is_files else f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=uri)
    number = client.create_experiment("search", artifact_location=(tmp_path / "artifacts").as_uri())
    for end in ENDS:
        run = client.create_run(number, tags={"parameters": "1200"}).info.run_id
        client.log_param(run, "rate", 0.1)
        for epoch, score in enumerate(SCORES):
            client.log_metric(run, "val_accuracy", score, step=epoch)
            client.log_metric(run, "test_accuracy", score - 0.01 * epoch, step=epoch)
        if end != "RUNNING":
            client.set_terminated(run, end)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    yield uri, number
    mlflow.set_tracking_uri(before)


def trials_of(imported: Imported) -> list[dict[str, Any]]:
    """The checked table's rows, one for each end but that of the run that is still on."""
    checked = check_table(imported.table)
    assert checked.lost == 1
    assert sorted(checked.trials["status"]) == ["crashed", "ok", "stopped"]
    return [{str(name): value for name, value in row.items()} for row in checked.trials.to_dict("records")]


def test_the_export_of_search_runs(experiment: tuple[str, str], tmp_path: Path) -> None:
    export = tmp_path / "runs.csv"
    mlflow.search_runs([experiment[1]]).to_csv(export, index=False)
    for trial in trials_of(import_mlflow(export, PLACE)):
        assert (trial["val_accuracy"], trial["test_accuracy"]) == (0.85, pytest.approx(0.82))
        assert (float(trial["param_rate"]), trial["parameters"]) == (0.1, 1200)
        assert trial["train_seconds"] >= 0


@pytest.mark.parametrize("experiment", ["files"], indirect=True)
def test_the_folder(experiment: tuple[str, str], tmp_path: Path) -> None:
    for trial in trials_of(import_mlflow(tmp_path / "mlruns", PLACE)):
        assert (trial["val_accuracy"], trial["test_accuracy"]) == (0.9, pytest.approx(0.89))
        assert (float(trial["param_rate"]), trial["parameters"]) == (0.1, 1200)
        assert trial["train_seconds"] >= 0
