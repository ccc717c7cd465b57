"""Optimal Brain Surgeon (*Optimal Lobotomy* (Lee), section 2.2; the method is Hassibi and Stork 1993).

As OBD, but with the whole Hessian: a weight is worth what its deletion costs once all others have made up for
it, and they do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.search.space import Domain, Float
from harness.sizing.amounts import (
    check_amount,
    check_per_step,
    due,
    gone_after,
    steps_to,
    weights_at_start,
)
from harness.sizing.base import Cell, Params, Situation
from harness.sizing.deletion import Chosen, Deleting

if TYPE_CHECKING:
    from torch import Tensor

#: More weights would take minutes a step, and gigabytes.
_MOST = 5_000
#: The Hessian, its eigenvectors, its inverse, and what LAPACK works in, in float64.
_BYTES_PER_ENTRY = 5 * 8


@dataclass(frozen=True)
class OBS(Deleting):
    """Networks whose weights are deleted by Optimal Brain Surgeon (*Optimal Lobotomy*); searched is how many.

    Up to 5,000 weights. An `amount` is a share of the weights that may be deleted, or a number of them.

    per_step: weights deleted with one Hessian, an amount of the same kind; its inverse is kept in step.
    hessian: "gauss-newton", with a ridge; or "exact", by differentiating the gradient, with a floor.
    examples: of the training part that the loss is taken of, at random each time; null for all.
    negative: what a negative eigenvalue of "exact" counts as: "clip", the floor; or "absolute", its size.
    damping: the ridge, as a share of the largest entry on the diagonal; or the floor, of the largest
    eigenvalue.

    Other options: `harness.sizing.deletion`. Weights that go with idle units count as deleted.
    """

    biases: bool = True
    per_step: int | float = 0.5
    hessian: Literal["gauss-newton", "exact"] = "gauss-newton"
    examples: int | None = 64
    negative: Literal["clip", "absolute"] = "clip"
    damping: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_per_step(self.per_step)
        if not 0 < self.damping < 1:
            raise ValueError(f"damping must be above 0 and below 1, found {self.damping:g}")
        if self.examples is not None and self.examples < 1:
            raise ValueError(f"examples must be at least 1, found {self.examples}")

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"amount": Float(0.5, 0.95)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        count = weights_at_start(self, cell)
        if count > _MOST:
            raise ValueError(
                f"the network starts with {count:,} weights, whose inverse Hessian would take "
                f"{_BYTES_PER_ENTRY * count**2 / 1e9:,.1f} GB; it works with up to {_MOST:,}, obd with any"
            )
        check_amount(self, cell, "amount", space["amount"])
        check_per_step(self.per_step, ("amount", space["amount"]))

    def rounds(self, params: Params) -> int:
        return steps_to(float(params["amount"]), self.per_step)

    def choose(self, now: Situation, live: "Mapping[str, Tensor]", number: int) -> Chosen:
        import torch

        from harness.sizing.criteria import double_backward, gauss_newton
        from harness.sizing.criteria.candidates import at_places, marked, places_of
        from harness.sizing.criteria.energy import Energy
        from harness.sizing.criteria.obs import floored_inverse, ridge_inverse, surgery_of
        from harness.surgery.edits import Assign

        start = now.state["start"]
        count = due(gone_after(number, float(now.params["amount"]), self.per_step, start), start, live)
        if not count:
            return Chosen({})
        places = places_of(live)
        energy = Energy.of(now.network, now.probe, self.examples, now.generator)
        if self.hessian == "exact":
            second = double_backward.hessian(energy, places)
            inverse = floored_inverse(second, self.negative, self.damping)
        else:
            inverse = ridge_inverse(gauss_newton.matrix(energy, places), self.damping)
        weights = torch.cat(list(at_places(energy.parameters, places).values()))
        gone, moved, _ = surgery_of(weights, inverse, count)
        sizes = [len(own) for own in places.values()]
        values = dict(zip(places, moved.split(sizes), strict=True))
        chosen = dict(zip(places, gone.split(sizes), strict=True))
        assigned = [Assign(name, own.float(), places[name]) for name, own in values.items()]
        return Chosen(marked(live, places, chosen), assigned)
