"""Turns what other tools recorded into a trial table: Optuna storages, Ray Tune results, MLflow exports."""

from reports.importers.common import Imported, ImportOptions
from reports.importers.mlflow_runs import import_mlflow
from reports.importers.optuna_storage import import_optuna
from reports.importers.ray_results import import_ray

__all__ = ["ImportOptions", "Imported", "import_mlflow", "import_optuna", "import_ray"]
