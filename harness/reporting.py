"""Runs and tables judged together: where the harness meets the reports."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.watching import Silent, Watcher

if TYPE_CHECKING:
    import pandas as pd

    from harness.design import StudyDesign
    from harness.results.joining import Runs
    from reports.description.summary import ArmSummary
    from reports.settings import Settings

_DEFAULT_OUT = Path("report")
#: Trials whose report takes long enough that one wants to be told.
_MANY_TRIALS = 10_000


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was written.

    page: its HTML. arms: the short result table, a row an arm. said: the answer in sentences, as on the page.
    """

    page: Path
    arms: "tuple[ArmSummary, ...]"
    said: tuple[str, ...] = ()


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
    *paths: Path | str,
    out: Path | str | None = None,
    settings: "Settings | None" = None,
    watcher: Watcher | None = None,
) -> Report:
    """Write the report of a run, finished or not, of several runs, or of anyone's trial tables.

    Args:
        paths: run directories, trial tables (.csv, .parquet), or both.
        out: folder of the report; unless given, DIR/report of one run, else ./report.
        settings: `reports.settings.Settings(baseline=..., n=..., cost=..., margin=...)` and more; what it
            leaves open is the claim's.

    Raises:
        DirectoryError, TableError: one sentence each, for the user.
    """
    from reports.settings import Settings
    from reports.table.questions import check_names, check_values
    from reports.write import said, short_table, write_report

    asked = _gather(
        [Path(path) for path in paths], settings or Settings(), None if out is None else Path(out)
    )
    check_values(asked.settings)
    check_names(asked.settings, asked.table, asked.design, asked.source)
    if len(asked.table) > _MANY_TRIALS:
        (watcher or Silent()).say(f"Judging {len(asked.table):,} trials ...")
    page = write_report(
        asked.table,
        asked.out,
        design=asked.design,
        settings=asked.settings,
        histories=asked.histories,
        source=asked.source,
        notes=asked.notes,
    )
    arms = short_table(asked.table, design=asked.design, settings=asked.settings)
    return Report(page, arms, said(page))


def _gather(paths: Sequence[Path], settings: "Settings", out: Path | None) -> _Asked:
    """Reads runs and tables, as one."""
    from harness.results.joining import read_runs
    from reports.errors import TableError
    from reports.table.checks import score_columns
    from reports.table.joining import join_tables
    from reports.table.reading import read_table
    from reports.table.scores import settle_scores

    for path in paths:
        if not path.exists():
            raise TableError(f"{path}: found nothing; allowed are run directories and trial tables")
    directories = [path for path in paths if path.is_dir()]
    files = [path for path in paths if not path.is_dir()]
    folder = _report_folder(paths, directories, files, out)
    source = " + ".join(map(str, paths))
    if not directories:
        frames = [(str(path), read_table(path, score_columns(settings))) for path in files]
        frames, settings = settle_scores(frames, settings)
        table, notes = join_tables(frames, settings)
        return _Asked(table, None, None, notes, source, folder, settings)
    settled = [name for name in ("baseline", "n", "cost", "margin") if getattr(settings, name) is not None]
    runs = read_runs(directories, settled)
    notes = (*runs.notes, *_departures(settings, runs))
    if not files:
        _, settings = settle_scores([("the run", runs.table)], settings, runs.design.score)
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
    from reports.table.scores import settle_scores

    frames = [(str(path), read_table(path, score_columns(settings))) for path in files]
    if len(runs.table):
        frames.insert(0, ("the runs", runs.table))
    frames, settings = settle_scores(frames, settings, runs.design.score)
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


def _report_folder(paths: Sequence[Path], runs: list[Path], files: list[Path], out: Path | None) -> Path:
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
