"""Small trainings, built by hand: no study, no plan, no disk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from harness.architectures.mlp import MLP
from harness.datasets.base import DatasetFacts, Normalisation, Part, Split
from harness.objectives.classification import Classification
from harness.search.space import Domain, Int
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, SizingMethod, State
from harness.sizing.interval import Epoch
from harness.training.journal import Journal
from harness.training.loop import Job, train
from harness.training.step import StepSettings

FEATURES, CLASSES = 4, 3
CELL = Cell(MLP(hidden_layers=1), (FEATURES,), CLASSES, {"hidden1": Int(1, 9)}, {"hidden1": 5})


def a_part(examples: int, seed: int, labels_seed: int = 99) -> Part:
    """Points whose class is the largest of three fixed projections. x[:, 0] is the example's number."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(examples, FEATURES, generator=generator)
    x[:, 0] = torch.arange(examples) / examples
    directions = torch.randn(FEATURES, CLASSES, generator=torch.Generator().manual_seed(labels_seed))
    return Part(x, (x @ directions).argmax(1))


def a_split(train_examples: int = 20) -> Split:
    facts = DatasetFacts("small", (FEATURES,), CLASSES, train_examples + 12, 10, "f")
    normalisation = Normalisation((0.0,), (1.0,))
    return Split(facts, normalisation, a_part(train_examples, 0), a_part(12, 1), a_part(10, 2))


@dataclass(frozen=True)
class Scripted(SizingMethod):
    """A method whose every answer a test writes down. seen: every situation it was asked in."""

    plan: Sequence[Phase] = ()
    propose: Callable[[Situation], Sequence[Any]] = lambda now: ()
    add: Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Tensor | None] = lambda tensors, numbers: None
    seen: list[Any] = field(default_factory=list)

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {}

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        return {"hidden1": (1, 5)}

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return {"hidden1": 5}

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return self.plan

    def penalty(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Tensor]) -> Tensor | None:
        return self.add(tensors, numbers)

    def edits(self, now: Situation) -> tuple[State, Sequence[Any]]:
        self.seen.append(now.moment)
        return now.state, self.propose(now)


def a_job(method: SizingMethod, **changes: Any) -> Job:
    params = changes.pop("params", {})
    fields: dict[str, Any] = {
        "method": method,
        "params": params,
        "cell": CELL,
        "phases": method.phases(params, Schedule(3, 0.1)),
        "split": a_split(),
        "objective": Classification(),
        "batch_size": 8,
        "step": StepSettings(changes.pop("optimizer", "SGD"), changes.pop("optimizer_options", {})),
        "seeds": {"init": 0, "order": 1, "method": 2},
        "limit_seconds": 60.0,
    }
    return Job(**(fields | changes))


@dataclass
class Trained:
    """What a training left, and the network that it left it with."""

    journal: Journal
    network: nn.Module
    told: list[Epoch]
    error: BaseException | None = None

    @property
    def units(self) -> list[int]:
        return [epoch.size.units["hidden1"] for epoch in self.journal.epochs]


def trained(job: Job, prepare: Callable[[nn.Module], None] = lambda network: None) -> Trained:
    """Train a job's network; what it raises is kept beside all that was measured before."""
    torch.manual_seed(job.seeds["init"])
    network, state = job.method.build(job.cell, job.params)
    prepare(network)
    left = Trained(Journal(), network, [])
    try:
        train(job, network, state, left.journal, left.told.append)
    except Exception as error:  # noqa: BLE001 - the tests look at it
        left.error = error
    return left
