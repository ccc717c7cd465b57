"""Numbers: squared error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.objectives.base import Objective, Reduction, reduced, shaped_like

if TYPE_CHECKING:
    from torch import Tensor

    from harness.datasets.base import DatasetFacts


@dataclass(frozen=True)
class Regression(Objective):
    """Mean squared error, in the targets' own units.

    score: "r2", the share of the variance of the part's targets that is explained (of several targets
    the mean of their shares), or "mse", where lower is better.
    """

    score: Literal["r2", "mse"] = "r2"

    @property
    def score_name(self) -> str:
        return self.score

    @property
    def higher_is_better(self) -> bool:
        return self.score == "r2"

    def check(self, facts: "DatasetFacts") -> None:
        if facts.target != "numbers":
            raise ValueError(
                f"the targets of {facts.name!r} are classes, and regression needs numbers; for classes there "
                "is the task 'classification'"
            )

    def loss(self, outputs: "Tensor", y: "Tensor", reduction: Reduction = "mean") -> "Tensor":
        from torch.nn import functional

        return reduced(functional.mse_loss(shaped_like(outputs, y), y, reduction="none"), reduction)

    def statistics(self, outputs: "Tensor", y: "Tensor") -> "Tensor":
        """[3 x targets]: squared errors, targets, squared targets."""
        import torch

        targets = y.to(torch.float64).reshape(len(y), -1)
        errors = shaped_like(outputs, y).to(torch.float64).reshape(len(y), -1) - targets
        return torch.cat([errors.square().sum(0), targets.sum(0), targets.square().sum(0)])

    def score_from(self, statistics: Sequence[float], examples: int) -> float:
        count = len(statistics) // 3
        squared, sums, squares = (statistics[i * count : (i + 1) * count] for i in range(3))
        if self.score == "mse":
            return sum(squared) / (examples * count)
        shares = []
        for error, total, square in zip(squared, sums, squares, strict=True):
            spread = square - total * total / examples
            # Numbers of 32 bits that differ at all differ by more than this; what is below is rounding. Of a
            # target that never varies in a part there is no variance to be explained: that counts as none.
            shares.append(1 - error / spread if spread > 1e-14 * square else 0.0)
        return sum(shares) / len(shares)
