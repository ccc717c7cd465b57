"""A threshold first, then Optimal Brain Damage (*Optimal Lobotomy* (Lee), section 4; proposed there only).

Small weights are cheap to find, and second derivatives are taken only of those that survive. When to change
from one to the other the paper leaves open; here a share says it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.search.space import Domain, Float
from harness.sizing.amounts import check_amount, check_per_step, due, gone_after, number_of, steps_to
from harness.sizing.base import Cell, Params, Situation
from harness.sizing.deletion import Chosen
from harness.sizing.methods.obd import OBD

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ThresholdOBD(OBD):
    """Networks that lose their smallest weights, then the least salient (*Optimal Lobotomy*, section 4).

    Searched are `first`, the share that goes by size at once, and `amount`, the share that goes in all; both
    may be numbers of weights instead.

    Other options: as of `obd`.
    """

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"first": Float(0.5, 0.9), "amount": Float(0.9, 0.99)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        for name in ("first", "amount"):
            check_amount(self, cell, name, space[name])
        check_per_step(self.per_step, *((name, space[name]) for name in ("first", "amount")))

    def rounds(self, params: Params) -> int:
        return 1 + steps_to(max(0.0, float(params["amount"]) - float(params["first"])), self.per_step)

    def choose(self, now: Situation, live: "Mapping[str, Tensor]", number: int) -> Chosen:
        from harness.sizing.criteria.candidates import at_places, marked, places_of
        from harness.sizing.criteria.magnitude import magnitudes
        from harness.sizing.criteria.smallest import smallest

        start, first, amount = now.state["start"], now.params["first"], now.params["amount"]
        goal = number_of(amount, start)
        if number > 1:
            more = gone_after(number - 1, start, self.per_step, start)
            return self.least_salient(now, live, due(min(goal, number_of(first, start) + more), start, live))
        places = places_of(live)
        scores = magnitudes(at_places(dict(now.network.named_parameters()), places))
        return Chosen(marked(live, places, smallest(scores, min(goal, number_of(first, start)))))
