"""The command `harness report`: on a run, on several, on anyone's trial tables."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.terminal import say, terminal
from harness.design import score_text

if TYPE_CHECKING:
    from harness.reporting import Report
    from reports.description.summary import ArmSummary


# Long because its options are its signature.
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
    validation_column: Annotated[
        str | None, typer.Option(help="Column that selects; val_accuracy unless given.")
    ] = None,
    test_column: Annotated[
        str | None, typer.Option(help="Column that is reported; test_accuracy unless given.")
    ] = None,
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="The score is a loss or an error.")
    ] = False,
    confidence: Annotated[float, typer.Option(help="Level of all intervals.")] = 0.95,
    seed: Annotated[int | None, typer.Option(help="Seed of permutations and bootstrap.")] = None,
) -> None:
    """Write the report of a run, finished or not, of several runs, or of anyone's trial tables."""
    from harness.cli.views.progress import TerminalWatcher
    from harness.reporting import report as write
    from reports.settings import Settings
    from reports.table.questions import name_scores, parse_target

    console = terminal()
    columns = name_scores(validation_column, test_column)
    settings = Settings(
        baseline=baseline,
        methods=tuple(dict.fromkeys(method or ())),
        n=n,
        cost=cost,
        margin=margin,
        targets=tuple(parse_target(text) for text in target or ()),
        failed_score=failed_score,
        score=score or columns[1].removeprefix("test_"),
        validation_column=columns[0],
        test_column=columns[1],
        lower_is_better=lower_is_better,
        confidence=confidence,
    )
    if seed is not None:
        settings = replace(settings, seed=seed)
    show_report(write(*paths, out=out, settings=settings, watcher=TerminalWatcher(console)), console)


def show_report(report: "Report", console: Console) -> None:
    """A row an arm (trials, medians, what the best by validation came to), the answer, the report's place."""
    shown = Table(box=None, pad_edge=False)
    shown.add_column("arm")
    headings = ["trials", "failed", "median val", "median test", "best by val: test", "its parameters"]
    # Parameters say nothing of a network whose weights were deleted one by one, nor trials of their length.
    is_sparse = any(_nonzeros(arm) < (arm.parameters_median or 0) for arm in report.arms)
    differ = len({arm.epochs_median for arm in report.arms if arm.epochs_median is not None}) > 1
    headings += ["median not zero"] * is_sparse + ["median epochs"] * differ
    for heading in headings:
        shown.add_column(heading, justify="right")
    for arm in report.arms:
        shown.add_row(
            Text(f"{arm.dataset}/{arm.architecture}/{arm.method}"),
            str(arm.trials),
            str(arm.failed),
            *(_score(value) for value in (arm.val_median, arm.test_median)),
            _score(arm.best_test) + (f" (mean of {arm.best_ties} tied)" if arm.best_ties > 1 else ""),
            _count(arm.best_parameters),
            *[_count(arm.size_medians.get("nonzeros", arm.parameters_median))] * is_sparse,
            *["" if arm.epochs_median is None else f"{arm.epochs_median:g}"] * differ,
        )
    console.print(shown)
    for sentence in report.said:
        say(console, sentence)
    say(console, f"Report: {report.page}")


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _nonzeros(arm: "ArmSummary") -> float:
    return arm.size_medians.get("nonzeros", math.inf)


def _score(value: float | None) -> str:
    return "" if value is None else score_text(value)
