"""One class of several: cross-entropy and accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.objectives.base import Objective, Reduction, reduced

if TYPE_CHECKING:
    from torch import Tensor

    from harness.datasets.base import DatasetFacts


@dataclass(frozen=True)
class Classification(Objective):
    """Cross-entropy; the share of targets that are met. A target is an example's class, or one a pixel.

    label_smoothing: share of the target spread over all classes (Szegedy et al. 2016, "Rethinking the
    Inception Architecture", section 7), in training and in the validation loss.
    score: "accuracy", or "top5_accuracy", whether the class is among the five likeliest.
    """

    label_smoothing: float = 0.0
    score: Literal["accuracy", "top5_accuracy"] = "accuracy"

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is from 0 to below 1, found {self.label_smoothing:g}")

    @property
    def score_name(self) -> str:
        return self.score

    @property
    def higher_is_better(self) -> bool:
        return True

    def check(self, facts: "DatasetFacts") -> None:
        if facts.target != "classes":
            raise ValueError(
                f"the targets of {facts.name!r} are numbers, and classification needs classes; "
                "for numbers there is the task 'regression'"
            )
        if self.score == "top5_accuracy" and facts.outputs <= 5:
            raise ValueError(
                f"top5_accuracy needs more than 5 classes, {facts.name!r} has {facts.outputs}: it would be 1"
            )

    def loss(self, outputs: "Tensor", y: "Tensor", reduction: Reduction = "mean") -> "Tensor":
        from torch.nn import functional

        # Spelt out, for this is the inner loop of nearly every study.
        if y.dim() == 1 or reduction == "mean":
            return functional.cross_entropy(
                outputs, y, reduction=reduction, label_smoothing=self.label_smoothing
            )
        losses = functional.cross_entropy(outputs, y, reduction="none", label_smoothing=self.label_smoothing)
        return reduced(losses, reduction)

    def statistics(self, outputs: "Tensor", y: "Tensor") -> "Tensor":
        import torch

        if self.score == "accuracy":
            met = outputs.argmax(1) == y
        else:
            met = (outputs.topk(5, dim=1).indices == y.unsqueeze(1)).any(1)
        total = met.sum().to(torch.float64).reshape(1)
        return total if y.dim() == 1 else total / y[0].numel()

    def score_from(self, statistics: Sequence[float], examples: int) -> float:
        return statistics[0] / examples
