"""Over-provisioned networks (*Project Proposal Addendum* (Lee), section 3): capacity that waits at zero.

All units that the network may come to have are there from the start, those beyond the lower bound held at
zero, and they are opened in stages. The paper holds unused values at zero; if all of a unit's were, none
would ever get a gradient. So what is held is what reads a unit, and what it hears is random, as built.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.search.space import Domain
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, State
from harness.sizing.growing import SHARE, Growing, sizes_at, stretches

if TYPE_CHECKING:
    from harness.sizing.criteria.joints import Joint
    from harness.surgery.edits import Edit


@dataclass(frozen=True)
class OverProvisioned(Growing):
    """Networks that start with most of their units held at zero and open them; searched is how many.

    Starts at the upper bound of each layer that can grow; what reads the units beyond the lower bound is
    masked, and unmasked from zero, in their order. Those that are still closed when the last stretch begins
    are taken out.

    by: "schedule", a round at the end of each stretch; or "validation", a round whenever the validation loss
    has not fallen for `patience` epochs, up to the last stretch. Then fewer may open than were drawn.

    Other options: `harness.sizing.growing`.
    """

    controls: ClassVar[tuple[str, ...]] = ("no-removal", "scratch-e", "scratch-b")

    by: Literal["schedule", "validation"] = "schedule"
    patience: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patience < 1:
            raise ValueError(f"patience must be at least 1, found {self.patience}")

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        reach, least = super().reach(cell, space), sizes_at(cell, 0.0)
        if self.by == "schedule":
            return reach
        return {layer: (least[layer], most) for layer, (_, most) in reach.items()}

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return sizes_at(cell, 1.0)

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        phases = stretches(schedule, self.rounds, self.weight_decay)
        if self.by == "schedule":
            return phases
        before = schedule.epochs - phases[-1].epochs
        opening = Phase(
            max(1, before),
            schedule.learning_rate,
            self.weight_decay,
            steps_per_epoch=None if before else 0,
            selectable=False,
            name="grow",
        )
        return (opening, phases[-1])

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        from harness.sizing.criteria.joints import growable, joints

        moment, stages = now.moment, self.rounds if self.by == "schedule" else 1
        if moment.phase >= stages or not (moment.step == 0 == moment.epoch or moment.epoch_ended):
            return now.state, ()
        first, last = not now.state, moment.phase_ended and moment.phase == stages - 1
        stage = 0 if first else now.state["stage"] + self._is_due(now)
        if not first and stage == now.state["stage"] and not last:
            return now.state, ()
        found = joints(now.network, now.probe.part.x[:2])
        open_now = sizes_at(now.cell, float(now.params[SHARE]) * min(stage, self.rounds) / self.rounds)
        proposed: list[Edit] = []
        for layer in growable(now.cell):
            proposed += _opened(found[layer], open_now[layer], first=first, last=last)
        return {"stage": stage, "since": len(now.history)}, proposed

    def _is_due(self, now: Situation) -> int:
        """1 where the next round opens now."""
        if self.by == "schedule":
            return int(now.moment.phase_ended)
        losses = [math.inf if own.val_loss is None else own.val_loss for own in now.history]
        since = losses[now.state["since"] :]
        return int(
            len(since) > self.patience and min(since[-self.patience :]) >= min(since[: -self.patience])
        )


def _opened(joint: "Joint", count: int, *, first: bool, last: bool) -> "list[Edit]":
    """The first `count` units of a layer are read from now on; the others are shut first, or removed last."""
    import torch

    from harness.surgery.edits import Mask, Remove, Unmask

    edits: list[Edit] = []
    for path in joint.readers:
        is_open = torch.zeros_like(joint.read_by(path), dtype=torch.bool)
        is_open[:, :count] = True
        entries, name = joint.laid(path, is_open), f"{path}.weight"
        edits.append(Mask(name, entries) if first else Unmask(name, entries))
    if last and count < joint.units:
        edits.append(Remove(joint.layer, tuple(range(count, joint.units))))
    return edits
