"""The command `harness import`: what other tools recorded, as a trial table."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.terminal import shown
from reports.table.import_kinds import KINDS

#: Kinds of `harness import`, with what each reads.


# Long because its options are its signature.
def import_trials(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.", metavar="KIND")],
    source: Annotated[str, typer.Argument(help="; ".join(f"{k}: {what}" for k, what in KINDS.items()) + ".")],
    out: Annotated[Path, typer.Option(help="Trial table to write, a .csv or .parquet file.")],
    dataset: Annotated[str | None, typer.Option(help="Data set of the trials that name none.")] = None,
    architecture: Annotated[
        str | None, typer.Option(help="Network family of the trials that name none.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Method of the trials that name none.")] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            help="The tool's name of the validation score; unless given, Optuna's objective, or the column's."
        ),
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="The tool's name of the test score; unless given, the column's.")
    ] = None,
    validation_column: Annotated[str, typer.Option(help="Column to write it to.")] = "val_accuracy",
    test_column: Annotated[str, typer.Option(help="Column to write it to.")] = "test_accuracy",
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="The score is a loss or an error.")
    ] = False,
    sampling: Annotated[
        str | None,
        typer.Option(help="How points were chosen: iid, design, adaptive or pruned; by default as recorded."),
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option(help="An Optuna study to read, unless all; may be given several times."),
    ] = None,
    one_method: Annotated[
        bool, typer.Option("--one-method", help="Optuna studies are repeated searches of one --method.")
    ] = False,
) -> None:
    """Turn what Optuna, Ray Tune or MLflow recorded into a trial table for `harness report`."""
    from reports.settings import Settings
    from reports.table.importers import ImportOptions
    from reports.table.importers.files import check_out, import_trials, write_table
    from reports.table.questions import check_values

    options = ImportOptions(
        dataset=dataset,
        architecture=architecture,
        method=method,
        validation=validation,
        test=test or test_column,
        validation_column=validation_column,
        test_column=test_column,
        lower_is_better=lower_is_better,
        sampling=sampling,
    )
    settings = Settings(
        validation_column=validation_column,
        test_column=test_column,
        lower_is_better=lower_is_better,
    )
    check_values(settings)
    check_out(out)
    imported = import_trials(kind, source, options, tuple(study or ()), one_method=one_method)
    write_table(imported.table, out, settings, source)
    for note in imported.notes:
        typer.echo(shown(f"Note: {note}"))
    methods = sorted({*imported.table["method"]})
    typer.echo(shown(f"{out}: {len(imported.table)} trials of {', '.join(methods)}"))
    flags = ""
    if settings.test_column != Settings().test_column:
        flags = f" --validation-column {validation_column} --test-column {test_column}"
    flags += " --lower-is-better" * lower_is_better
    others = " OTHER.csv" if len(methods) == 1 else ""
    typer.echo(f"Go on with: harness report {out}{others} --baseline METHOD{flags}")
