"""Optimal Brain Damage, as *Optimal Lobotomy* (Lee) uses it; the method is LeCun, Denker, Solla (1990).

The weight goes that the loss will miss least: its saliency is h w^2 / 2, with h its own second derivative.
The paper deletes 470 of 481 weights of a network that fits a sine, one by one, with and without training in
between; it names neither the optimizer nor the epsilon of its "epsilon-approximations".
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.search.space import Domain, Float
from harness.sizing.amounts import check_amount, check_per_step, due, gone_after, steps_to
from harness.sizing.base import Cell, Params, Situation
from harness.sizing.deletion import Chosen, Deleting

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class OBD(Deleting):
    """Networks that lose the weights of least saliency (*Optimal Lobotomy*); searched is how many go.

    An `amount` is a share of the weights that may be deleted, from 0 to below 1, or a number of them.

    per_step: weights deleted at once, an amount of the same kind.
    estimator: of the second derivatives: differences of "energies" or of "gradients" by `epsilon`,
    "double-backward", "gauss-newton", which is never negative, or "hutchinson" with so many `probes`; all but
    the last take a pass for each weight or example, in float64.
    examples: of the training part that the loss is taken of, at random each time; null for all.
    negative: what a negative second derivative counts as: "clip", zero; or "absolute", its size.

    Other options: `harness.sizing.deletion`. Weights that go with idle units count as deleted.
    """

    biases: bool = True
    per_step: int | float = 0.25
    estimator: Literal["energies", "gradients", "double-backward", "gauss-newton", "hutchinson"] = (
        "gauss-newton"
    )
    examples: int | None = 64
    epsilon: float = 1e-3
    probes: int = 16
    negative: Literal["clip", "absolute"] = "clip"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_per_step(self.per_step)
        if not 0 < self.epsilon < math.inf:
            raise ValueError(f"epsilon must be above 0, found {self.epsilon:g}")
        for name, count in (("examples", self.examples), ("probes", self.probes)):
            if count is not None and count < 1:
                raise ValueError(f"{name} must be at least 1, found {count}")

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"amount": Float(0.5, 0.95)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        check_amount(self, cell, "amount", space["amount"])
        check_per_step(self.per_step, ("amount", space["amount"]))

    def rounds(self, params: Params) -> int:
        return steps_to(float(params["amount"]), self.per_step)

    def choose(self, now: Situation, live: "Mapping[str, Tensor]", number: int) -> Chosen:
        start = now.state["start"]
        gone = gone_after(number, float(now.params["amount"]), self.per_step, start)
        return self.least_salient(now, live, due(gone, start, live))

    def least_salient(self, now: Situation, live: "Mapping[str, Tensor]", count: int) -> Chosen:
        """So many weights of least saliency."""
        from harness.sizing.criteria.candidates import marked, places_of
        from harness.sizing.criteria.saliency import saliencies
        from harness.sizing.criteria.smallest import smallest

        if not count:
            return Chosen({})
        places = places_of(live)
        scores = saliencies(
            now.network,
            places,
            now.probe,
            now.generator,
            estimator=self.estimator,
            examples=self.examples,
            epsilon=self.epsilon,
            probes=self.probes,
            negative=self.negative,
        )
        return Chosen(marked(live, places, smallest(scores, count)))
