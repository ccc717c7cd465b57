"""Loss and accuracy, by hand."""

import math

import pytest
import torch
from torch import nn

from harness.datasets.base import Part
from harness.objectives.classification import Classification
from harness.training import scoring
from harness.training.scoring import evaluate

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]])


def test_by_hand() -> None:
    loss, score = evaluate(nn.Identity(), Part(LOGITS, torch.tensor([0, 0, 1])), Classification())
    by_hand = [math.log(math.exp(a) + math.exp(b)) - c for a, b, c in ((2, 0, 2), (0, 1, 0), (3, 1, 1))]
    assert loss == pytest.approx(sum(by_hand) / 3)
    assert score == 1 / 3


def test_batches_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part(torch.randn(50, 3), torch.arange(50) % 3)
    whole = evaluate(nn.Identity(), part, Classification())
    monkeypatch.setattr(scoring, "_BATCH", 7)
    loss, score = evaluate(nn.Identity(), part, Classification())
    assert loss == pytest.approx(whole[0], rel=1e-6)
    assert score == whole[1]


@pytest.mark.parametrize(("values", "largest"), [(1 << 15, 4096), ((1 << 15) + 1, 128)])
def test_large_examples_are_scored_by_fewer(values: int, largest: int) -> None:
    seen: list[int] = []

    class Counting(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(len(x))
            return x[:, :3]

    # One example, repeated without memory of its own.
    part = Part(torch.zeros(1, values).expand(4100, values), torch.zeros(4100, dtype=torch.long))
    evaluate(Counting(), part, Classification())
    assert (max(seen), sum(seen)) == (largest, 4100)


@pytest.mark.parametrize("training", [True, False])
def test_scored_in_evaluation_mode_and_left_as_it_was(training: bool) -> None:
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.9)).train(training)
    part = Part(LOGITS, torch.tensor([0, 1, 0]))
    assert evaluate(network, part, Classification()) == evaluate(network, part, Classification())
    assert network.training is training
    assert int(network[0].num_batches_tracked) == 0  # type: ignore[arg-type]


def test_what_is_not_finite_is_told() -> None:
    loss, _ = evaluate(nn.Identity(), Part(LOGITS * math.nan, torch.tensor([0, 1, 0])), Classification())
    assert math.isnan(loss)
