"""Losses and scores of every task: by hand, against other libraries, and the same however batches fall."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score, top_k_accuracy_score
from torch import nn

from harness.datasets.base import DatasetFacts, Part, Target
from harness.objectives.base import Objective
from harness.objectives.binary import Binary
from harness.objectives.classification import Classification
from harness.objectives.regression import Regression
from harness.training import scoring
from harness.training.scoring import evaluate


def facts(target: Target, outputs: int, **scores: float) -> DatasetFacts:
    return DatasetFacts("d", (3,), outputs, 8, 8, "f", target=target, constant_scores=scores)


def score(objective: Objective, outputs: torch.Tensor, y: torch.Tensor) -> float:
    return evaluate(nn.Identity(), Part(outputs, y), objective)[1]


LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0], [0.0, 5.0]])
EIGHT = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(50) % 8


def test_accuracy_by_hand() -> None:
    assert score(Classification(), LOGITS, torch.tensor([0, 0, 0, 1])) == 3 / 4


def test_label_smoothing_by_hand() -> None:
    smoothed = Classification(label_smoothing=0.2).loss(LOGITS[:1], torch.tensor([0]))
    logs = [2 - math.log(math.exp(2) + 1), -math.log(math.exp(2) + 1)]
    assert float(smoothed) == pytest.approx(-(0.9 * logs[0] + 0.1 * logs[1]))


def test_the_five_likeliest() -> None:
    found = score(Classification(score="top5_accuracy"), EIGHT, CLASSES)
    assert found == pytest.approx(top_k_accuracy_score(CLASSES, EIGHT, k=5))


def test_a_class_a_pixel_counts_pixels() -> None:
    outputs = torch.zeros(2, 3, 2, 2)
    outputs[:, 1] = 1.0
    y = torch.tensor([[[1, 1], [1, 0]], [[1, 1], [0, 0]]])
    assert score(Classification(), outputs, y) == 5 / 8
    each = Classification().loss(outputs, y, "none")
    assert each.shape == (2,)
    assert float(each.mean()) == pytest.approx(float(Classification().loss(outputs, y)))


def test_yes_or_no_by_hand() -> None:
    outputs, y = torch.tensor([[3.0], [-1.0], [2.0], [-2.0]]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert score(Binary(), outputs, y) == 2 / 4
    by_hand = [math.log1p(math.exp(-3)), math.log1p(math.exp(1)), math.log1p(math.exp(2))]
    assert float(Binary().loss(outputs[:3], y[:3])) == pytest.approx(sum(by_hand) / 3)
    many = torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    assert score(Binary(), many, torch.tensor([[1.0, 0.0], [1.0, 0.0]])) == 3 / 4


def test_squared_errors_by_hand() -> None:
    outputs, y = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.0, 3.0, 5.0])
    assert score(Regression("mse"), outputs, y) == pytest.approx(2 / 3)
    assert score(Regression(), outputs, y) == pytest.approx(1 - 2 / 8)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 3), st.floats(-1e3, 1e3), st.integers(0, 99))
def test_r2_is_that_of_scikit_learn(examples: int, targets: int, shift: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(examples, targets, generator=generator) + shift
    outputs = y + torch.randn(examples, targets, generator=generator)
    expected = r2_score(y.double().numpy(), outputs.double().numpy())
    assert score(Regression(), outputs, y) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_r2_of_targets_far_from_zero() -> None:
    y = 1.6e9 + 1e3 * torch.randn(200, generator=torch.Generator().manual_seed(0))
    outputs = (y + 500).unsqueeze(1)
    expected = r2_score(y.double().numpy(), outputs[:, 0].double().numpy())
    assert score(Regression(), outputs, y) == pytest.approx(expected, rel=1e-3)


def test_what_never_varies_is_explained_by_nothing() -> None:
    assert score(Regression(), torch.ones(4, 1), torch.full((4,), 7.1)) == 0.0


@pytest.mark.parametrize(
    ("objective", "outputs", "y"),
    [
        (Classification(), EIGHT, CLASSES),
        (Classification(0.1, "top5_accuracy"), EIGHT, CLASSES),
        (Binary(), EIGHT, (EIGHT.roll(1, 0) > 0).float()),
        (Regression(), EIGHT, EIGHT.roll(1, 0)),
        (Regression("mse"), EIGHT, EIGHT.roll(1, 0)),
    ],
)
def test_batches_and_reductions_agree(
    objective: Objective, outputs: torch.Tensor, y: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate(nn.Identity(), Part(outputs, y), objective)
    monkeypatch.setattr(scoring, "_BATCH", 7)
    assert evaluate(nn.Identity(), Part(outputs, y), objective) == pytest.approx(whole, rel=1e-6)
    each = objective.loss(outputs, y, "none")
    assert each.shape == (len(y),)
    assert float(each.mean()) == pytest.approx(float(objective.loss(outputs, y)), rel=1e-5)
    assert float(each.sum()) == pytest.approx(float(objective.loss(outputs, y, "sum")), rel=1e-5)


def test_directions() -> None:
    assert [Classification().is_better(0.6, 0.5), Regression("mse").is_better(0.6, 0.5)] == [True, False]
    assert not Regression("mse").is_better(0.5, 0.5)


@pytest.mark.parametrize(
    ("objective", "data", "words"),
    [
        (Classification(), facts("numbers", 1), "are numbers, and classification needs classes"),
        (Regression(), facts("classes", 3), "are classes, and regression needs numbers"),
        (Classification(score="top5_accuracy"), facts("classes", 5), "more than 5 classes"),
        (Binary(), facts("classes", 3), "needs two classes"),
        (Binary(), facts("numbers", 1, r2=0.0), "needs targets of 0 and 1"),
    ],
)
def test_targets_that_cannot_be_learned_so(objective: Objective, data: DatasetFacts, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        objective.check(data)


def test_outputs() -> None:
    assert Binary().outputs(facts("classes", 2)) == 1
    assert Binary().outputs(facts("numbers", 4, binary_accuracy=0.5)) == 4
    assert Classification().outputs(facts("classes", 7)) == 7


def test_an_output_that_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match="an output for each target is needed"):
        Regression().loss(torch.zeros(4, 2), torch.zeros(4))
