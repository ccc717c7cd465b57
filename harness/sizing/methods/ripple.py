"""Ripple (*Project Proposal Addendum* (Lee), section 3): shake each layer, widen what is sensitive.

The paper leaves open how much to shake, what to measure and where the limits lie. Here a layer's weights move
by eps * rms(W) * N(0, 1), its sensitivity S is the mean change of the loss per eps, and the limits are
multiples of the median over layers. Sensitivity says that a layer matters as well as that it is tight, so
bounds cap what is widened, and a validation gate stops it where it did not help.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, ClassVar

from harness.search.space import Domain, Float
from harness.sizing.amounts import ends_of
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, SizingMethod, State
from harness.sizing.growing import check_room, sizes_at

if TYPE_CHECKING:
    from harness.sizing.criteria.ripples import Ripple
    from harness.surgery.edits import Edit


#: Later layers that a record tells the change of, of each layer that was shaken.
TOLD = 8


@dataclass(frozen=True)
class Rippling(SizingMethod):
    """Networks that widen their sensitive layers and narrow the others; searched are limits and step.

    A layer with S above `hi` times the median grows by `step` of its units, up to its upper bound; one with S
    below `lo` times the median loses as many, down to its lower, those that matter least for
    the loss, to first order. New units have random incoming and zero outgoing weights.

    start: share of the way from the lower to the upper bound at which layers that can grow start.
    epsilon, draws: of the shaking, on `examples` of the training part. period: epochs between changes; none
    is made at the last epoch of all. tolerance: the gate: where the validation loss is above what it was
    before the last change by more than this share, the change is not repeated: a layer that was widened is
    not widened again, and one that was narrowed not narrowed.
    weight_decay: of all training. Any epoch may be selected.

    The trial's record keeps each layer's sensitivity, and how much the outputs of the later layers that it
    moves most are changed, relative to their size: `TOLD` of them.
    """

    controls: ClassVar[tuple[str, ...]] = ("no-removal", "random-growth", "scratch-e", "scratch-b")

    start: float = 0.25
    epsilon: float = 0.01
    draws: int = 5
    examples: int = 256
    period: int = 2
    tolerance: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.start <= 1:
            raise ValueError(f"start must be from 0 to 1, found {self.start}")
        if not 0 < self.epsilon < math.inf:
            raise ValueError(f"epsilon must be a number above 0, found {self.epsilon}")
        for name in ("draws", "examples", "period"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        for name in ("tolerance", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number from 0 up, found {getattr(self, name)}")

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"hi": Float(1.5, 4.0), "lo": Float(0.1, 0.6), "step": Float(0.1, 0.25)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        check_room(cell)
        ends = {name: ends_of(space[name]) for name in ("hi", "lo", "step")}
        if not 0 <= min(ends["lo"]) <= max(ends["lo"]) < min(ends["hi"]):
            raise ValueError(
                f"space.lo: what is narrowed lies below what is widened, found up to {max(ends['lo']):g} "
                f"with hi from {min(ends['hi']):g}"
            )
        if not 0 < min(ends["step"]) <= max(ends["step"]) <= 1:
            raise ValueError("space.step: a share of a layer's units, above 0 and up to 1")

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        least, most = sizes_at(cell, 0.0), sizes_at(cell, 1.0)
        return {layer: (least[layer], most[layer]) for layer in least}

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return sizes_at(cell, self.start)

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return (Phase(schedule.epochs, schedule.learning_rate, self.weight_decay),)

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        from harness.sizing.controls.random_growth import random_rows
        from harness.sizing.criteria.joints import growable, joints
        from harness.sizing.criteria.ripples import ripple, worth
        from harness.surgery.edits import Note, Remove

        moment = now.moment
        if not moment.epoch_ended or moment.phase_ended or moment.epoch % self.period:
            return now.state, ()
        shut, loss = self._gate(now), now.history[-1].val_loss if now.history else None
        layers = growable(now.cell)
        x, y = now.probe.batch(now.generator, self.examples)
        shaken = ripple(
            now.network, layers, now.probe, x, y,
            epsilon=self.epsilon, draws=self.draws, generator=now.generator,
        )  # fmt: skip
        middle = median(own.sensitivity for own in shaken.values())
        found = joints(now.network, x[:2])
        low, high = (float(now.params[name]) * middle for name in ("lo", "hi"))
        proposed: list[Edit] = []
        changed: list[str] = []
        for layer, own in shaken.items():
            joint, bounds = found[layer], now.cell.bounds[layer]
            count = max(1, round(float(now.params["step"]) * joint.units))
            grow = min(count, bounds.high - joint.units)
            shrink = min(count, joint.units - bounds.low)
            if own.sensitivity > high and grow > 0 and f"+{layer}" not in shut:
                proposed.append(joint.widen(random_rows(joint.weight, grow, now), {}))
                changed.append(f"+{layer}")
            elif own.sensitivity < low and shrink > 0 and f"-{layer}" not in shut:
                least = worth(now.network, joint, now.probe, x, y).argsort(stable=True)[:shrink].tolist()
                proposed.append(Remove(layer, tuple(sorted(least))))
                changed.append(f"-{layer}")
        notes = [Note(layer, _told(own)) for layer, own in shaken.items()]
        if not changed:  # what was changed last is still on trial
            return {**now.state, "shut": shut}, notes
        return {"shut": shut, "changed": changed, "loss": loss}, (*notes, *proposed)

    def _gate(self, now: Situation) -> list[str]:
        """Changes that did not help, "+" or "-" with the layer: those are not made again."""
        shut: list[str] = list(now.state.get("shut", ()))
        before, after = now.state.get("loss"), now.history[-1].val_loss if now.history else None
        if before is not None and (after is None or after > before + self.tolerance * abs(before)):
            shut += [change for change in now.state["changed"] if change not in shut]
        return shut


def _told(found: "Ripple") -> dict[str, float]:
    """What a record keeps of a layer: its sensitivity, and the largest changes downstream, in their order."""
    most = sorted(found.changes, key=lambda layer: -found.changes[layer])[:TOLD]
    changes = {f"change of {layer}": found.changes[layer] for layer in found.changes if layer in most}
    return {"sensitivity": found.sensitivity, **changes}
