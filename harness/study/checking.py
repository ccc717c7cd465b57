"""What a study's schema cannot check: names, options, networks and what methods answer. One sentence each."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from harness import registry
from harness.architectures.base import Examined
from harness.architectures.widths import ResizedNetwork
from harness.datasets.base import DatasetFacts
from harness.nearest import nearest
from harness.search.samplers import Search, check_sampler, draw_frozen, make_sampler, sampling_of
from harness.sizing.base import Cell, SizingMethod
from harness.study.limits import MOST_TRIALS
from harness.study.making import (
    check_ranges,
    entry_named,
    make_architecture,
    make_cell,
    make_method,
    make_objective,
)
from harness.study.origins import check_origins
from harness.study.parts import StudyError
from harness.study.plan import Arm, Plan, Trial, points_of
from harness.study.replays import check_replays
from harness.study.schema import ArchitectureEntry, Method, Sampler, Study
from harness.study.searching import Choices, check_searched
from harness.study.seeds import check_repeats
from harness.study.weights import check_weights

T = TypeVar("T")


#: More than any of Optuna's samplers draws at random before it learns, unless told.
STARTUP_TRIALS = 10


def check_architectures(
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


def check_start_weights(
    plan: Plan, source: str, arm: Arm, frozen: Mapping[tuple[str, int], Sequence[Trial]]
) -> None:
    """Weights of a file are of one size: every trial must start with it. Two sizes show that one does not."""
    entry = entry_named(plan.study.architectures, arm.architecture)
    if entry.weights is None:
        return
    points = points_of(frozen, arm)
    method = plan.method(arm)
    with naming(source, f"architectures.{entry.name}.weights, with {arm.method}"):
        tried = points or draw_frozen(arm.space, "RandomSampler", {}, 0, STARTUP_TRIALS)
        starts = [
            (plan.architecture(arm, params), dict(ask(method.start_sizes, plan.cell(arm, params), params)))
            for params in tried
        ]
        for start in starts[:1] + [start for start in starts if start != starts[0]][:1]:
            check_weights(plan.study, start[0], plan.cell(arm, tried[starts.index(start)]), [start[1]])


def check_names(study: Study, source: str) -> None:
    """Plug-ins, names and options of parts, before any data is touched."""
    named = {Path(file).name for file in study.named_files()}
    with naming(source, "plugins"):
        registry.load_study_files(map(Path, study.plugins), named=lambda file: file.name in named)
    with naming(source, "training.task"):
        make_objective(study)
    for entry in study.architectures:
        with naming(source, f"architectures.{entry.name}"):
            make_architecture(entry)
    for method in study.trained_methods:
        with naming(source, f"methods.{method.name}"):
            make_method(method)
        with naming(source, sampler_place(method)):
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


def check_trials(study: Study, source: str) -> None:
    """A study that asks for more trials than can be planned is refused before any is drawn."""
    cells = len(study.datasets) * len(study.architectures)
    total = sum(
        cells
        * (method.trials or study.trials)
        * (method.sampler or study.sampler).replicates
        * study.seeds.repeats
        for method in study.trained_methods
    )
    if total > MOST_TRIALS:
        raise StudyError(
            f"{source}: trials: {total:,} are asked for in all arms together; up to {MOST_TRIALS:,} are "
            "planned"
        )


def sampler_place(method: Method) -> str:
    return "sampler" if method.sampler is None else f"methods.{method.name}.sampler"


def check_takes_cell(method: SizingMethod) -> None:
    """Refuse a method that was written for the contract before cells were checked."""
    try:
        inspect.signature(method.check).bind("cell", "space")
    except TypeError as error:
        own = inspect.signature(method.check)
        raise ValueError(f"its check takes {own}; a method's check takes (cell, space)") from error


def try_out(study: Study, source: str, arm: Arm) -> None:
    """Ask an adaptive arm's sampler past its random start: what is wrong with options shows only then."""
    with naming(source, sampler_place(entry_named(study.methods, arm.method))):
        try:
            search = Search(arm.space, make_sampler(arm.sampler.name, arm.sampler_options, seed=0))
            startup = arm.sampler_options.get("n_startup_trials", STARTUP_TRIALS)
            points = search.ask(1 + startup if isinstance(startup, int) else 1)
            search.tell([0.1 * (1 + i % 7) for i in range(len(points))])
            search.ask(1)
        except (TypeError, AttributeError, ImportError) as error:
            options = ", ".join(f"{name}: {value}" for name, value in arm.sampler.options.items())
            raise ValueError(f"{arm.sampler.name} cannot search with {options}: {error}") from error


def check_overrides(study: Study, source: str, arms: Mapping[str, Arm]) -> None:
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


def ask(question: Callable[..., T], *about: Any) -> T:
    """Ask a method, which may be a stranger's: whatever it raises is told as its answer."""
    try:
        return question(*about)
    except ValueError:
        raise
    except Exception as error:
        where = getattr(question, "__qualname__", "the method")
        raise ValueError(f"{where} raised {type(error).__name__}: {error}") from error


@contextmanager
def naming(source: str, where: str) -> Iterator[None]:
    """Name file and field in whatever a part finds wrong with what was written there."""
    try:
        yield
    except ValueError as error:
        raise StudyError(f"{source}: {where}: {error}") from error
