"""One number that scales all sized layers of a network alike."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.search.space import Float

#: What it is called among the parameters that a trial draws.
WIDTH = "width"


@dataclass(frozen=True, slots=True)
class Multiplier:
    """A range for such a number, from above 0 to 1.

    full: sized layer -> units at 1. steps: sized layer -> units that go together.
    """

    range: Float
    full: Mapping[str, int]
    steps: Mapping[str, int]

    def sizes(self, number: float) -> dict[str, int]:
        """Units of each sized layer: the nearest that it can have, half rounded up, and never none."""
        return {
            layer: max(1, int(number * units / self.steps[layer] + 0.5)) * self.steps[layer]
            for layer, units in self.full.items()
        }
