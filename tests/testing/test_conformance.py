"""The conformance suite passes what ships, and catches a planted fault of every kind."""

import os
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness import registry
from harness.search.space import Domain
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation
from harness.sizing.methods.fixed import Fixed
from harness.surgery import Edit, Remove
from harness.testing import check_architecture, check_method

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("name", sorted(registry.METHODS))
def test_shipped_methods_keep_every_rule(name: str) -> None:
    assert [finding for finding in check_method(name) if not finding.kept] == []


@pytest.mark.parametrize("name", sorted(registry.ARCHITECTURES))
def test_shipped_architectures_keep_every_rule(name: str) -> None:
    assert [finding for finding in check_architecture(name) if not finding.kept] == []


@dataclass(frozen=True)
class ForgetsALayer(Fixed):
    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        return {"hidden1": (4, 12)}


@dataclass(frozen=True)
class SaysOtherSizes(Fixed):
    def build(self, cell: Cell, params: Params) -> Any:
        sizes = {layer: size + 1 for layer, size in self.start_sizes(cell, params).items()}
        return cell.architecture.build(cell.example_shape, cell.outputs, sizes), {}


@dataclass(frozen=True)
class BuildsUnseeded(Fixed):
    def build(self, cell: Cell, params: Params) -> Any:
        torch.seed()
        return super().build(cell, params)


@dataclass(frozen=True)
class SelectsNothing(Fixed):
    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return (Phase(schedule.epochs, schedule.learning_rate, selectable=False),)


@dataclass(frozen=True)
class NeedsTwoEpochs(Fixed):
    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        half = schedule.epochs // 2
        return (Phase(half, 0.1), Phase(schedule.epochs - half, 0.1))


@dataclass(frozen=True)
class PenalisesWithPythonNumbers(Fixed):
    def penalty(self, tensors: Any, numbers: Any) -> Any:
        # A number taken out of a tensor is one trial's; a stack of trials cannot be trained with it.
        return tensors["output.bias"].square().sum() * numbers["hidden1"].item()


@dataclass(frozen=True)
class PenaltyWrites(Fixed):
    def penalty(self, tensors: Any, numbers: Any) -> Any:
        with torch.no_grad():
            tensors["output.bias"].add_(1)
        return tensors["output.bias"].sum()


@dataclass(frozen=True)
class StepsIntoTheUnknown(Fixed):
    def after_step(self, tensors: Any, numbers: Any, learning_rate: float) -> Any:
        return {"no.such.tensor": torch.zeros(1)}


@dataclass(frozen=True)
class TouchesTheNetwork(Fixed):
    def edits(self, now: Situation) -> Any:
        with torch.no_grad():
            now.network.get_parameter("output.weight").mul_(0.5)
        return now.state, ()


@dataclass(frozen=True)
class DrawsGlobally(Fixed):
    def edits(self, now: Situation) -> Any:
        torch.rand(1)
        return now.state, ()


@dataclass(frozen=True)
class BuildsADonorItself(Fixed):
    """In the middle of its second phase, without `harness.surgery.donor`."""

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        first = max(1, schedule.epochs // 2)
        rest = [Phase(schedule.epochs - first, 0.1)] if schedule.epochs > first else []
        return (Phase(first, 0.1), *rest)

    def edits(self, now: Situation) -> Any:
        if now.moment.phase == 1 and not now.moment.phase_ended:
            torch.nn.Linear(4, 4)
        return now.state, ()


@dataclass(frozen=True)
class LeavesItsReach(Fixed):
    def edits(self, now: Situation) -> "tuple[Any, Sequence[Edit]]":
        units = len(now.network.get_submodule("hidden1").weight)  # type: ignore[arg-type]
        return now.state, [Remove("hidden1", (0,))] if now.moment.epoch_ended and units > 1 else []


@dataclass(frozen=True)
class Crashes(Fixed):
    def edits(self, now: Situation) -> Any:
        raise RuntimeError("planted")


@dataclass(frozen=True)
class MisreadsItsOrigin(Fixed):
    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return schedule.origin.phases[:0] if schedule.origin else super().phases(params, schedule)


@dataclass(frozen=True)
class ChecksTheSpaceAlone(Fixed):
    def check(self, space: Any) -> None:  # type: ignore[override]
        return


@dataclass(frozen=True)
class DrawsItsSpace(Fixed):
    def space(self, cell: Cell) -> dict[str, Domain]:
        np.random.rand()
        return super().space(cell)


@dataclass(frozen=True)
class DrawsItsPhases(Fixed):
    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        random.random()
        return super().phases(params, schedule)


@dataclass(frozen=True)
class MovesRunningMeans(Fixed):
    def edits(self, now: Situation) -> Any:
        now.network.train()(torch.rand(4, *now.cell.example_shape))
        now.network.eval()
        return now.state, ()


@dataclass(frozen=True)
class KnowsMatricesAlone(Fixed):
    def edits(self, now: Situation) -> Any:
        for layer in now.cell.architecture.sized_layers:
            rows, columns = now.network.get_submodule(layer).weight.shape  # type: ignore[misc]
            assert rows * columns
        return now.state, ()


_ASKED: list[int] = []


@dataclass(frozen=True)
class RemembersOtherTrials(Fixed):
    def penalty(self, tensors: Any, numbers: Any) -> Any:
        _ASKED.append(1)
        return tensors["output.bias"].square().sum() * len(_ASKED)


@dataclass(frozen=True)
class NeedsLayers(Fixed):
    def space(self, cell: Cell) -> dict[str, Domain]:
        first = cell.architecture.sized_layers[0]
        return super().space(cell) | {first: cell.bounds[first]}


@dataclass(frozen=True)
class SetsTheEnvironment(Fixed):
    def numbers(self, cell: Cell, params: Params) -> dict[str, float]:
        os.environ["SET_BY_A_METHOD"] = "1"
        return super().numbers(cell, params)


_FAULTS = {
    SetsTheEnvironment: "training sets nothing",
    ChecksTheSpaceAlone: "planning: ",
    DrawsItsSpace: "space",
    DrawsItsPhases: "phases",
    MovesRunningMeans: "edits with batch normalisation",
    KnowsMatricesAlone: "edits with batch normalisation",
    RemembersOtherTrials: "training",
    NeedsLayers: "planning without sized layers",
    ForgetsALayer: "reach",
    SaysOtherSizes: "start_sizes",
    BuildsUnseeded: "build",
    SelectsNothing: "planning",
    NeedsTwoEpochs: "phases",
    PenalisesWithPythonNumbers: "penalty",
    PenaltyWrites: "penalty",
    StepsIntoTheUnknown: "after_step",
    TouchesTheNetwork: "edits",
    DrawsGlobally: "edits",
    BuildsADonorItself: "edits",
    LeavesItsReach: "training",
    Crashes: "training",
    MisreadsItsOrigin: "of an origin",
}


@pytest.mark.parametrize("planted", _FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_breaks_the_rule_it_offends(
    planted: type[Fixed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._from_files["methods"], "planted", (planted, Path(__file__)))
    broken = [finding.rule for finding in check_method("planted") if not finding.kept]
    assert any(rule.startswith(_FAULTS[planted]) for rule in broken), broken


def test_a_control_keeps_every_rule() -> None:
    registry.load_file(Path(__file__).parents[1] / "runs" / "controls.py")
    assert [finding for finding in check_method("random-units") if not finding.kept] == []


def _load_from_readme(file: str, folder: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    path = folder / file
    path.write_text(next(block for block in blocks if block.startswith(f"# {file}:")))
    registry.load_file(path)


def test_the_method_in_the_readme_keeps_every_rule(tmp_path: Path) -> None:
    _load_from_readme("half.py", tmp_path)
    assert [finding for finding in check_method("half") if not finding.kept] == []


def test_the_control_in_the_readme_keeps_every_rule(tmp_path: Path) -> None:
    _load_from_readme("scratch.py", tmp_path)
    assert [finding for finding in check_method("scratch") if not finding.kept] == []


def test_the_architecture_in_the_readme_keeps_every_rule(tmp_path: Path) -> None:
    _load_from_readme("small.py", tmp_path)
    assert [finding for finding in check_architecture("small") if not finding.kept] == []
