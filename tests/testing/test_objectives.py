"""The conformance suite of objectives passes what ships, and catches a planted fault of every kind."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness import registry
from harness.datasets.base import DatasetFacts
from harness.objectives.base import Reduction
from harness.objectives.regression import Regression
from harness.testing import check_objective


@pytest.mark.parametrize("name", sorted(registry.OBJECTIVES))
def test_shipped_objectives_keep_every_rule(name: str) -> None:
    assert [finding for finding in check_objective(name) if not finding.kept] == []


@dataclass(frozen=True)
class SuitsNothing(Regression):
    def check(self, facts: DatasetFacts) -> None:
        raise ValueError("not mine")


@dataclass(frozen=True)
class HasNoGradient(Regression):
    def loss(self, outputs: Tensor, y: Tensor, reduction: Reduction = "mean") -> Tensor:
        return super().loss(outputs.round(), y, reduction)


@dataclass(frozen=True)
class SumsAsMeans(Regression):
    def loss(self, outputs: Tensor, y: Tensor, reduction: Reduction = "mean") -> Tensor:
        return super().loss(outputs, y, "mean" if reduction == "sum" else reduction)


@dataclass(frozen=True)
class KeepsMeans(Regression):
    def statistics(self, outputs: Tensor, y: Tensor) -> Tensor:
        return super().statistics(outputs, y) / len(y)


@dataclass(frozen=True)
class IsSinglePrecision(Regression):
    def statistics(self, outputs: Tensor, y: Tensor) -> Tensor:
        return super().statistics(outputs, y).to(torch.float32)


@dataclass(frozen=True)
class TakesTheWorst(Regression):
    def is_better(self, score: float, best: float) -> bool:
        return score < best


_FAULTS: dict[type[Regression], str] = {
    SuitsNothing: "check",
    HasNoGradient: "loss: a finite",
    SumsAsMeans: "loss: mean",
    KeepsMeans: "score: the same",
    IsSinglePrecision: "score: the same",
    TakesTheWorst: "score: finite",
}


@pytest.mark.parametrize("planted", _FAULTS)
def test_a_planted_fault_breaks_the_rule(planted: type[Regression], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._from_files["objectives"], "planted", (planted, Path(__file__)))
    broken = [finding.rule for finding in check_objective("planted") if not finding.kept]
    assert any(rule.startswith(_FAULTS[planted]) for rule in broken), broken
