"""The command `harness report`: on a run, on several, on anyone's trial tables."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.terminal import terminal

if TYPE_CHECKING:
    import pandas as pd

    from harness.results.joining import Runs
    from harness.trial_table import StudyDesign
    from reports.settings import Settings

_DEFAULT_OUT = Path("report")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a report is made of. notes: on how it came together; out: where the report goes."""

    table: "pd.DataFrame"
    histories: "pd.DataFrame | None"
    design: "StudyDesign | None"
    notes: tuple[str, ...]
    source: str
    out: Path
    settings: "Settings"


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Run directories, trial tables (.csv, .parquet), or both."),
    ],
    baseline: Annotated[str | None, typer.Option(help="Method that the others are compared with.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the report; unless given, DIR/report of one run, else ./report."),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(help="Trials of a search; unless given, the claim's, else a tenth of an arm."),
    ] = None,
    cost: Annotated[
        str | None,
        typer.Option(help="Unit of cost, such as trials, train_seconds or train_flops.", metavar="UNIT"),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="How much worse still counts as on par; .002 is 0.2 points of accuracy."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[PLACE=]VALUE",
            help="A score to reach; PLACE is DATASET or DATASET/ARCHITECTURE. May be given several times.",
        ),
    ] = None,
    failed_score: Annotated[float | None, typer.Option(help="What a failed trial counts as.")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="A method the claim is about, unless all; may be given several times."),
    ] = None,
    score: Annotated[str | None, typer.Option(help="What the page calls the score.")] = None,
    validation_column: Annotated[str, typer.Option(help="Column that selects.")] = "val_accuracy",
    test_column: Annotated[str, typer.Option(help="Column that is reported.")] = "test_accuracy",
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="The score is a loss or an error.")
    ] = False,
    confidence: Annotated[float, typer.Option(help="Level of all intervals.")] = 0.95,
    seed: Annotated[int | None, typer.Option(help="Seed of permutations and bootstrap.")] = None,
) -> None:
    """Write the report of a run, finished or not, of several runs, or of anyone's trial tables."""
    from reports.settings import Settings
    from reports.table.questions import check_names, check_values, parse_target
    from reports.write import write_report

    settings = Settings(
        baseline=baseline,
        methods=tuple(dict.fromkeys(method or ())),
        n=n,
        cost=cost,
        margin=margin,
        targets=tuple(parse_target(text) for text in target or ()),
        failed_score=failed_score,
        score=score or test_column.removeprefix("test_"),
        validation_column=validation_column,
        test_column=test_column,
        lower_is_better=lower_is_better,
        confidence=confidence,
    )
    if seed is not None:
        settings = replace(settings, seed=seed)
    check_values(settings)
    asked = _gather(paths, settings, out)
    check_names(asked.settings, asked.table, asked.design, asked.source)
    page = write_report(
        asked.table,
        asked.out,
        design=asked.design,
        settings=asked.settings,
        histories=asked.histories,
        source=asked.source,
        notes=asked.notes,
    )
    console = terminal()
    print_result_table(asked.table, asked.design, console, asked.settings)
    console.print(f"Report: {page}", markup=False, soft_wrap=True)


def print_result_table(
    table: "pd.DataFrame", design: "StudyDesign | None", console: Console, settings: "Settings | None" = None
) -> None:
    """Prints a row an arm: trials, medians, and what the best by validation came to."""
    from reports.write import short_table

    shown = Table(box=None, pad_edge=False)
    shown.add_column("arm")
    for heading in ("trials", "failed", "median val", "median test", "best by val: test", "its parameters"):
        shown.add_column(heading, justify="right")
    for arm in short_table(table, design=design, settings=settings):
        shown.add_row(
            Text(f"{arm.dataset}/{arm.architecture}/{arm.method}"),
            str(arm.trials),
            str(arm.failed),
            *(_score(value) for value in (arm.val_median, arm.test_median, arm.best_test)),
            "" if arm.best_parameters is None else f"{arm.best_parameters:,.0f}",
        )
    console.print(shown)


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _gather(paths: list[Path], settings: "Settings", out: Path | None) -> _Asked:
    """Reads runs and tables, as one."""
    from harness.results.joining import read_runs
    from reports.errors import TableError
    from reports.table.checks import score_columns
    from reports.table.joining import join_tables
    from reports.table.reading import read_table

    for path in paths:
        if not path.exists():
            raise TableError(f"{path}: found nothing; allowed are run directories and trial tables")
    directories = [path for path in paths if path.is_dir()]
    files = [path for path in paths if not path.is_dir()]
    folder = _report_folder(paths, directories, files, out)
    source = " + ".join(map(str, paths))
    if not directories:
        frames = [(str(path), read_table(path, score_columns(settings))) for path in files]
        table, notes = join_tables(frames, settings)
        return _Asked(table, None, None, notes, source, folder, settings)
    settled = [name for name in ("baseline", "n", "cost", "margin") if getattr(settings, name) is not None]
    runs = read_runs(directories, settled)
    notes = (*runs.notes, *_departures(settings, runs))
    if not files:
        return _Asked(runs.table, runs.histories, runs.design, notes, source, folder, settings)
    return _with_tables(runs, files, notes, source, folder, settings)


def _with_tables(
    runs: "Runs", files: list[Path], notes: tuple[str, ...], source: str, folder: Path, settings: "Settings"
) -> _Asked:
    """Runs beside tables: tables have no plan, so there is no design; the runs' claim becomes settings."""
    from harness.results.joining import plan_notes
    from reports.table.checks import score_columns
    from reports.table.joining import join_tables
    from reports.table.reading import read_table

    frames = [(str(path), read_table(path, score_columns(settings))) for path in files]
    if len(runs.table):
        frames.insert(0, ("the runs", runs.table))
    table, joined = join_tables(frames, settings)
    claim = runs.design.claim
    settings = replace(
        settings,
        baseline=settings.baseline or claim.baseline,
        n=settings.n or claim.n,
        cost=settings.cost or claim.cost,
        margin=claim.margin if settings.margin is None else settings.margin,
    )
    histories = runs.histories if len(runs.histories) else None
    return _Asked(table, histories, None, (*notes, *plan_notes(runs), *joined), source, folder, settings)


def _departures(settings: "Settings", runs: "Runs") -> tuple[str, ...]:
    """What was asked otherwise than the claim says, which was fixed before anything ran."""
    claim = runs.design.claim
    asked = [
        (name, getattr(settings, name), getattr(claim, name)) for name in ("baseline", "n", "cost", "margin")
    ]
    changed = [
        f"{name} {ours} instead of {theirs}" for name, ours, theirs in asked if ours not in (None, theirs)
    ]
    if not changed:
        return ()
    return (
        f"This report was asked for {', '.join(changed)}: what it says is not the claim that the study fixed "
        "before it ran.",
    )


def _report_folder(paths: list[Path], runs: list[Path], files: list[Path], out: Path | None) -> Path:
    from reports.errors import TableError

    if out is None and len(paths) == 1 and runs:
        return paths[0] / "report"
    folder = out or _DEFAULT_OUT
    if folder.exists() and not folder.is_dir():
        raise TableError(f"--out: {folder} is not a folder")
    # A report replaces the figures and tables of an earlier one: it must be one.
    strangers = (
        [path for path in folder.iterdir() if path.name not in ("figures", "tables")]
        if folder.is_dir()
        else []
    )
    holds = [name for name in ("figures", "tables") if (folder / name).exists()]
    if holds and strangers and not (folder / "results.json").is_file():
        raise TableError(f"--out: {folder} has a folder {holds[0]!r} and no report; choose another folder")
    for path in files:
        if folder.resolve() in path.resolve().parents:
            inside = path.resolve().relative_to(folder.resolve()).parts[0]
            if inside in ("figures", "tables"):
                raise TableError(
                    f"--out: {path} lies where the report would be written; choose another folder"
                )
    return folder
