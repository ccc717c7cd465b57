"""As many units added as by a method, to the same layers at the same moments, but with random weights."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.sizing.base import Params, Phase, Schedule, Situation, State
from harness.sizing.controls.control import Control, phases_of
from harness.sizing.origin import OriginOutcome

if TYPE_CHECKING:
    from torch import Tensor

    from harness.surgery.edits import Edit


@dataclass(frozen=True)
class RandomGrowth(Control):
    """The origin's counts of units added, by layer and moment; units that it removed go too, random ones.

    Incoming weights are normal with the root mean square of those that the layer has, biases zero. Outgoing
    weights are zero, so that the network's output is unchanged. Trained with the origin's phases.
    """

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return phases_of(schedule)

    def can_begin_from(self, origin: OriginOutcome) -> bool:
        return origin.status == "collapsed" and origin.epochs_run > 0

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        import torch

        from harness.sizing.criteria.joints import joints
        from harness.surgery.edits import Remove

        done, origin, moment = now.state.get("done", 0), now.cell.origin, now.moment
        due = origin.edits_until(moment.epoch, moment.step, done) if origin else ()
        added: Counter[str] = Counter()
        removed: Counter[str] = Counter()
        for edit in due:
            added.update(edit.added)
            removed.update(edit.removed)
        if not added and not removed:
            return {"done": done + len(due)}, ()
        found = joints(now.network, now.probe.part.x[:2])
        proposed: list[Edit] = []
        for layer, joint in found.items():
            if count := min(removed[layer], joint.units - 1):
                units = torch.randperm(joint.units, generator=now.generator)[:count].tolist()
                proposed.append(Remove(layer, tuple(sorted(units))))
            if added[layer]:
                proposed.append(joint.widen(random_rows(joint.weight, added[layer], now), {}))
        return {"done": done + len(due)}, proposed


def random_rows(weight: "Tensor", count: int, now: Situation) -> "Tensor":
    """Incoming weights of new units, as large as those there are: [count, *weight.shape[1:]]."""
    import torch

    drawn = torch.randn((count, *weight.shape[1:]), generator=now.generator, dtype=weight.dtype)
    return weight.square().mean().sqrt() * drawn.to(weight.device)
