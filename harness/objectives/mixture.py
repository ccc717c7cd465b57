"""The loss of a batch whose examples may be mixtures of two."""

from typing import TYPE_CHECKING

from harness.objectives.base import Objective

if TYPE_CHECKING:
    from torch import Tensor

    from harness.datasets.augmentation import Batch


def batch_loss(objective: Objective, outputs: "Tensor", batch: "Batch") -> "Tensor":
    """The mean loss of a network's outputs: of mixtures, the losses to both their targets by their shares.

    Raises:
        ValueError: if the objective gives no loss of its own for each mixture.
    """
    if batch.partner_y is None or batch.weight is None:
        return objective.loss(outputs, batch.y)
    losses = objective.loss(outputs, batch.y, "none")
    others = objective.loss(outputs, batch.partner_y, "none")
    if losses.shape != batch.weight.shape:
        raise ValueError(
            f"mixup needs a loss of each example, and {type(objective).__name__} gave {tuple(losses.shape)} "
            f"for {len(batch.weight)} examples where `reduction` was 'none'"
        )
    return (batch.weight * losses + (1 - batch.weight) * others).mean()
