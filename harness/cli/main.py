"""The command `harness`. Every error a user can mend is one sentence on stderr and exit code 2."""

import errno
import os
import sys
import threading
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from harness.cli import imports as cli_imports
from harness.cli import reports as cli_reports
from harness.cli.terminal import shown, terminal

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Compare ways of choosing a neural network's size: does a method save search cost?",
)

StudyArgument = Annotated[str, typer.Argument(help="A study file, or the name of a shipped study.")]
RunArgument = Annotated[Path, typer.Argument(help="The directory of a run.")]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the data sets; unless given, $HARNESS_DATA, else downloads."),
]

#: What a user can mend of files wherever it comes up: room, rights, a quota.
_MENDABLE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


class ExecutorName(StrEnum):
    """Where trials run."""

    ray = "ray"
    inline = "inline"


class TableFormat(StrEnum):
    """Form of an exported table."""

    csv = "csv"
    parquet = "parquet"


def main() -> NoReturn:
    """The process's entry point: `dispatch`, and then the process ends at once.

    Taking down Ray, or the thread that loads the report, takes a second or more, and everything is written
    by then. On Linux the kernel ends the processes of a cluster that was started here together with this
    one; elsewhere only taking it down in order does.
    """
    try:
        dispatch()
    except KeyboardInterrupt:  # before or after a run, which says more
        os._exit(130)
    except SystemExit as end:
        if not isinstance(end.code, int) or ("ray" in sys.modules and sys.platform != "linux"):
            raise
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):  # one that is closed is None
                stream.flush()
        except OSError:
            sys.exit(end.code)  # Python says on its way out that output was lost
        os._exit(end.code)


def dispatch() -> NoReturn:
    """Run the command that the arguments name.

    What a user can mend is one sentence and exit code 2; a fault of the harness or a device that ended a run
    is one sentence and exit code 3.

    Raises:
        SystemExit: always, with the exit code.
    """
    from harness.datasets.base import DataError
    from harness.extraction.errors import ExtractionError
    from harness.records.directory import DirectoryError
    from harness.runs.executors.base import EngineFaultError, ExecutorError
    from harness.study.parts import StudyError
    from harness.study.versions import VersionError
    from reports.errors import TableError

    try:
        app(standalone_mode=True)
    except EngineFaultError as error:
        print(shown(str(error)), file=sys.stderr)
        sys.exit(3)
    except (
        StudyError,
        DataError,
        DirectoryError,
        ExecutorError,
        ExtractionError,
        TableError,
        VersionError,
    ) as error:
        print(shown(str(error)), file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None or error.errno not in _MENDABLE:
            raise
        print(shown(f"{error.filename}: {error.strerror}"), file=sys.stderr)
        sys.exit(2)
    sys.exit(0)


@app.command()
def run(
    study: StudyArgument,
    out: Annotated[Path | None, typer.Option(help="Directory of the run; runs/NAME unless given.")] = None,
    executor: Annotated[ExecutorName, typer.Option(help="Where trials run.")] = ExecutorName.ray,
    address: Annotated[
        str | None, typer.Option(help="Address of a running Ray cluster; unless given, one starts here.")
    ] = None,
    data: DataOption = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Run only arms that match, such as 'mnist/mlp/*'; may be given several times."),
    ] = None,
    max_hours: Annotated[float | None, typer.Option(min=0, help="Begin no trial after this time.")] = None,
    certify: Annotated[
        bool,
        typer.Option(
            "--certify", help="Measure how much each edit changes a network's output; takes training time."
        ),
    ] = False,
) -> None:
    """Run a study, or go on with it: what the plan has and the directory's records lack. Then report."""
    from harness.cli.views.progress import TerminalWatcher
    from harness.datasets.base import data_root
    from harness.reporting import report as write_report
    from harness.runs.run import RunRequest, run_study

    console = terminal()
    watcher = TerminalWatcher(console)
    request = RunRequest(
        study, out, executor.value, address, data_root(data), max_hours, tuple(only or ()), certify
    )
    if executor is ExecutorName.ray:
        import harness.runs.executors.ray.executor  # noqa: F401 - first: loading both at once takes longer
    # What the report needs takes seconds to load, and from here on the driver mostly waits.
    threading.Thread(target=_load_report, daemon=True).start()
    try:
        result = run_study(request, watcher)
    except KeyboardInterrupt:
        print("Stopped; every finished trial is kept. The same command goes on.", file=sys.stderr)
        raise typer.Exit(130) from None
    if not result.complete:
        rest = "The same command without --only runs the rest." if only else "The same command goes on."
        watcher.say(f"{result.done} of {result.plan.planned_trials} trials are done. {rest}")
    if certify:
        from harness.cli.views.certificates import show_certificates

        show_certificates(result.directory, console)
    cli_reports.show_report(write_report(result.directory.path, watcher=watcher), console)


@app.command()
def plan(study: StudyArgument, data: DataOption = None) -> None:
    """Show what a study would run, without running it. Plug-ins are listed before they are imported."""
    from harness.cli.views.plan import show_plan, show_strangers
    from harness.datasets.base import data_root
    from harness.runs.run import plan_study
    from harness.study.file import load_study

    console = terminal()
    loaded = load_study(study, lambda names: show_strangers(names, console))
    show_plan(plan_study(loaded, data_root(data), study), console)


@app.command()
def status(
    directory: RunArgument,
    failed: Annotated[
        bool, typer.Option("--failed", help="List the trials that failed, and where their tracebacks are.")
    ] = False,
    traceback: Annotated[
        str | None,
        typer.Option(metavar="TRIAL", help="Show a trial's traceback; of its id the beginning will do."),
    ] = None,
) -> None:
    """Show how far a run is."""
    from harness.cli.views.status import show_failed, show_status, show_traceback

    if traceback is not None:
        show_traceback(directory, traceback, terminal())
    elif failed:
        show_failed(directory, terminal())
    else:
        show_status(directory, terminal())


app.command()(cli_reports.report)
app.command("import")(cli_imports.import_trials)


@app.command()
def export(
    directory: RunArgument,
    format: Annotated[TableFormat, typer.Option(help="Form of the table.")] = TableFormat.csv,
    out: Annotated[Path | None, typer.Option(help="File to write; DIRECTORY/trials.* unless given.")] = None,
) -> None:
    """Write the trial table of a run to a file: one row a trial."""
    from harness.results.tabulate import read_run
    from reports.table.formulas import guarded

    table, _, _ = read_run(directory)
    path = out or directory / f"trials.{format.value}"
    try:
        if format is TableFormat.csv:
            guarded(table).to_csv(path, index=False)
        else:
            table.to_parquet(path, index=False)
    except OSError as error:
        from harness.records.directory import DirectoryError

        raise DirectoryError(f"--out: {path} cannot be written ({error.strerror or error})") from error
    print(shown(str(path)))


@app.command()
def extract(
    directory: RunArgument,
    trial: Annotated[
        str,
        typer.Argument(
            help="A trial's id, the beginning of one, `best` (by validation score) or `best:METHOD`."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; DIRECTORY/extracted/ID unless given.")
    ] = None,
    data: DataOption = None,
    plugin: Annotated[
        list[Path] | None, typer.Option(help="A plug-in file of the study; may be given several times.")
    ] = None,
) -> None:
    """Take a trial's network along: trained again as recorded, gates folded, written for use elsewhere."""
    from harness.cli.views.extraction import show_extracted
    from harness.cli.views.progress import TerminalWatcher
    from harness.extraction.extract import extract as take_along

    console = terminal()
    watcher = TerminalWatcher(console)
    extracted = take_along(directory, trial, out, data=data, plugins=tuple(plugin or ()), watcher=watcher)
    show_extracted(extracted, console)


@app.command()
def methods(
    study: Annotated[
        str | None, typer.Argument(help="A study, whose cells methods are to be listed for.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="A data set: what would be searched on it.")] = None,
    architecture: Annotated[str | None, typer.Option(help="With --dataset: the networks.")] = None,
    data: DataOption = None,
) -> None:
    """List methods and controls, architectures, data sets, samplers and shipped studies; or, for a study or a
    cell, what every method searches there."""
    from harness.cli.views.parts import show_parts, show_spaces
    from harness.datasets import prepare
    from harness.datasets.base import data_root
    from harness.study.file import load_study
    from harness.study.parts import StudyError
    from harness.study.spaces import spaces_of_cell, spaces_of_study

    if (dataset is None) != (architecture is None) or (study is not None and dataset is not None):
        raise StudyError("harness methods: name a study, or a cell with both --dataset and --architecture")
    root = data_root(data)
    if study is not None:
        show_spaces(terminal(), spaces_of_study(load_study(study), study, lambda spec: prepare(spec, root)))
    elif dataset is not None and architecture is not None:
        show_spaces(terminal(), spaces_of_cell(dataset, architecture, lambda spec: prepare(spec, root)))
    else:
        try:
            show_parts(terminal())
        except ValueError as error:  # of what an installed package offers
            raise StudyError(f"harness methods: {error}") from error


@app.command()
def check(
    part: Annotated[
        str, typer.Argument(help="A method, an architecture, a data set, or a plug-in file with some.")
    ],
) -> None:
    """Hold a method, an architecture or a data set against its contract; exit code 1 if it breaks a rule."""
    from harness.cli.views.check import show_check

    if not show_check(part, terminal()):
        raise typer.Exit(1)


@app.command()
def schema() -> None:
    """Print the JSON Schema of study files, for editors."""
    from harness.study.file import json_schema

    print(json_schema())


def _load_report() -> None:
    import reports.write  # noqa: F401
    from reports.figures.fonts import font_families

    font_families()
