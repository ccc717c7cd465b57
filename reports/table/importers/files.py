"""Imports by kind, and writes what was imported as a trial table."""

from pathlib import Path

import pandas as pd

from reports.errors import TableError
from reports.settings import Settings
from reports.table.checks import check_table, nearest
from reports.table.formulas import guarded
from reports.table.import_kinds import KINDS
from reports.table.importers.common import Imported, ImportOptions
from reports.table.importers.mlflow_runs import import_mlflow
from reports.table.importers.optuna_storage import import_optuna
from reports.table.importers.ray_results import import_ray

SUFFIXES = (".csv", ".parquet")


def import_trials(
    kind: str, source: str, options: ImportOptions, studies: tuple[str, ...] = (), *, one_method: bool = False
) -> Imported:
    """Reads what a tool recorded.

    Args:
        kind: one of `KINDS`.
        source: a path, or for Optuna a URL.
        options: how foreign names map to the table's.
        studies: Optuna's studies to read; empty for all.
        one_method: Optuna's studies are replicates of one method.

    Raises:
        TableError: the kind is none, or the source cannot be read.
    """
    if kind not in KINDS:
        raise TableError(f"KIND: found {kind!r}{nearest(kind, KINDS)}; allowed is one of {', '.join(KINDS)}")
    if kind != "optuna" and (studies or one_method):
        raise TableError(f"--study and --one-method are for optuna, found {kind}")
    if one_method and not options.method:
        raise TableError("--one-method: name the method that all studies are searches of, with --method")
    try:
        if kind == "optuna":
            return import_optuna(source, options, studies, one_method=one_method)
        return (import_ray if kind == "ray" else import_mlflow)(Path(source), options)
    except UnicodeDecodeError as error:
        raise TableError(f"{source}: a file in it is not UTF-8 text ({error.reason})") from error
    except OSError as error:
        raise TableError(f"{error.filename or source}: cannot be read ({error.strerror})") from error


def check_out(out: Path) -> None:
    """Refuses a file that could not be written, before anything is read.

    Raises:
        TableError: its ending is none of a trial table, or its folder is not there.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise TableError(f"--out: found {out}; allowed is a file that ends in {' or '.join(SUFFIXES)}")
    if not out.parent.is_dir():
        raise TableError(f"--out: there is no folder {out.parent}")


def write_table(table: pd.DataFrame, out: Path, settings: Settings, source: str) -> None:
    """Writes a table that a report can read.

    Args:
        table: one row a trial.
        out: a .csv or .parquet file.
        settings: names the score columns.
        source: what the table was made of, for messages.

    Raises:
        TableError: the table would be refused by a report, or the file cannot be written.
    """
    check_table(table, settings=settings, source=source)
    # A searched value may be a number in one trial and text in another, which parquet does not hold.
    mixed = [name for name in table if table[name].dtype == object]
    as_text = table.astype(dict.fromkeys(mixed, "string"))
    if out.suffix.lower() == ".csv":
        as_text = guarded(as_text)
    try:
        as_text.to_csv(out, index=False) if out.suffix.lower() == ".csv" else as_text.to_parquet(
            out, index=False
        )
    except OSError as error:
        raise TableError(f"--out: {out} cannot be written ({error.strerror or error})") from error
