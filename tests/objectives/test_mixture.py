"""The loss of mixed examples, against each example's own."""

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.datasets.augmentation import Batch
from harness.objectives.classification import Classification
from harness.objectives.mixture import batch_loss
from harness.objectives.regression import Regression


def test_a_mixture_loses_to_both_targets_by_their_shares() -> None:
    outputs, smooth = torch.randn(4, 3), Classification(label_smoothing=0.1)
    y, partner_y, share = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2]), torch.rand(4)
    expected = [
        share[i] * smooth.loss(outputs[i : i + 1], y[i : i + 1])
        + (1 - share[i]) * smooth.loss(outputs[i : i + 1], partner_y[i : i + 1])
        for i in range(4)
    ]
    found = batch_loss(smooth, outputs, Batch(torch.empty(4, 1), y, partner_y, share))
    torch.testing.assert_close(found, torch.stack(expected).mean())


def test_a_plain_batch_loses_as_it_always_did() -> None:
    outputs, y = torch.randn(4, 3), torch.randn(4, 3)
    assert torch.equal(batch_loss(Regression(), outputs, Batch(outputs, y)), Regression().loss(outputs, y))


def test_an_objective_without_losses_of_examples_is_told_so() -> None:
    class Careless(Regression):
        def loss(self, outputs: Tensor, y: Tensor, reduction: Any = "mean") -> Tensor:
            return super().loss(outputs, y)

    x = torch.randn(4, 3)
    with pytest.raises(ValueError, match=r"mixup needs a loss of each example, and Careless gave \(\) for 4"):
        batch_loss(Careless(), x, Batch(x, x, x, torch.rand(4)))
