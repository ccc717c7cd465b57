"""The tools whose records can be imported."""

#: Kind -> what its source is.
KINDS = {
    "optuna": "a storage: a URL, a journal file or an SQLite file",
    "ray": "a Ray Tune result folder",
    "mlflow": "the CSV of `mlflow.search_runs`, or an `mlruns` folder",
}
