"""Runs a study into a directory: Plan + executor + record store, with progress and resumption."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from rich.console import Console

from harness.datasets import prepare
from harness.runs.dealing import Dealer
from harness.runs.executors.base import Executor, ExecutorError, ResourcesError
from harness.study.plan import Plan
from harness.study.planning import make_plan
from harness.cli.views.progress import Progress
from harness.records.directory import DirectoryError, RunDirectory
from harness.study.schema import StudyError
from harness.study.file import find_study, load_study


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What `harness run` was asked for.

    data_root: folder of the data sets, None for the cache's own. only: patterns of the arms to run; none for
    all. certify: measure how much each edit changes a network's output.
    """

    source: str
    out: Path | None = None
    executor: Literal["ray", "inline"] = "ray"
    address: str | None = None
    data_root: Path | None = None
    max_hours: float | None = None
    only: tuple[str, ...] = ()
    certify: bool = False


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. complete: every trial of the plan has its record."""

    directory: RunDirectory
    plan: Plan
    done: int

    @property
    def complete(self) -> bool:
        return self.done == self.plan.planned_trials


def plan_study(source: str, data_root: Path | None) -> Plan:
    """Read a study and plan it. Raises StudyError, DataError."""
    study = load_study(source)
    return make_plan(study, str(find_study(source)), lambda spec: prepare(spec, data_root))


def run_study(request: RunRequest, console: Console) -> RunResult:
    """Run what the plan has and the directory's records lack.

    Raises:
        StudyError, DataError, DirectoryError, ExecutorError: one sentence each, for the user.
        KeyboardInterrupt: with all workers stopped and every finished trial recorded.
    """
    deadline = None if request.max_hours is None else time.monotonic() + request.max_hours * 3600
    plan = plan_study(request.source, request.data_root)
    chosen = _chosen_arms(plan, request.only)
    if request.certify and plan.study.claim.cost == "train_seconds":
        raise StudyError(
            "--certify: certificates take training time, and train_seconds are the cost of this study's "
            "claim; leave --certify out, or claim in train_flops"
        )
    # Absolute, because workers run in folders of their own.
    directory = RunDirectory((request.out or Path("runs") / plan.study.name).resolve())
    is_new = not directory.plan_file.exists()
    directory.open_for(plan)
    try:
        return _run_into(directory, plan, chosen, request, console, deadline)
    except ExecutorError as error:
        if is_new:
            directory.remove_unused()
        if isinstance(error, ResourcesError):
            raise ExecutorError(f"{find_study(request.source)}: {error}") from error
        raise


def _run_into(
    directory: RunDirectory,
    plan: Plan,
    chosen: set[str],
    request: RunRequest,
    console: Console,
    deadline: float | None,
) -> RunResult:
    with directory.locked():
        for warning in plan.warnings:
            console.print(f"Note: {warning}", markup=False)
        records, damaged = directory.store.read_all()
        dealer = Dealer(plan, records, directory.log.starts(), chosen)
        for trial_id, wrong in damaged.items():
            aside = directory.store.set_aside(trial_id)
            then = (
                ", its trial runs again" if trial_id in dealer.trials else "; the plan has no such trial yet"
            )
            console.print(f"Record {trial_id} {wrong}; it was set aside as {aside}{then}", markup=False)
        _refuse_strangers(dealer, directory)
        if not dealer.finished:
            with _executor(request, plan, directory) as executor:
                progress = Progress(dealer, executor.workers, console)
                with progress.shown():
                    executor.run(dealer, progress.on_record, deadline)
            _refuse_strangers(dealer, directory)
        return RunResult(directory, plan, dealer.done)


@contextmanager
def _executor(request: RunRequest, plan: Plan, directory: RunDirectory) -> Iterator[Executor]:
    # Imported here, so that each executor's libraries are needed only where it is used.
    if request.executor == "inline":
        from harness.runs.executors.inline import InlineExecutor

        yield InlineExecutor(plan, request.data_root, directory, request.certify)
    else:
        from harness.runs.executors.ray.executor import connected

        with connected(plan, request.data_root, directory, request.certify, request.address) as executor:
            yield executor


def _chosen_arms(plan: Plan, patterns: tuple[str, ...]) -> set[str]:
    """Keys of the arms that match any of the patterns; all if there are none."""
    chosen = {key for key in plan.arms for pattern in patterns or ("*",) if fnmatchcase(key, pattern)}
    if not chosen:
        raise StudyError(f"--only {' '.join(patterns)}: matches no arm; arms: {', '.join(plan.arms)}")
    return chosen


def _refuse_strangers(dealer: Dealer, directory: RunDirectory) -> None:
    """Records that the plan cannot explain: an adaptive sampler no longer asks for what it asked for."""
    strangers = dealer.strangers()
    if strangers:
        raise DirectoryError(
            f"{directory.path} holds {len(strangers)} record(s) of no trial of this plan, such as "
            f"{strangers[0]}: another version of Optuna drew them; install that one, or choose another "
            "directory with --out"
        )
