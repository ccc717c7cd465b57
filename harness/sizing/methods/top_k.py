"""Top-k (*Optimal Lobotomy* (Lee), section 3.2): exactly so many of the smallest weights go.

The paper wants an exact count where a threshold gives none, and breaks off before it says more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.search.space import Domain, Float
from harness.sizing.amounts import check_amount, due, number_of
from harness.sizing.base import Cell, Params, Situation
from harness.sizing.deletion import Chosen, Deleting

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TopK(Deleting):
    """Networks that lose exactly k of their smallest weights (*Optimal Lobotomy*); searched is k, as a share.

    An `amount` is a share of the weights that may be deleted, from 0 to below 1, or a number of them.

    scope: the smallest of all, or the same share of each parameter. steps: rounds, of equal numbers.

    Other options: `harness.sizing.deletion`. Weights that go with idle units count as deleted.
    """

    scope: Literal["global", "layer"] = "global"
    steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, found {self.steps}")

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"amount": Float(0.5, 0.95)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        check_amount(self, cell, "amount", space["amount"])

    def rounds(self, params: Params) -> int:
        return self.steps

    def choose(self, now: Situation, live: "Mapping[str, Tensor]", number: int) -> Chosen:
        from harness.sizing.criteria.candidates import at_places, marked, places_of
        from harness.sizing.criteria.magnitude import magnitudes
        from harness.sizing.criteria.smallest import smallest

        start, places = now.state["start"], places_of(live)
        scores = magnitudes(at_places(dict(now.network.named_parameters()), places))
        target = round(number_of(now.params["amount"], start) * number / self.steps)
        count = due(target, start, live)
        return Chosen(marked(live, places, smallest(scores, count, by_layer=self.scope == "layer")))
