"""Study -> Plan: checks what a study's schema cannot, and draws the frozen trials."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from harness import registry
from harness.architectures.base import Examined
from harness.datasets import validation_count
from harness.datasets.base import DatasetFacts, DatasetSpec
from harness.design_warnings import design_warnings
from harness.nearest import nearest
from harness.search.samplers import (
    Search,
    check_sampler,
    describe_sampler,
    draw_frozen,
    draw_paired,
    make_sampler,
    sampling_of,
)
from harness.search.space import Choice, Domain, Float, Int, Scalar
from harness.sizing.base import Cell, checked_phases
from harness.sources import is_installed, sources_of
from harness.study.origins import as_control, check_origins, draw_controls, in_order, origin_of
from harness.study.plan import (
    PLAN_VERSION,
    Arm,
    Plan,
    Trial,
    dataset_spec,
    entry_named,
    make_architecture,
    make_cell,
    make_method,
    make_objective,
)
from harness.study.schema import ArchitectureEntry, Dataset, Method, Range, Sampler, Study, StudyError

T = TypeVar("T")

#: More than any of Optuna's samplers draws at random before it learns, unless told.
_STARTUP_TRIALS = 10


def make_plan(
    study: Study,
    source: str,
    prepare: Callable[[DatasetSpec], DatasetFacts],
    version: int = PLAN_VERSION,
) -> Plan:
    """Plan a study.

    Args:
        source: the study file's name, for messages.
        prepare: gives the facts of a data set, decoding it if that was not yet done.
        version: of the rule for trials' ids (`Plan.version`).

    Raises:
        StudyError: one sentence that names file, field, what was found and what is allowed.
        DataError: from `prepare`.
    """
    plan = plan_arms(study, source, prepare, version)
    frozen = {}
    for arm in plan.arms.values():
        if arm.origin is not None:
            continue
        if arm.sampling == "adaptive":
            _try_out(study, source, arm)
            continue
        for replicate in range(arm.sampler.replicates):
            with _naming(source, "sampler"):
                points = _draw(arm, plan.search_seed(arm, replicate), study.paired)
            frozen[arm.key, replicate] = tuple(
                plan.make_trial(arm, replicate, index, point) for index, point in enumerate(points)
            )
    frozen = draw_controls(plan, frozen)
    for arm in plan.arms.values():
        _check_phases(plan, source, arm, frozen)
    found = design_warnings([arm.design() for arm in plan.arms.values()], study.claim.n)
    return dataclasses.replace(plan, frozen=frozen, warnings=tuple(warning.sentence for warning in found))


def plan_arms(
    study: Study,
    source: str,
    prepare: Callable[[DatasetSpec], DatasetFacts],
    version: int = PLAN_VERSION,
) -> Plan:
    """Plan a study without drawing its trials; arguments and errors as in `make_plan`."""
    _check_names(study, source)
    facts = {}
    for index, wanted in enumerate(study.datasets):
        with _naming(source, f"datasets.{index}"):
            facts[wanted.name] = prepare(dataset_spec(wanted))
        with _naming(source, "training.validation_fraction"):
            examples = facts[wanted.name].train_examples
            validation_count(wanted.name, examples, study.training.validation_fraction, study.seeds.split)
    with _naming(source, "training.task"):
        objective = make_objective(study)
        outputs = {}
        for name, found in facts.items():
            _ask(objective.check, found)
            outputs[name] = _ask(objective.outputs, found)
    arms: dict[str, Arm] = {}
    for dataset in study.datasets:
        for entry in study.architectures:
            with _naming(source, f"architectures.{entry.name}"):
                cell = make_cell(entry, facts[dataset.name], outputs[dataset.name])
                cell.architecture.check(cell.example_shape)
                _examine(cell)
            for method in study.methods:
                arm = _make_arm(study, source, dataset, entry, method, cell)
                arms[arm.key] = arm
    _check_overrides(study, source, arms)
    digests = {Path(path).name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in study.plugins}
    sources = {} if version == 1 else {key: _sources(study, arm) for key, arm in arms.items()}
    plan = Plan(study, facts, arms, digests, sources=sources, version=version)
    return dataclasses.replace(plan, arms=_with_origins(plan, source))


def _with_origins(plan: Plan, source: str) -> dict[str, Arm]:
    """The arms, those that begin from another's trials with what they share with it."""
    entries = {key: entry_named(plan.study.methods, arm.method) for key, arm in plan.arms.items()}
    origins = {key: origin_of(entries[key], arm.dataset, arm.architecture) for key, arm in plan.arms.items()}
    arms = dict(plan.arms)
    for key in in_order(origins):
        origin, made = origins[key], plan.method(arms[key])
        if origin is not None:
            with _naming(source, f"methods.{arms[key].method}"):
                arm = as_control(arms[key], arms[origin], entries[key])
                _ask(made.check, arm.space)
                reach = _ask(made.reach, plan.cell(arm), arm.space)
                arms[key] = dataclasses.replace(arm, reach=reach)
    return arms


def _examine(cell: Cell) -> None:
    """Have networks looked at that nobody has read: of the least and of the largest sizes."""
    if isinstance(cell.architecture, Examined):
        ends = [
            {layer: getattr(bound, end) for layer, bound in cell.bounds.items()} for end in ("low", "high")
        ]
        cell.architecture.examine(cell.example_shape, cell.outputs, ends)


def _check_phases(
    plan: Plan, source: str, arm: Arm, frozen: Mapping[tuple[str, int], Sequence[Trial]]
) -> None:
    """Ask for the phases of every trial, or of some points where trials are not known yet."""
    points = [trial.params for (key, _), trials in frozen.items() if key == arm.key for trial in trials]
    method, schedule = plan.method(arm), plan.schedule(arm)
    with _naming(source, f"methods.{arm.method}: phases with {schedule.epochs} epochs"):
        for params in points or draw_frozen(arm.space, "RandomSampler", {}, 0, _STARTUP_TRIALS):
            checked_phases(_ask(method.phases, params, schedule))


def _sources(study: Study, arm: Arm) -> dict[str, str]:
    """What of strangers' code the trials of an arm use."""
    method = entry_named(study.methods, arm.method)
    architecture = entry_named(study.architectures, arm.architecture)
    used: dict[str, str] = {}
    for kind, name in (
        ("methods", method.method or method.name),
        ("architectures", architecture.family or architecture.name),
        ("objectives", study.training.task.name),
    ):
        origin = registry.origin(kind, name)
        if origin is None:
            continue
        if origin.package is not None and origin.version is not None:
            used[origin.package] = origin.version
        if origin.file is not None and not is_installed(origin.file):
            used |= sources_of(origin.file, origin.module.rpartition(".")[0])
    return used


def _check_names(study: Study, source: str) -> None:
    """Plug-ins, names and options of parts, before any data is touched."""
    named = {Path(file).name for file in study.named_files()}
    for plugin in study.plugins:
        with _naming(source, "plugins"):
            registry.load_file(Path(plugin), named=Path(plugin).name in named)
            registry.load_file(Path(plugin))
    with _naming(source, "training.task"):
        make_objective(study)
    for entry in study.architectures:
        with _naming(source, f"architectures.{entry.name}"):
            make_architecture(entry)
    for method in study.methods:
        with _naming(source, f"methods.{method.name}"):
            make_method(method)
        with _naming(source, "sampler" if method.sampler is None else f"methods.{method.name}.sampler"):
            _check_search(method.sampler or study.sampler, study.paired)
    labels = [method.name for method in study.methods]
    if study.claim.baseline not in labels:
        raise StudyError(
            f"{source}: claim.baseline: {study.claim.baseline!r} is no method of this study"
            f"{nearest(study.claim.baseline, labels)}"
        )
    check_origins(study, source)


def _make_arm(
    study: Study, source: str, dataset: Dataset, entry: ArchitectureEntry, method: Method, cell: Cell
) -> Arm:
    made = make_method(method)
    with _naming(source, f"methods.{method.name}"):
        space = dict(_ask(made.space, cell))
    for name in method.space.keys() & space.keys():
        with _naming(source, f"methods.{method.name}.space.{name}"):
            space[name] = _override(space[name], method.space[name])
    with _naming(source, f"methods.{method.name}"):
        _ask(made.check, space)
        reach = _ask(made.reach, cell, space)
        for layer, (low, _) in reach.items():
            if low < 1:
                raise ValueError(f"space.{layer}: a layer needs at least 1 unit, found {low}")
    sampler = method.sampler or study.sampler
    return Arm(
        key=f"{dataset.name}/{entry.name}/{method.name}",
        dataset=dataset.name,
        architecture=entry.name,
        method=method.name,
        sampler=sampler,
        sampler_text=describe_sampler(sampler.name, sampler.options),
        sampling=sampling_of(sampler.name),
        space=space,
        reach=reach,
        trials=method.trials or study.trials,
        epochs=entry.epochs or study.training.epochs,
    )


def _try_out(study: Study, source: str, arm: Arm) -> None:
    """Ask an adaptive arm's sampler past its random start: what is wrong with options shows only then."""
    own = entry_named(study.methods, arm.method).sampler is not None
    with _naming(source, f"methods.{arm.method}.sampler" if own else "sampler"):
        try:
            search = Search(arm.space, make_sampler(arm.sampler.name, arm.sampler.options, seed=0))
            startup = arm.sampler.options.get("n_startup_trials", _STARTUP_TRIALS)
            points = search.ask(1 + startup if isinstance(startup, int) else 1)
            search.tell([0.1 * (1 + i % 7) for i in range(len(points))])
            search.ask(1)
        except (TypeError, AttributeError, ImportError) as error:
            options = ", ".join(f"{name}: {value}" for name, value in arm.sampler.options.items())
            raise ValueError(f"{arm.sampler.name} cannot search with {options}: {error}") from error


def _check_overrides(study: Study, source: str, arms: Mapping[str, Arm]) -> None:
    """A parameter that a method's entry overrides must be searched in at least one cell."""
    for method in study.methods:
        known = {name for arm in arms.values() if arm.method == method.name for name in arm.space}
        for name in method.space:
            if name not in known:
                raise StudyError(
                    f"{source}: methods.{method.name}.space: nothing called {name!r} is searched"
                    f"{nearest(name, known)}"
                )


def _override(default: Domain, written: Any) -> Domain:
    """The range a study writes in place of a method's own; its kind stays the method's."""
    if isinstance(written, Range):
        if isinstance(default, Choice):
            raise ValueError("a range was found where only a list of values fits")
        if isinstance(default, Float):
            return Float(written.low, written.high, written.log)
        if written.low != int(written.low) or written.high != int(written.high):
            raise ValueError(f"whole numbers are needed, found low {written.low:g}, high {written.high:g}")
        return Int(int(written.low), int(written.high), written.log)
    options: list[Scalar] = written if isinstance(written, list) else [written]
    if isinstance(default, Choice):
        return Choice(tuple(options))
    fits, kind = ((int, float), "a number") if isinstance(default, Float) else ((int,), "a whole number")
    for option in options:
        if isinstance(option, bool) or not isinstance(option, fits):
            raise ValueError(f"{kind} is needed, found {option!r}")
    return Choice(tuple(float(option) if isinstance(default, Float) else option for option in options))


def _check_search(sampler: Sampler, paired: bool) -> None:
    check_sampler(sampler.name, sampler.options)
    if sampling_of(sampler.name) == "adaptive" and sampler.round_size is None:
        raise ValueError(
            f"{sampler.name} learns from results, so it needs round_size: the trials asked for at once"
        )
    if paired and sampler.name != "RandomSampler":
        raise ValueError(f"paired arms need RandomSampler, found {sampler.name}")


def _draw(arm: Arm, seed: int, paired: bool) -> list[dict[str, Scalar]]:
    if paired:
        return draw_paired(arm.space, seed, arm.trials)
    return draw_frozen(arm.space, arm.sampler.name, arm.sampler.options, seed, arm.trials)


def _ask(question: Callable[..., T], *about: Any) -> T:
    """Ask a method, which may be a stranger's: whatever it raises is told as its answer."""
    try:
        return question(*about)
    except ValueError:
        raise
    except Exception as error:
        where = getattr(question, "__qualname__", "the method")
        raise ValueError(f"{where} raised {type(error).__name__}: {error}") from error


@contextmanager
def _naming(source: str, where: str) -> Iterator[None]:
    """Name file and field in whatever a part finds wrong with what was written there."""
    try:
        yield
    except ValueError as error:
        raise StudyError(f"{source}: {where}: {error}") from error
