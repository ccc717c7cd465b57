"""What methods that add units share: where they start, how far they go, when they add.

A network starts with the lower bound of each layer that can grow and is widened in rounds, spread over the
training, until it has the share of the way to the upper bound that the trial has drawn. Layers that cannot
grow (those on a residual sum, say) have the size that the cell starts with, from the beginning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from harness.search.space import Domain, Float
from harness.sizing.amounts import ends_of
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, SizingMethod, State

if TYPE_CHECKING:
    from harness.sizing.criteria.joints import Joint
    from harness.surgery.edits import Edit

#: Of the way from the lower to the upper bound of each layer's size.
SHARE = "share"


@dataclass(frozen=True)
class Growing(SizingMethod):
    """A method that adds units; a subclass says which.

    rounds: how often units are added, each time as many. Between them, before the first and after the last
    the network is trained for equal stretches of the study's epochs; where there are too few of those, units
    are added without training in between. weight_decay: of all training.

    Searched is `share`: how far each layer grows, from its lower bound (0) to its upper (1). What is selected
    is an epoch after the last round.
    """

    controls: ClassVar[tuple[str, ...]] = ("no-removal", "random-growth", "scratch-e", "scratch-b")

    rounds: int = 3
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, found {self.rounds}")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay must be a number from 0 up, found {self.weight_decay}")

    def grown(self, now: Situation, joint: "Joint", count: int) -> "Sequence[Edit]":
        """The edits that add so many units, 1 or more, to a layer."""
        raise NotImplementedError

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {SHARE: Float(0.1, 1.0)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        check_room(cell)
        low, *_, high = sorted(ends_of(space[SHARE]) * 2)
        if not 0 <= low <= high <= 1:
            raise ValueError(
                f"space.{SHARE}: a layer grows from its lower bound (0) to its upper (1) and not beyond, "
                f"found {low:g} to {high:g}"
            )

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        ends = [sizes_at(cell, share) for share in ends_of(space[SHARE])]
        return {
            layer: (min(end[layer] for end in ends), max(end[layer] for end in ends))
            for layer in cell.architecture.sized_layers
        }

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return sizes_at(cell, 0.0)

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return stretches(schedule, self.rounds, self.weight_decay)

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        from harness.sizing.criteria.joints import growable, joints

        if not now.moment.phase_ended or now.moment.phase >= self.rounds:
            return now.state, ()
        share = float(now.params[SHARE]) * (now.moment.phase + 1) / self.rounds
        wanted, found = sizes_at(now.cell, share), joints(now.network, now.probe.part.x[:2])
        proposed: list[Edit] = []
        for layer in growable(now.cell):
            count = wanted[layer] - found[layer].units
            if count > 0:
                proposed += self.grown(now, found[layer], count)
        return now.state, proposed


def check_room(cell: Cell) -> None:
    """Refuse a cell without room to grow.

    Raises:
        ValueError: in one sentence.
    """
    from harness.sizing.criteria.joints import growable

    if not cell.architecture.sized_layers:
        raise ValueError("it adds units to sized layers, and this architecture has none")
    layers = growable(cell)
    if not layers:
        raise ValueError(
            "it adds units to linear and convolutional layers that share them with no other, and none of the "
            "sized layers is one"
        )
    if all(cell.bounds[layer].low == cell.bounds[layer].high for layer in layers):
        raise ValueError(
            f"it grows from the lower to the upper bound of widths, and of {layers[0]} both are "
            f"{cell.bounds[layers[0]].high}"
        )


def sizes_at(cell: Cell, share: float) -> dict[str, int]:
    """Units of each sized layer at this share of the way from the lower to the upper bound."""
    from harness.sizing.criteria.joints import growable

    grows, bounds = growable(cell), cell.bounds
    return {
        layer: bounds[layer].low + round(share * (bounds[layer].high - bounds[layer].low))
        if layer in grows
        else cell.start[layer]
        for layer in cell.architecture.sized_layers
    }


def stretches(schedule: Schedule, rounds: int, weight_decay: float) -> list[Phase]:
    """One phase more than rounds, of equal lengths to within an epoch; the last alone may be selected. One
    that gets no epoch is measured without a step."""
    ends = [schedule.epochs * number // (rounds + 1) for number in range(rounds + 2)]
    lengths = [end - begin for begin, end in pairwise(ends)]
    return [
        Phase(
            max(1, length),
            schedule.learning_rate,
            weight_decay,
            steps_per_epoch=None if length else 0,
            selectable=number == rounds,
            name="train" if number == rounds else "grow",
        )
        for number, length in enumerate(lengths)
    ]
