"""What every registered method would search in a cell: for whoever chooses one."""

from collections.abc import Callable
from dataclasses import dataclass

from harness import registry
from harness.datasets.base import DatasetFacts, DatasetSpec
from harness.search.space import domain_text
from harness.sizing.base import Cell, SizingMethod
from harness.study.checking import ask, check_names, naming
from harness.study.making import dataset_spec, make_architecture, make_cell, make_method, make_objective
from harness.study.ranges import SizeRange, domain_like
from harness.study.schema import ArchitectureEntry, Dataset, Method, Study

#: Units of a layer whose architecture does not say how many it was published with.
_UNITS = 512


@dataclass(frozen=True, slots=True)
class CellSpaces:
    """A cell by its name, and for every method what it searches there, or why it cannot.

    entries: the study's label of each method, the registered name where the study has none -> text.
    """

    cell: str
    entries: dict[str, str]


def spaces_of_study(
    study: Study, source: str, prepare: Callable[[DatasetSpec], DatasetFacts]
) -> list[CellSpaces]:
    """Of each cell of a study: what its methods search, as it writes them, and what others would.

    Raises:
        StudyError, DataError: in one sentence.
    """
    check_names(study, source)
    objective = make_objective(study)
    found = []
    for dataset in study.datasets:
        with naming(source, f"datasets.{dataset.name}"):
            facts = prepare(dataset_spec(dataset))
            outputs = objective.outputs(facts)
        for entry in study.architectures:
            with naming(source, f"architectures.{entry.name}"):
                cell = make_cell(entry, facts, outputs)
                cell.architecture.check(cell.example_shape)
            found.append(_spaces(f"{dataset.name}/{entry.name}", cell, study.trained_methods))
    return found


def spaces_of_cell(
    dataset: str, architecture: str, prepare: Callable[[DatasetSpec], DatasetFacts]
) -> list[CellSpaces]:
    """Of a cell by the names of its parts; layers have from 1 unit to as many as were published, or 512.

    Raises:
        StudyError, DataError: in one sentence.
    """
    with naming("harness methods", f"--dataset {dataset}"):
        facts = prepare(dataset_spec(Dataset(name=dataset)))
    task = "classification" if facts.target == "classes" else "regression"
    outputs = registry.make_objective(task, {}).outputs(facts)
    with naming("harness methods", f"--architecture {architecture}"):
        bare = ArchitectureEntry(name="network", family=architecture)
        made = make_architecture(bare, facts.example_shape, outputs)
        made.check(facts.example_shape)
        units = getattr(made, "published", {})
        widths = {layer: SizeRange(low=1, high=units.get(layer, _UNITS)) for layer in made.sized_layers}
        cell = make_cell(bare.model_copy(update={"widths": widths or None}), facts, outputs)
    return [_spaces(f"{dataset}/{architecture}", cell, [])]


def _spaces(name: str, cell: Cell, methods: list[Method]) -> CellSpaces:
    written = {method.method or method.name for method in methods}
    others = [Method(name=other) for other in registry.names("methods") if other not in written]
    entries = {}
    for method in [*methods, *others]:
        try:
            made = make_method(method)
            space = ask(made.space, cell)
            space |= {key: domain_like(space[key], method.space[key]) for key in space.keys() & method.space}
            ask(made.check, cell, space)
        except ValueError as error:
            entries[method.name] = f"refused: {error}"
            continue
        lines = [f"{key}: {domain_text(domain)}" for key, domain in space.items()]
        entries[method.name] = "\n".join(lines) or _searches_nothing(made)
    return CellSpaces(name, entries)


def _searches_nothing(method: SizingMethod) -> str:
    return "nothing: its trials begin from those of another arm" if method.needs_origin else "nothing"
