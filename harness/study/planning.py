"""Study -> Plan: checks what a study's schema cannot, and draws the frozen trials."""

import dataclasses
import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from harness import attributes, registry
from harness.architectures.base import Examined
from harness.architectures.widths import ResizedNetwork
from harness.attributes import code_of
from harness.datasets import validation_count
from harness.datasets.base import DatasetFacts, DatasetSpec
from harness.datasets.resizing import resized_facts
from harness.design import ArmDesign
from harness.design_warnings import design_warnings
from harness.nearest import nearest
from harness.search.samplers import (
    Search,
    all_options,
    check_sampler,
    describe_sampler,
    draw_frozen,
    draw_paired,
    make_sampler,
    sampling_of,
)
from harness.search.space import Domain, Scalar
from harness.sizing.base import Cell, SizingMethod, checked_phases
from harness.study.lengths import span
from harness.study.origins import as_control, check_origins, draw_controls, in_order, origin_of
from harness.study.plan import (
    PLAN_VERSION,
    Arm,
    Plan,
    Trial,
    check_ranges,
    dataset_spec,
    entry_named,
    make_architecture,
    make_augmentation,
    make_cell,
    make_method,
    make_objective,
    points_of,
    wrong_sizes,
)
from harness.study.ranges import domain_like
from harness.study.replays import check_replays, plan_replays, replay_warnings
from harness.study.resized import initialise_of
from harness.study.schema import ArchitectureEntry, Dataset, Method, Sampler, Study, StudyError
from harness.study.searching import Choices, check_searched, choices, joined
from harness.study.seeds import check_repeats, check_splits
from harness.study.weights import check_weights, digest_of, with_weights_found

T = TypeVar("T")

#: More than any of Optuna's samplers draws at random before it learns, unless told.
_STARTUP_TRIALS = 10


def make_plan(
    study: Study,
    source: str,
    prepare: Callable[[DatasetSpec], DatasetFacts],
    version: int = PLAN_VERSION,
    begun: Mapping[str, ArmDesign] | None = None,
) -> Plan:
    """Plan a study.

    Args:
        source: the study file's name, for messages.
        prepare: gives the facts of a data set, decoding it if that was not yet done.
        version: of the rule for trials' ids (`Plan.version`).
        begun: arms of the plan that a run goes on with: what it says of samplers stays as it was.

    Raises:
        StudyError: one sentence that names file, field, what was found and what is allowed.
        DataError: from `prepare`.
    """
    plan = plan_arms(study, source, prepare, version, begun)
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
                plan.make_trial(arm, replicate, index, point, repeat=repeat)
                for repeat in range(arm.repeats)
                for index, point in enumerate(points)
            )
    frozen = draw_controls(plan, frozen)
    arms = {key: _with_lengths(plan, source, arm, frozen) for key, arm in plan.arms.items()}
    for arm in arms.values():
        _check_weights(plan, source, arm, frozen)
    found = design_warnings([arm.design() for arm in arms.values()], study.claim.n)
    warnings = *(warning.sentence for warning in found), *replay_warnings(study.training, plan.replays)
    warnings += tuple(dict.fromkeys(_resizing_warnings(plan)))
    return dataclasses.replace(plan, arms=arms, frozen=frozen, warnings=warnings)


def plan_arms(
    study: Study,
    source: str,
    prepare: Callable[[DatasetSpec], DatasetFacts],
    version: int = PLAN_VERSION,
    begun: Mapping[str, ArmDesign] | None = None,
) -> Plan:
    """Plan a study without drawing its trials; arguments and errors as in `make_plan`."""
    _check_names(study, source)
    if any(entry.weights_file is None for entry in study.architectures if entry.weights is not None):
        study = with_weights_found(study, source, None)
    facts, augmentation = {}, make_augmentation(study.training.augmentation)
    for index, wanted in enumerate(study.datasets):
        with _naming(source, f"datasets.{index}"):
            facts[wanted.name] = prepare(dataset_spec(wanted))
        with _naming(source, "training.resize"):
            facts[wanted.name] = resized_facts(facts[wanted.name], study.training.resize)
        with _naming(source, "training.validation_fraction"):
            examples = facts[wanted.name].train_examples
            validation_count(wanted.name, examples, study.training.validation_fraction, study.seeds.split)
        if augmentation is not None:
            with _naming(source, "training.augmentation"):
                augmentation.check(facts[wanted.name])
    with _naming(source, "training.task"):
        objective = make_objective(study)
        outputs = {}
        for name, found in facts.items():
            _ask(objective.check, found)
            outputs[name] = _ask(objective.outputs, found)
    arms: dict[str, Arm] = {}
    for dataset in study.datasets:
        for entry in study.architectures:
            about = facts[dataset.name], outputs[dataset.name]
            choosable = {
                method.name: choices(study, source, method, entry, *about) for method in study.trained_methods
            }
            with _naming(source, f"architectures.{entry.name}"):
                _check_architectures(entry, choosable.values(), *about)
            for method in study.trained_methods:
                choice = choosable[method.name]
                cell = make_cell(choice.widest, *about)
                arm = _make_arm(study, source, dataset, entry, method, cell, choice)
                if method.of is None:  # a control lies on the splits of its origin
                    check_splits(study, source, arm)
                with _naming(source, _sampler_place(method)):
                    arms[arm.key] = _with_sampler(arm, (begun or {}).get(arm.key))
    _check_overrides(study, source, arms)
    digests = {Path(path).name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in study.plugins}
    sources = {} if version == 1 else {key: _sources(study, arm, version) for key, arm in arms.items()}
    plan = Plan(
        study, facts, arms, digests, sources=sources, version=version, replays=plan_replays(study, arms)
    )
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
                architecture = entry_named(plan.study.architectures, arm.architecture)
                facts = plan.facts[arm.dataset]
                about = facts, plan.objective.outputs(facts)
                choice = choices(plan.study, source, entries[key], architecture, *about)
                cell = make_cell(choice.widest, *about)
                reach = _checked_reach(made, cell, arm.space, choice)
                arms[key] = dataclasses.replace(arm, reach=reach)
    return arms


def _check_architectures(
    entry: ArchitectureEntry, found: Iterable[Choices], facts: DatasetFacts, outputs: int
) -> None:
    """Hold every architecture that a trial may have against the data, and the entry against their layers."""
    entries: list[ArchitectureEntry] = []
    for each in found:
        entries += [candidate for candidate in each.entries if candidate not in entries]
    made = [make_architecture(candidate, facts.example_shape, outputs) for candidate in entries]
    # Ranges of networks that are cut may be written by any member or pattern: they were looked up.
    if not any(isinstance(each, ResizedNetwork) for each in made):
        check_ranges(entry, list(dict.fromkeys(name for each in made for name in each.sized_layers)))
    for candidate in entries:
        cell = make_cell(candidate, facts, outputs)
        cell.architecture.check(cell.example_shape)
        _examine(cell, facts)


def _resizing_warnings(plan: Plan) -> Iterator[str]:
    """What a cut may get wrong, of each network that is cut to its widths."""
    for arm in plan.arms.values():
        facts = plan.facts[arm.dataset]
        entry = entry_named(plan.study.architectures, arm.architecture)
        made = make_architecture(entry, facts.example_shape, plan.objective.outputs(facts))
        if isinstance(made, ResizedNetwork):
            yield from (f"{arm.architecture} is cut to its widths: {said}." for said in made.warnings)


def _examine(cell: Cell, facts: DatasetFacts) -> None:
    """Have networks looked at that nobody has read: of the least and of the largest sizes."""
    if not isinstance(cell.architecture, Examined):
        return
    least = {layer: bound.low for layer, bound in cell.bounds.items()}
    most = {layer: bound.high for layer, bound in cell.bounds.items()}
    if facts.target == "classes":  # of an example, or of each of its places
        wanted = [(cell.outputs, *facts.target_shape)]
    else:
        wanted = list(dict.fromkeys([(cell.outputs,), facts.target_shape or (cell.outputs,)]))
    cell.architecture.examine(cell.example_shape, cell.outputs, (least, most), wanted)


def _with_lengths(
    plan: Plan, source: str, arm: Arm, frozen: Mapping[tuple[str, int], Sequence[Trial]]
) -> Arm:
    """Ask for the phases of every trial, or of some points where trials are not known yet.

    How long a control trains is known when its origin has ended.
    """
    points = points_of(frozen, arm)
    method, lengths = plan.method(arm), []
    for params in points or draw_frozen(arm.space, "RandomSampler", {}, 0, _STARTUP_TRIALS):
        with _naming(source, f"architectures.{arm.architecture}"):
            cell = plan.cell(arm, params)  # of options in a long range only some were looked at
            cell.architecture.check(cell.example_shape)
        with _naming(source, f"methods.{arm.method}: phases with {arm.epochs} epochs"):
            phases = checked_phases(_ask(method.phases, params, plan.schedule(arm, params)))
        lengths.append(plan.length(arm, params, phases))
    if arm.origin is not None:
        return arm
    return dataclasses.replace(
        arm,
        epochs_planned=span([length.epochs for length in lengths]),
        examples=span([length.examples for length in lengths]),
    )


def _check_weights(
    plan: Plan, source: str, arm: Arm, frozen: Mapping[tuple[str, int], Sequence[Trial]]
) -> None:
    """Weights of a file are of one size: every trial must start with it. Two sizes show that one does not."""
    entry = entry_named(plan.study.architectures, arm.architecture)
    if entry.weights is None:
        return
    points = points_of(frozen, arm)
    method = plan.method(arm)
    with _naming(source, f"architectures.{entry.name}.weights, with {arm.method}"):
        tried = points or draw_frozen(arm.space, "RandomSampler", {}, 0, _STARTUP_TRIALS)
        starts = [
            (plan.architecture(arm, params), dict(_ask(method.start_sizes, plan.cell(arm, params), params)))
            for params in tried
        ]
        for start in starts[:1] + [start for start in starts if start != starts[0]][:1]:
            check_weights(plan.study, start[0], plan.cell(arm, tried[starts.index(start)]), [start[1]])


def _sources(study: Study, arm: Arm, version: int) -> dict[str, str]:
    """What of strangers' code the trials of an arm use; until version 3 without that of its data set."""
    dataset = entry_named(study.datasets, arm.dataset)
    method = entry_named(study.methods, arm.method)
    architecture = entry_named(study.architectures, arm.architecture)
    used: dict[str, str] = {}
    for kind, name in (
        ("methods", method.method or method.name),
        ("architectures", architecture.family or architecture.name),
        ("objectives", study.training.task.name),
        ("datasets", dataset.source or dataset.name),
    ):
        if kind == "datasets" and version < 3:
            continue
        origin = registry.origin(kind, name)
        if origin is not None:
            used |= code_of(origin)
    if initialise := initialise_of(architecture):
        used |= code_of(attributes.origin(initialise))
    if architecture.weights_file is not None:
        used[architecture.weights] = digest_of(architecture.weights_file)
    return used


def _check_names(study: Study, source: str) -> None:
    """Plug-ins, names and options of parts, before any data is touched."""
    named = {Path(file).name for file in study.named_files()}
    for plugin in study.plugins:
        with _naming(source, "plugins"):
            registry.load_file(Path(plugin), named=Path(plugin).name in named)
    with _naming(source, "training.task"):
        make_objective(study)
    for entry in study.architectures:
        with _naming(source, f"architectures.{entry.name}"):
            make_architecture(entry)
    for method in study.trained_methods:
        with _naming(source, f"methods.{method.name}"):
            make_method(method)
        with _naming(source, _sampler_place(method)):
            _check_search(method.sampler or study.sampler, study.paired)
    names = [(method.sampler or study.sampler).name for method in study.trained_methods if method.of is None]
    check_repeats(study, source, [(name, sampling_of(name)) for name in names])
    check_replays(study, source)
    check_searched(study, source)
    labels = [method.name for method in study.trained_methods]
    if study.claim.baseline not in labels:
        raise StudyError(
            f"{source}: claim.baseline: {study.claim.baseline!r} is no method of this study"
            f"{nearest(study.claim.baseline, labels)}"
        )
    check_origins(study, source)


def _make_arm(
    study: Study,
    source: str,
    dataset: Dataset,
    entry: ArchitectureEntry,
    method: Method,
    cell: Cell,
    choice: Choices,
) -> Arm:
    made = make_method(method)
    with _naming(source, f"methods.{method.name}"):
        space = dict(_ask(made.space, cell))
    for name in method.space.keys() & space.keys():
        with _naming(source, f"methods.{method.name}.space.{name}"):
            space[name] = domain_like(space[name], method.space[name])
    space = joined(source, method, space, choice.beside)
    with _naming(source, f"methods.{method.name}"):
        _check_takes_cell(made)
        reach = _checked_reach(made, cell, space, choice)
    sampler = method.sampler or study.sampler
    return Arm(
        key=f"{dataset.name}/{entry.name}/{method.name}",
        dataset=dataset.name,
        architecture=entry.name,
        method=method.name,
        sampler=sampler,
        sampler_text="",
        sampling=sampling_of(sampler.name),
        space=space,
        reach=reach,
        trials=method.trials or study.trials,
        epochs=entry.epochs or study.training.epochs,
        repeats=study.seeds.repeats,
    )


def _checked_reach(
    method: SizingMethod, cell: Cell, space: Mapping[str, Domain], choice: Choices
) -> dict[str, tuple[int, int]]:
    """What a method reaches in a space, if it and its architecture can do with that."""
    _ask(method.check, cell, space)
    reach = _ask(method.reach, cell, space)
    for layer, (low, high) in reach.items():
        if wrong := wrong_sizes(cell.architecture, layer, low, high):
            raise ValueError(f"space.{layer}: {wrong}")
    return {layer: (0 if layer in choice.at_times else low, high) for layer, (low, high) in reach.items()}


def _with_sampler(arm: Arm, begun: ArmDesign | None) -> Arm:
    """The arm with every option of its sampler: of the installed Optuna, or as in the plan of a run begun."""
    name, written = arm.sampler.name, arm.sampler.options
    if begun is None or not begun.sampler_options or not begun.sampler.startswith(f"{name}("):
        options, text = all_options(name, written, {}), describe_sampler(name, written)
    else:
        options, text = all_options(name, written, begun.sampler_options), begun.sampler
    return dataclasses.replace(arm, sampler_options=options, sampler_text=text)


def _sampler_place(method: Method) -> str:
    return "sampler" if method.sampler is None else f"methods.{method.name}.sampler"


def _check_takes_cell(method: SizingMethod) -> None:
    """Refuse a method that was written for the contract before cells were checked."""
    try:
        inspect.signature(method.check).bind("cell", "space")
    except TypeError as error:
        own = inspect.signature(method.check)
        raise ValueError(f"its check takes {own}; a method's check takes (cell, space)") from error


def _try_out(study: Study, source: str, arm: Arm) -> None:
    """Ask an adaptive arm's sampler past its random start: what is wrong with options shows only then."""
    with _naming(source, _sampler_place(entry_named(study.methods, arm.method))):
        try:
            search = Search(arm.space, make_sampler(arm.sampler.name, arm.sampler_options, seed=0))
            startup = arm.sampler_options.get("n_startup_trials", _STARTUP_TRIALS)
            points = search.ask(1 + startup if isinstance(startup, int) else 1)
            search.tell([0.1 * (1 + i % 7) for i in range(len(points))])
            search.ask(1)
        except (TypeError, AttributeError, ImportError) as error:
            options = ", ".join(f"{name}: {value}" for name, value in arm.sampler.options.items())
            raise ValueError(f"{arm.sampler.name} cannot search with {options}: {error}") from error


def _check_overrides(study: Study, source: str, arms: Mapping[str, Arm]) -> None:
    """A parameter that a method's entry overrides must be searched in at least one cell."""
    for method in study.trained_methods:
        known = {name for arm in arms.values() if arm.method == method.name for name in arm.space}
        for name in method.space:
            if name not in known:
                raise StudyError(
                    f"{source}: methods.{method.name}.space: nothing called {name!r} is searched"
                    f"{nearest(name, known)}"
                )


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
    return draw_frozen(arm.space, arm.sampler.name, arm.sampler_options, seed, arm.trials)


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
