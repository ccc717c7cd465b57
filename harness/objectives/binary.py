"""Yes or no, once or several times an example: binary cross-entropy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.objectives.base import Objective, Reduction, reduced, shaped_like

if TYPE_CHECKING:
    from torch import Tensor

    from harness.datasets.base import DatasetFacts


@dataclass(frozen=True)
class Binary(Objective):
    """Binary cross-entropy of one logit for each target; the share of targets on the right side of it.

    Targets are two classes, or numbers that are 0 or 1, any number of them an example (labels that do not
    exclude each other).
    """

    @property
    def score_name(self) -> str:
        return "binary_accuracy"

    @property
    def higher_is_better(self) -> bool:
        return True

    def check(self, facts: "DatasetFacts") -> None:
        if facts.target == "classes":
            if facts.outputs != 2:
                raise ValueError(
                    f"binary needs two classes, {facts.name!r} has {facts.outputs}; for more there is the "
                    "task 'classification'"
                )
        elif facts.constant_scores and "binary_accuracy" not in facts.constant_scores:
            raise ValueError(
                f"binary needs targets of 0 and 1, {facts.name!r} has others; for numbers there is the task "
                "'regression'"
            )

    def outputs(self, facts: "DatasetFacts") -> int:
        return 1 if facts.target == "classes" else facts.outputs

    def loss(self, outputs: "Tensor", y: "Tensor", reduction: Reduction = "mean") -> "Tensor":
        from torch.nn import functional

        logits = shaped_like(outputs, y)
        losses = functional.binary_cross_entropy_with_logits(logits, y.to(logits.dtype), reduction="none")
        return reduced(losses, reduction)

    def statistics(self, outputs: "Tensor", y: "Tensor") -> "Tensor":
        import torch

        met = (shaped_like(outputs, y) > 0) == (y > 0.5)
        return met.sum().to(torch.float64).reshape(1) / max(1, y[0].numel())

    def score_from(self, statistics: Sequence[float], examples: int) -> float:
        return statistics[0] / examples
