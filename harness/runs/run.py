"""Runs a study into a directory: Plan + executor + record store, with progress and resumption."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from harness.datasets import prepare
from harness.datasets.base import DataError, data_root
from harness.records.directory import DirectoryError, RunDirectory
from harness.runs.dealing import Dealer
from harness.runs.executors.base import EngineFaultError, Executor, ExecutorError, ResourcesError
from harness.study.file import find_study, load_study
from harness.study.origins import controls_of
from harness.study.parts import StudyError
from harness.study.plan import PLAN_VERSION, Plan
from harness.study.planning import make_plan
from harness.study.schema import Study
from harness.study.weights import with_weights_found
from harness.study.written import WrittenPlan
from harness.training.surroundings import kept
from harness.watching import Silent, Watcher


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What `harness run` was asked for.

    data_root: folder of the data sets, None for the cache's own. only: patterns of the arms to run; none for
    all. certify: measure how much each edit changes a network's output.
    """

    source: "str | Study"
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


def plan_study(source: str | Study, data_root: Path | None, name: str | None = None) -> Plan:
    """Plan a study: one that was loaded, a file's, or a shipped one's by its name.

    Args:
        name: of the file that a study was loaded from, for messages; unless given, its own.

    Raises:
        StudyError, DataError: one sentence each.
    """
    study = source if isinstance(source, Study) else load_study(source)
    return _planned(study, _name_of(name or source), data_root, None)


@kept()  # a method is asked in planning too, and what it sets there would be set for every inline trial
def _planned(study: Study, source: str, data_root: Path | None, begun: WrittenPlan | None) -> Plan:
    # Workers load the same files, wherever they were started.
    files = [str(Path(plugin).resolve()) for plugin in study.plugins]
    study = study.model_copy(update={"plugins": files})
    if study.datasets[0].study_folder is None:  # made in Python: as if its file lay where that runs
        study = study.lying_in(Path.cwd())
    study = with_weights_found(study, source, data_root)
    version, arms = (PLAN_VERSION, None) if begun is None else (begun.plan_version, begun.arms)
    return make_plan(study, source, lambda spec: prepare(spec, data_root), version, arms)


def plan(study: Study | Path | str, data: Path | str | None = None) -> Plan:
    """What a study would run, without running it: `harness plan`.

    Args:
        study: one that was loaded, a file, or a shipped one's name.
        data: folder of the data sets; unless given, HARNESS_DATA's.

    Raises:
        StudyError, DataError: one sentence each.
    """
    return plan_study(study if isinstance(study, Study) else str(study), data_root(data))


def run(
    study: Study | Path | str,
    out: Path | str | None = None,
    *,
    executor: Literal["ray", "inline"] = "ray",
    address: str | None = None,
    data: Path | str | None = None,
    max_hours: float | None = None,
    only: str | Sequence[str] = (),
    certify: bool = False,
    watcher: Watcher | None = None,
) -> RunResult:
    """Run a study, or go on with it: `harness run`, without the report.

    Args:
        study: one that was loaded, a file, or a shipped one's name.
        out: directory of the run; runs/NAME unless given. If it holds this study, the run goes on.
        executor: "ray" for all cores and GPUs, "inline" for this process.
        address: of a running Ray cluster; unless given, one starts here.
        data: folder of the data sets; unless given, HARNESS_DATA's.
        max_hours: begin no trial after this time.
        only: a pattern of the arms to run, such as "mnist/mlp/*", or several; all unless given.
        certify: measure how much each edit changes a network's output; takes training time.
        watcher: is told what happens; nobody unless given.

    Raises:
        StudyError, DataError, DirectoryError, ExecutorError: one sentence each.
    """
    if executor not in ("ray", "inline"):
        raise ExecutorError(f"executor: {executor!r} found; allowed: ray, inline")
    request = RunRequest(
        study if isinstance(study, Study) else str(study),
        None if out is None else Path(out),
        executor,
        address,
        data_root(data),
        max_hours,
        (only,) if isinstance(only, str) else tuple(only),
        certify,
    )
    return run_study(request, watcher or Silent())


def _name_of(source: str | Study) -> str:
    """What messages call a study: its file, or its own name."""
    return source.name if isinstance(source, Study) else str(find_study(source))


def run_study(request: RunRequest, watcher: Watcher) -> RunResult:
    """Run what the plan has and the directory's records lack.

    Raises:
        StudyError, DataError, DirectoryError, ExecutorError: one sentence each, for the user. A DataError of
            data that became unreadable comes when all other arms have run.
        KeyboardInterrupt: with all workers stopped and every finished trial recorded.
    """
    deadline = None if request.max_hours is None else time.monotonic() + request.max_hours * 3600
    study = request.source if isinstance(request.source, Study) else load_study(request.source)
    # Absolute, because workers run in folders of their own.
    directory = RunDirectory((request.out or Path("runs") / study.name).resolve())
    is_new = not directory.plan_file.exists()
    begun = None if is_new else directory.read_plan()
    plan = _planned(study, _name_of(request.source), request.data_root, begun)
    chosen = _chosen_arms(plan, request.only)
    if request.certify and plan.study.claim.cost in ("train_seconds", "total_train_seconds"):
        raise StudyError(
            f"--certify: certificates take training time, and {plan.study.claim.cost} are the cost of this "
            "study's claim; leave --certify out, or claim in train_flops"
        )
    if directory.open_for(plan):
        watcher.say(f"Note: {directory.plan_file} was lost, and is written again: the records fit this study")
    if not is_new and (sentence := directory.begun_otherwise()):
        watcher.say(f"Note: {sentence}")
    try:
        return _run_into(directory, plan, chosen, request, watcher, deadline)
    except ExecutorError as error:
        if is_new and not isinstance(error, EngineFaultError):  # which has left a traceback to be read
            directory.remove_unused()
        if isinstance(error, ResourcesError):
            raise ExecutorError(f"{_name_of(request.source)}: {error}") from error
        raise


def _run_into(
    directory: RunDirectory,
    plan: Plan,
    chosen: set[str],
    request: RunRequest,
    watcher: Watcher,
    deadline: float | None,
) -> RunResult:
    with directory.locked():
        for warning in plan.warnings:
            watcher.say(f"Note: {warning}")
        directory.running.clear()
        records, others = directory.read_records_for(plan)
        dealer = Dealer(plan, records, directory.log.starts(), chosen)
        for trial_id, wrong in others.items():
            aside = directory.store.set_aside(trial_id)
            then = (
                ", its trial runs again" if trial_id in dealer.trials else "; the plan has no such trial yet"
            )
            watcher.say(f"Record {trial_id} {wrong}; it was set aside as {aside}{then}")
        _refuse_strangers(dealer, directory)
        _refuse_controls_alone(dealer, chosen)
        if not dealer.finished:
            with _executor(request, plan, directory) as executor:
                watcher.begin(dealer, executor.workers)
                try:
                    executor.run(dealer, watcher.recorded, deadline)
                finally:
                    watcher.end()
                    directory.running.clear()
            _refuse_strangers(dealer, directory)
            _tell_unreadable(dealer)
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


def _refuse_controls_alone(dealer: Dealer, chosen: set[str]) -> None:
    """Arms that begin from the trials of others need these chosen too, or done."""
    arms, done = dealer.plan.arms, Counter(record.arm for record in dealer.records.values())
    for key in (key for key in arms if key in chosen and done[key] < arms[key].planned_trials):
        origin = arms[key].origin
        while origin is not None:
            trials = arms[key].trials
            there = sum(r.arm == origin and r.index < trials for r in dealer.records.values())
            missing = arms[key].planned_trials - there
            if missing and origin not in chosen:
                raise StudyError(
                    f"--only: {key} begins from the trials of {origin}, of which {missing} have no record "
                    f"yet; choose {origin} as well, or run it first"
                )
            origin = arms[origin].origin


def _tell_unreadable(dealer: Dealer) -> None:
    """At the end of a run in which the data of some arms could not be read; all others have run."""
    sentences = []
    for dataset, why in dealer.unreadable.items():
        stopped = [key for key, arm in dealer.plan.arms.items() if arm.dataset == dataset]
        stopped += [control for key in stopped for control in controls_of(dealer.plan, key)]
        arms = ", ".join(dict.fromkeys(stopped))
        sentences.append(f"{why} (so these arms were stopped: {arms})")
    if sentences:
        raise DataError("; ".join(sentences))


def _refuse_strangers(dealer: Dealer, directory: RunDirectory) -> None:
    """Records that the plan cannot explain: an adaptive sampler no longer asks for what it asked for."""
    strangers = dealer.strangers()
    if strangers:
        raise DirectoryError(
            f"{directory.path} holds {len(strangers)} record(s) of no trial of this plan, such as "
            f"{strangers[0]}: another version of Optuna drew them; install that one, or choose another "
            "directory with --out"
        )
