"""Weight thresholding (*Optimal Lobotomy* (Lee), sections 2.3 and 3.2): weights below a bound go.

The paper sweeps t from .001 to .007 on a VGG-16 whose weights have a standard deviation of .0074, and does
not say how long it trains in between, nor whether biases and normalisation count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.search.space import Domain, Float
from harness.sizing.amounts import ends_of
from harness.sizing.base import Cell, Params, Situation
from harness.sizing.deletion import Chosen, Deleting

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Threshold(Deleting):
    """Networks that lose all weights below a threshold (*Optimal Lobotomy*); searched is the threshold.

    unit: of the threshold: the "weight" itself, or "sigma", the standard deviation of the weights before any
    was deleted. scope: of sigma: that of all weights, or of each parameter's own.
    steps: rounds in which the threshold rises to its value, by equal amounts.

    Other options: `harness.sizing.deletion`.
    """

    unit: Literal["weight", "sigma"] = "weight"
    scope: Literal["global", "layer"] = "global"
    steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, found {self.steps}")
        if self.scope == "layer" and self.unit == "weight":
            raise ValueError("scope: layer needs unit: sigma; a bound on weights is the same in every layer")

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"threshold": Float(1e-3, 1e-1, log=True) if self.unit == "weight" else Float(0.1, 2.0)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        least = min(ends_of(space["threshold"]))
        if not least >= 0:
            raise ValueError(f"space.threshold: it must not be negative, found {least:g}")

    def rounds(self, params: Params) -> int:
        return self.steps

    def choose(self, now: Situation, live: "Mapping[str, Tensor]", number: int) -> Chosen:
        from harness.sizing.criteria.candidates import at_places, marked, places_of
        from harness.sizing.criteria.magnitude import magnitudes, spreads

        places = places_of(live)
        weights = at_places(dict(now.network.named_parameters()), places)
        sigmas = None
        if self.unit == "sigma":
            sigmas = now.state.get("sigmas") or spreads(weights, by_layer=self.scope == "layer")
        bound = float(now.params["threshold"]) * number / self.steps
        small = {name: own < bound for name, own in magnitudes(weights, sigmas).items()}
        return Chosen(marked(live, places, small), state={} if sigmas is None else {"sigmas": sigmas})
