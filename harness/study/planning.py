"""Study -> Plan: checks what a study's schema cannot, and draws the frozen trials."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from harness import registry
from harness.architectures.widths import ResizedNetwork
from harness.datasets import validation_count
from harness.datasets.base import DatasetFacts, DatasetSpec
from harness.datasets.resizing import resized_facts
from harness.design import ArmDesign
from harness.design_warnings import design_warnings
from harness.plugins import attributes
from harness.plugins.attributes import code_of
from harness.search.samplers import (
    all_options,
    describe_sampler,
    draw_frozen,
    draw_paired,
    sampling_of,
)
from harness.search.space import Domain, Scalar
from harness.sizing.base import Cell, SizingMethod, checked_phases
from harness.study.checking import (
    STARTUP_TRIALS,
    ask,
    check_architectures,
    check_names,
    check_overrides,
    check_start_weights,
    check_takes_cell,
    check_trials,
    naming,
    sampler_place,
    try_out,
)
from harness.study.controls import needed_by, registered_name, with_controls
from harness.study.lengths import span
from harness.study.making import (
    dataset_spec,
    entry_named,
    make_architecture,
    make_augmentation,
    make_cell,
    make_method,
    make_objective,
    wrong_sizes,
)
from harness.study.origins import as_control, draw_controls, in_order, origin_of
from harness.study.plan import PLAN_VERSION, Arm, Plan, Trial, points_of
from harness.study.ranges import domain_like
from harness.study.replays import plan_pruner, plan_replays, replay_warnings
from harness.study.resized import initialise_of
from harness.study.schema import ArchitectureEntry, Dataset, Method, Study
from harness.study.searching import Choices, choices, joined
from harness.study.seeds import check_splits
from harness.study.weights import digest_of, with_weights_found
from harness.trial_table import SEARCHED


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
        if arm.sampling in SEARCHED:
            try_out(study, source, arm)
            continue
        for replicate in range(arm.sampler.replicates):
            with naming(source, "sampler"):
                points = _draw(arm, plan.search_seed(arm, replicate), study.paired)
            frozen[arm.key, replicate] = tuple(
                plan.make_trial(arm, replicate, index, point, repeat=repeat)
                for repeat in range(arm.repeats)
                for index, point in enumerate(points)
            )
    frozen = draw_controls(plan, frozen)
    arms = {key: _with_lengths(plan, source, arm, frozen) for key, arm in plan.arms.items()}
    for arm in arms.values():
        check_start_weights(plan, source, arm, frozen)
    found = design_warnings([arm.design() for arm in arms.values()], study.claim.n)
    warnings = *(warning.sentence for warning in found), *replay_warnings(study)
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
    check_names(study, source)
    study = with_controls(study)
    check_names(study, source)
    check_trials(study, source)
    if any(entry.weights_file is None for entry in study.architectures if entry.weights is not None):
        study = with_weights_found(study, source, None)
    facts, augmentation = {}, make_augmentation(study.training.augmentation)
    for index, wanted in enumerate(study.datasets):
        with naming(source, f"datasets.{index}"):
            facts[wanted.name] = prepare(dataset_spec(wanted))
        with naming(source, "training.resize"):
            facts[wanted.name] = resized_facts(facts[wanted.name], study.training.resize)
        with naming(source, "training.validation_fraction"):
            examples = facts[wanted.name].train_examples
            validation_count(wanted.name, examples, study.training.validation_fraction, study.seeds.split)
        if augmentation is not None:
            with naming(source, "training.augmentation"):
                augmentation.check(facts[wanted.name])
    with naming(source, "training.task"):
        objective = make_objective(study)
        outputs = {}
        for name, found in facts.items():
            ask(objective.check, found)
            outputs[name] = ask(objective.outputs, found)
    arms: dict[str, Arm] = {}
    for dataset in study.datasets:
        for entry in study.architectures:
            about = facts[dataset.name], outputs[dataset.name]
            choosable = {
                method.name: choices(study, source, method, entry, *about) for method in study.trained_methods
            }
            with naming(source, f"architectures.{entry.name}"):
                check_architectures(entry, choosable.values(), *about)
            for method in study.trained_methods:
                choice = choosable[method.name]
                cell = make_cell(choice.widest, *about)
                arm = _make_arm(study, source, dataset, entry, method, cell, choice)
                if method.of is None:  # a control lies on the splits of its origin
                    check_splits(study, source, arm)
                with naming(source, sampler_place(method)):
                    arms[arm.key] = _with_sampler(arm, (begun or {}).get(arm.key))
                if method.pruner is not None:
                    with naming(source, f"methods.{method.name}.pruner"):
                        pruner = plan_pruner(method.pruner, (begun or {}).get(arm.key))
                    arms[arm.key] = dataclasses.replace(arms[arm.key], pruner=pruner)
    check_overrides(study, source, arms)
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
            with naming(source, f"methods.{arms[key].method}"):
                arm = as_control(arms[key], arms[origin], entries[key])
                architecture = entry_named(plan.study.architectures, arm.architecture)
                facts = plan.facts[arm.dataset]
                about = facts, plan.objective.outputs(facts)
                choice = choices(plan.study, source, entries[key], architecture, *about)
                cell = make_cell(choice.widest, *about)
                reach = _checked_reach(made, cell, arm.space, choice)
                arms[key] = dataclasses.replace(arm, reach=reach)
    return arms


def _resizing_warnings(plan: Plan) -> Iterator[str]:
    """What a cut may get wrong, of each network that is cut to its widths."""
    for arm in plan.arms.values():
        facts = plan.facts[arm.dataset]
        entry = entry_named(plan.study.architectures, arm.architecture)
        made = make_architecture(entry, facts.example_shape, plan.objective.outputs(facts))
        if isinstance(made, ResizedNetwork):
            yield from (f"{arm.architecture} is cut to its widths: {said}." for said in made.warnings)


def _with_lengths(
    plan: Plan, source: str, arm: Arm, frozen: Mapping[tuple[str, int], Sequence[Trial]]
) -> Arm:
    """Ask for the phases of every trial, or of some points where trials are not known yet.

    How long a control trains is known when its origin has ended.
    """
    points = points_of(frozen, arm)
    method, lengths = plan.method(arm), []
    for params in points or draw_frozen(arm.space, "RandomSampler", {}, 0, STARTUP_TRIALS):
        with naming(source, f"architectures.{arm.architecture}"):
            cell = plan.cell(arm, params)  # of options in a long range only some were looked at
            cell.architecture.check(cell.example_shape)
        with naming(source, f"methods.{arm.method}: phases with {arm.epochs} epochs"):
            phases = checked_phases(ask(method.phases, params, plan.schedule(arm, params)))
        lengths.append(plan.length(arm, params, phases))
    if arm.origin is not None:
        return arm
    return dataclasses.replace(
        arm,
        epochs_planned=span([length.epochs for length in lengths]),
        examples=span([length.examples for length in lengths]),
    )


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
    with naming(source, f"methods.{method.name}"):
        space = dict(ask(made.space, cell))
    for name in method.space.keys() & space.keys():
        with naming(source, f"methods.{method.name}.space.{name}"):
            space[name] = domain_like(space[name], method.space[name])
    space = joined(source, method, space, choice.beside)
    with naming(source, f"methods.{method.name}"):
        if made.needs_origin and method.of is None:
            raise ValueError("it begins from the trials of another arm; say which with of: METHOD")
        check_takes_cell(made)
        reach = _checked_reach(made, cell, space, choice)
    sampler = method.sampler or study.sampler
    return Arm(
        key=f"{dataset.name}/{entry.name}/{method.name}",
        dataset=dataset.name,
        architecture=entry.name,
        method=method.name,
        sampler=sampler,
        sampler_text="",
        # A replay is no arm: a pruner here is that of the arm's own search.
        sampling=sampling_of(sampler.name) if method.pruner is None else "pruned",
        space=space,
        reach=reach,
        trials=method.trials or study.trials,
        epochs=entry.epochs or study.training.epochs,
        repeats=study.seeds.repeats,
        registered=registered_name(method),
        controls=needed_by(method),
    )


def _checked_reach(
    method: SizingMethod, cell: Cell, space: Mapping[str, Domain], choice: Choices
) -> dict[str, tuple[int, int]]:
    """What a method reaches in a space, if it and its architecture can do with that."""
    ask(method.check, cell, space)
    reach = ask(method.reach, cell, space)
    for layer, (low, high) in reach.items():
        # Nothing is built with 0 units of a layer that is not searched: it can go with the block it is in.
        least = low if layer in space else max(1, low)
        if wrong := wrong_sizes(cell.architecture, layer, least, high):
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


def _draw(arm: Arm, seed: int, paired: bool) -> list[dict[str, Scalar]]:
    if paired:
        return draw_paired(arm.space, seed, arm.trials)
    return draw_frozen(arm.space, arm.sampler.name, arm.sampler_options, seed, arm.trials)
