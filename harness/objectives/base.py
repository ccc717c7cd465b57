"""The contract of an objective: what a study's `training.task` names.

Training, validation, the probe of the sizing methods and the test score all ask the same object. Importing a
module that defines one must not import torch: a study is planned without it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from harness.datasets.base import DatasetFacts

#: As in torch: a scalar over the batch, or one number an example ("none": [batch]).
Reduction = Literal["mean", "sum", "none"]


class Objective(Protocol):
    """A loss, and a score with a direction. Subclass it explicitly; implementations are frozen dataclasses
    whose fields are the options that a study file may set.

    score_name: "accuracy", "r2"; scores whose names end in "accuracy" are shares from 0 to 1.
    higher_is_better: the score's direction.
    """

    @property
    def score_name(self) -> str:
        """What the score is called, in tables and on pages."""
        ...

    @property
    def higher_is_better(self) -> bool:
        """The score's direction."""
        ...

    def check(self, facts: "DatasetFacts") -> None:
        """Raise ValueError, in one sentence, if a data set's targets are none that can be learned this way.
        A study is refused by it before anything runs."""
        ...

    def outputs(self, facts: "DatasetFacts") -> int:
        """Length of the network's output; as many as the data set has classes or numbers, by default."""
        return facts.outputs

    def loss(self, outputs: "Tensor", y: "Tensor", reduction: Reduction = "mean") -> "Tensor":
        """What training descends; of an example with many targets, their mean.

        Args:
            outputs: [batch, ...] as the network gives them. y: [batch, *target_shape].
        """
        ...

    def statistics(self, outputs: "Tensor", y: "Tensor") -> "Tensor":
        """What the score is made of: float64 [k], on the device of `outputs`, summed over batches."""
        ...

    def score_from(self, statistics: Sequence[float], examples: int) -> float:
        """The score of a whole part, from the sum of its batches' statistics."""
        ...

    def is_better(self, score: float, best: float) -> bool:
        """Whether a score beats another; equal ones do not."""
        return score > best if self.higher_is_better else score < best


def is_share(score_name: str) -> bool:
    """Whether a score of this name is a share from 0 to 1, shown in per cent."""
    return score_name.endswith("accuracy")


def shaped_like(outputs: "Tensor", y: "Tensor") -> "Tensor":
    """Outputs in the shape of numeric targets.

    Raises:
        ValueError: if an example has another number of outputs than of targets.
    """
    if outputs.shape == y.shape:
        return outputs
    if len(outputs) != len(y) or outputs.numel() != y.numel():
        raise ValueError(
            f"the network's output has shape {tuple(outputs.shape)}, targets have {tuple(y.shape)}; an "
            "output for each target is needed"
        )
    return outputs.reshape(y.shape)


def reduced(losses: "Tensor", reduction: Reduction) -> "Tensor":
    """Losses [batch, ...] of all targets, reduced: the mean of an example first."""
    if reduction == "mean":
        return losses.mean()
    each = losses.flatten(1).mean(1) if losses.dim() > 1 else losses
    return each.sum() if reduction == "sum" else each
