"""Turns what other tools recorded into a trial table: Optuna storages, Ray Tune results, MLflow exports."""

from reports.table.importers.common import Imported, ImportOptions
from reports.table.importers.mlflow_runs import import_mlflow
from reports.table.importers.optuna_storage import import_optuna
from reports.table.importers.ray_results import import_ray

__all__ = ["ImportOptions", "Imported", "import_mlflow", "import_optuna", "import_ray"]
