"""What methods that delete single weights share: when they delete, what becomes of the units left idle.

A network is trained, then weights are deleted in rounds, each followed by training of what is left if that
is asked for. A deleted weight is masked: it stays zero. Units that have no live input or no live output then
are taken out for good, constants folded, so that the network is as small as its structure allows.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.search.space import Domain
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, SizingMethod, State

if TYPE_CHECKING:
    from torch import Tensor, nn

    from harness.surgery.edits import Assign, Edit, NetworkEdit, Remove

_CUT_OFF = "deleting more would have cut the output off from the input"


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What a round deletes.

    gone: parameter -> bool tensor of its shape, True where the weight goes. assigned: new values for those
    that stay. state: entries of the method's state that are new.
    """

    gone: "Mapping[str, Tensor]"
    assigned: "Sequence[Assign]" = ()
    state: State = field(default_factory=dict)


@dataclass(frozen=True)
class Deleting(SizingMethod):
    """A method that deletes weights; a subclass says how many rounds there are, and which weights go.

    biases, norms: whether biases, and scales and shifts of normalisations, may be deleted too.
    retrain_epochs: measured intervals of training after each round; 0 for none. retrain_steps: steps of each;
    None for a pass over the training part. retrain_rate: factor of the learning rate in them. retrain_after:
    "each" round, or the "last" alone.
    weight_decay: of all training.
    remove_idle_units: take units out that have no live input or output left.
    when_cut_off: what happens where a round would leave no path from the input to the output: "halt", nothing
    more is deleted; or "collapse", the trial ends as collapsed.

    Every round is measured when its weights have gone and, apart from that, after each interval of training.
    What is selected is the network after the last round.
    """

    controls: ClassVar[tuple[str, ...]] = ("no-removal", "random-removal")

    biases: bool = False
    norms: bool = False
    retrain_epochs: int = 1
    retrain_steps: int | None = None
    retrain_rate: float = 1.0
    retrain_after: Literal["each", "last"] = "each"
    weight_decay: float = 0.0
    remove_idle_units: bool = True
    when_cut_off: Literal["halt", "collapse"] = "halt"

    def __post_init__(self) -> None:
        if self.retrain_epochs < 0:
            raise ValueError(f"retrain_epochs must not be negative, found {self.retrain_epochs}")
        if self.retrain_steps is not None and self.retrain_steps < 1:
            raise ValueError(f"retrain_steps must be at least 1, found {self.retrain_steps}")
        for name in ("retrain_rate", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number from 0 up, found {getattr(self, name)}")

    def rounds(self, params: Params) -> int:
        """In how many rounds weights are deleted: 1 or more."""
        raise NotImplementedError

    def choose(self, now: Situation, live: "Mapping[str, Tensor]", number: int) -> Chosen:
        """Which weights a round deletes.

        Args:
            live: parameter -> bool tensor of its shape: weights that may be deleted and have not been.
            number: of the round, from 1.
        """
        raise NotImplementedError

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        sizes = self.start_sizes(cell, {}).items()
        return {layer: (1 if self.remove_idle_units else size, size) for layer, size in sizes}

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return {layer: cell.start[layer] for layer in cell.architecture.sized_layers}

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        rate, decay, rounds = schedule.learning_rate, self.weight_decay, self.rounds(params)
        phases = [Phase(schedule.epochs, rate, decay, selectable=False)]
        again = Phase(max(1, self.retrain_epochs), rate * self.retrain_rate, decay, self.retrain_steps)
        stretches = self._rounds_together(rounds)
        for number, deletions in enumerate(stretches, 1):
            last = number == len(stretches)
            phases.append(
                Phase(deletions, rate, decay, 0, selectable=last and not self.retrain_epochs, name="delete")
            )
            if self.retrain_epochs:
                phases.append(replace(again, selectable=last, name="retrain"))
        return phases

    def _rounds_together(self, rounds: int) -> Sequence[int]:
        """How many rounds follow each other without training in between; the network after the last one is
        measured alone if it is to be selected as it is then."""
        if self.retrain_epochs:
            return [1] * rounds if self.retrain_after == "each" else [rounds]
        return [rounds - 1, 1] if rounds > 1 else [1]

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        from harness.sizing.criteria.candidates import candidates, count_of
        from harness.surgery.edits import NextPhase, Stop

        rounds, index, state = self.rounds(now.params), now.moment.phase, dict(now.state)
        stretches = self._rounds_together(rounds)
        last = len(stretches) * (2 if self.retrain_epochs else 1)
        edits: list[Edit] = []
        if index > 0 and (index % 2 == 1 or not self.retrain_epochs):
            if not state.get("halted"):
                live = candidates(now.network, biases=self.biases, norms=self.norms)
                state = {"start": count_of(live), **state, "round": state.get("round", 0) + 1}
                chosen = self.choose(replace(now, state=state), live, state["round"])
                state |= chosen.state
                edits += self._deleting(now, chosen, state)
            if state.get("halted") and index < last and not now.moment.phase_ended:
                edits.append(NextPhase())  # nothing more is to be seen before the next phase
        if index == last and now.moment.phase_ended:
            if not edits and self.remove_idle_units:  # those that only heard what was folded since
                edits += self._removals(now, now.network, state)
            if state.get("halted"):
                edits.append(Stop(_CUT_OFF))
        return state, edits

    def _deleting(self, now: Situation, chosen: Chosen, state: dict[str, Any]) -> "list[NetworkEdit]":
        """The edits of a round; none, with "halted" in the state, if they would go too far."""
        from harness import surgery
        from harness.surgery.edits import Mask

        masks = [Mask(name, ~gone) for name, gone in chosen.gone.items() if gone.any()]
        if not masks:
            return []
        edits: list[NetworkEdit] = [*chosen.assigned, *masks]
        rehearsed = copy.deepcopy(now.network)
        if surgery.apply(rehearsed, None, edits, now.probe.part.x[:1]).emptied:
            state["halted"] = self.when_cut_off == "halt"
            return [] if state["halted"] else edits
        return edits + (self._removals(now, rehearsed, state) if self.remove_idle_units else [])

    def _removals(self, now: Situation, network: "nn.Module", state: dict[str, Any]) -> "list[Remove]":
        """Removals of the units that are idle in a network, unless surgery has refused the same before."""
        removals = idle_removals(network, now.probe.part.x[:1])
        idle = {removal.layer: list(removal.units) for removal in removals}
        found = [sum(own.numel() for own in now.network.parameters()), idle]
        if found == state.get("idle"):
            return []
        state["idle"] = found
        return removals


def idle_removals(network: "nn.Module", example: "Tensor") -> "list[Remove]":
    """Exact removals of the units that have no live input or no live output left."""
    from harness.surgery.edits import Remove
    from harness.surgery.idle import idle_units

    idle = idle_units(network, example)
    return [Remove(layer, tuple(units), exact=True) for layer, units in idle.items()]
