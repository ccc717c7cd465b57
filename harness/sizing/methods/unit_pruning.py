"""Unit pruning: whole units or filters go, those of least worth by a criterion.

*Self-Optimizing Networks* (Lee), section 2.2, and *Partial Restart* (Han, Zhang), section 5.2, name it as
what they start from; neither says how many go at once, nor how long is trained in between. The criteria are
those of others: Taylor's first order (Molchanov et al. 2017), zeros (Hu et al. 2016), the normalisation's
scale (Liu et al. 2017), the size of the weights (Li et al. 2017).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.search.space import Domain, Float
from harness.sizing.amounts import ends_of, number_of
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, SizingMethod, State

if TYPE_CHECKING:
    from harness.surgery.edits import Edit


@dataclass(frozen=True)
class UnitPruning(SizingMethod):
    """Networks that lose their least useful units (*Self-Optimizing Networks*); searched is how many.

    Starts at `start` of every layer and is trained; then units go in rounds, each followed by fine-tuning. An
    `amount` is a share of the units that there are, from 0 to below 1, or a number of them. Units that go
    together, in the sum of residual blocks, count once.

    criterion: "taylor", |mean over positions of dC/dz z|; "taylor-absolute", the mean of |dC/dz z|; "zeros",
    the share of activations that are zero; "scale", |gamma| of the normalisation; "l1" or "l2" of incoming
    weights; "random". examples: so many random ones of the training part give the first three; null for all.
    normalised: divide by each layer's Euclidean norm. scope: the least of all, or the same share of each.
    rounds: of equal numbers. min_units: that each layer keeps.
    retrain_epochs: of fine-tuning after each round; 0 for none. retrain_rate: factor of its learning rate.
    weight_decay: of all training.

    Every round is measured when its units have gone. What is selected is the network after the last round.
    """

    controls: ClassVar[tuple[str, ...]] = ("no-removal", "random-removal", "scratch-e")

    criterion: Literal["taylor", "taylor-absolute", "zeros", "scale", "l1", "l2", "random"] = "taylor"
    examples: int | None = None
    normalised: bool = True
    scope: Literal["global", "layer"] = "global"
    rounds: int = 1
    min_units: int = 1
    retrain_epochs: int = 1
    retrain_rate: float = 1.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        at_least = {"rounds": 1, "min_units": 1, "retrain_epochs": 0, "examples": 1}
        for name, least in at_least.items():
            count = getattr(self, name)
            if count is not None and count < least:
                raise ValueError(f"{name} must be at least {least}, found {count}")
        for name in ("retrain_rate", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number from 0 up, found {getattr(self, name)}")

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"amount": Float(0.1, 0.9)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        from harness.sizing.criteria.serving import check_sized_units

        layers = _layers(cell)
        if not layers:
            raise ValueError("it takes units out of sized layers, and this architecture has none")
        total = sum(cell.start[layer] // cell.steps.get(layer, 1) for layer in layers)
        for amount in ends_of(space["amount"]):
            if not (0 <= amount < 1 or (math.isfinite(amount) and amount == int(amount) >= 1)):
                raise ValueError(
                    "space.amount: an amount is a share from 0 to below 1, or a whole number of units, found "
                    f"{amount:g}"
                )
            if amount >= 1 and isinstance(space["amount"], Float):
                raise ValueError(
                    "space.amount: a range of real numbers is one of shares, below 1; for numbers of units "
                    "write whole ones"
                )
            most = total - self.min_units * len(layers)
            if amount >= 1 and amount > most:
                raise ValueError(
                    f"space.amount: {amount:g} units cannot go, because there are {total} and each of "
                    f"{len(layers)} layers keeps {self.min_units}"
                )
        check_sized_units(cell, layers, self.criterion)

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        sizes, layers = self.start_sizes(cell, {}), _layers(cell)
        return {
            layer: (min(size, self.min_units * cell.steps.get(layer, 1)) if layer in layers else size, size)
            for layer, size in sizes.items()
        }

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return {layer: cell.start[layer] for layer in cell.architecture.sized_layers}

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        rate, decay = schedule.learning_rate, self.weight_decay
        phases = [Phase(schedule.epochs, rate, decay, selectable=False)]
        for number in range(1, self.rounds + 1):
            last = number == self.rounds
            selected = last and not self.retrain_epochs
            phases.append(Phase(1, rate, decay, 0, selectable=selected, name="prune"))
            if self.retrain_epochs:
                again = rate * self.retrain_rate
                phases.append(Phase(self.retrain_epochs, again, decay, selectable=last, name="retrain"))
        return phases

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        from harness.sizing.criteria.units import coupled_units
        from harness.sizing.criteria.useless import least, scores_now
        from harness.surgery import trace
        from harness.surgery.edits import Remove

        round_, within = divmod(now.moment.phase - 1, 2 if self.retrain_epochs else 1)
        if now.moment.phase == 0 or within or not now.moment.phase_ended:
            return now.state, ()
        structure = trace(now.network, now.probe.part.x[:1])
        units = coupled_units(structure, _layers(now.cell))
        there = sum(group.count for group in units)
        start = now.state.get("start", there)
        goal = round(number_of(now.params["amount"], start) * (round_ + 1) / self.rounds)
        scores = scores_now(now, self, units, structure.norms)
        due = max(0, goal - (start - there))
        chosen = least(scores, due, by_layer=self.scope == "layer", keep=self.min_units)
        removals = [Remove(group.layer, group.rows(chosen[group.layer])) for group in units]
        return {"start": start}, [edit for edit in removals if edit.units]


def _layers(cell: Cell) -> list[str]:
    """The sized layers that have units: blocks have none."""
    blocks = getattr(cell.architecture, "sized_blocks", ())
    return [layer for layer in cell.architecture.sized_layers if layer not in blocks]
