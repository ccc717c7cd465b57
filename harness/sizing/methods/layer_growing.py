"""Residual blocks come and go (*Self-Optimizing Networks* (Lee), section 4.2; *Project Proposal Addendum*
(Lee)): put in as the identity, kept where they help, and the least efficient taken out, in cycles.

The paper puts blocks whose weights are all zero, which would never learn: every gradient is zero. Here the
last factor alone is. It has no numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harness.search.space import Domain, Float
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, SizingMethod, State
from harness.sizing.blocks import (
    LOOKED_AT,
    Cost,
    check_has_places,
    check_quantile,
    check_worth,
    new_block,
    number_to_go,
    places_behind,
    reach_without_blocks,
    removable_blocks,
    structure_text,
)

if TYPE_CHECKING:
    from harness.surgery.edits import Edit

_NEITHER = "neither adding nor pruning helped"


@dataclass(frozen=True)
class LayerGrowing(SizingMethod):
    """Residual networks that gain and lose whole blocks in cycles (*Self-Optimizing Networks*); searched is
    the quantile of blocks that goes in each.

    A cycle: `add` blocks are put in, and trained with the rest for `cycle_epochs`; those of a cycle that has
    not helped go again, and the least efficient quantile of all goes; what is left is trained as long.
    Adding has helped if the validation score is better than before by more than `gain`, times the cost of the
    blocks relative to that of the network; pruning, if it is worse by no more than `slack`. The trial ends
    after `cycles`, or after one in which neither has helped. Any epoch of training may be selected; which
    blocks survive at the end is in the record's `stop_reason`.

    place: "random", or behind the block of most "efficiency". worth, cost, examples: as of `layer-pruning`.
    inner: channels or units within a new block; as many as flow there by unless said. most_blocks: that may
    be left out or come to be so; no more are put in.
    """

    controls: ClassVar[tuple[str, ...]] = ("no-removal", "stochastic-depth")

    add: int = 1
    place: Literal["random", "efficiency"] = "random"
    worth: Literal["bypass", "size"] = "bypass"
    cost: Cost = "parameter"
    examples: int = 512
    cycles: int = 2
    cycle_epochs: int = 1
    gain: float = 0.0
    slack: float = 0.0
    inner: int | None = None
    most_blocks: int = 50

    def __post_init__(self) -> None:
        check_worth(self.worth, self.cost, self.examples)
        for name in ("add", "cycles", "cycle_epochs", "most_blocks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        for name in ("gain", "slack"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number from 0 up, found {getattr(self, name)}")
        if self.inner is not None and self.inner < 1:
            raise ValueError(f"inner must be at least 1, found {self.inner}")

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"quantile": Float(0.1, 0.5)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        check_has_places(cell)
        check_quantile(space)

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        return reach_without_blocks(cell)

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return {layer: cell.start[layer] for layer in cell.architecture.sized_layers}

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        rate, epochs = schedule.learning_rate, self.cycle_epochs
        cycle = (
            Phase(1, rate, steps_per_epoch=0, selectable=False, name="add"),
            Phase(epochs, rate, name="grow"),
            Phase(1, rate, steps_per_epoch=0, selectable=False, name="prune"),
            Phase(epochs, rate, name="retrain"),
        )
        return (Phase(schedule.epochs, rate), *(cycle * self.cycles))

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        from harness.surgery.edits import Stop

        index, state = now.moment.phase, dict(now.state)
        edits: list[Edit] = []
        if index % 4 == 1:
            state |= {"trimmed": bool(state.get("cut")) and self._stands(now, state.get("cut_at"))}
            if index > 1 and not (state["grown"] or state["trimmed"]):
                return state, (Stop(f"{_NEITHER}; {_text(now, state)}"),)
            edits += self._added(now, state)
        elif index > 0 and index % 4 == 3:
            edits += self._pruned(now, state)
        if index == 4 * self.cycles and now.moment.phase_ended:
            edits.append(Stop(_text(now, state)))
        return state, edits

    def _added(self, now: Situation, state: dict[str, Any]) -> "list[Edit]":
        """Blocks put in; notes the score that they are held against, and what stood before."""
        import torch

        from harness.sizing.criteria.efficiency import efficiencies
        from harness.surgery.edits import InsertBlock

        x = now.probe.part.x[:LOOKED_AT]
        flows = places_behind(now.network, x, state.get("gone", ()))
        blocks = removable_blocks(now.network, x)
        state |= {"before": _score(now), "kept": _put_in(now), "cost": _parameters(now)}
        count = max(0, min(self.add, len(flows), self.most_blocks - len(blocks)))
        ordered = [list(flows)[i] for i in torch.randperm(len(flows), generator=now.generator).tolist()]
        if self.place == "efficiency":
            worths = efficiencies(
                now, [b for b in blocks if b in flows], self.worth, self.cost, self.examples
            )
            ordered.sort(key=lambda place: -worths.get(place, float("-inf")))
        places = ordered[:count]
        state["gone"] = [path for path in state.get("gone", ()) if path not in places]
        return [InsertBlock(place, new_block(flows[place], self.inner, now.generator)) for place in places]

    def _pruned(self, now: Situation, state: dict[str, Any]) -> "list[Edit]":
        """Blocks of this cycle, if they have not helped, and the least efficient of all."""
        from harness.sizing.criteria.efficiency import efficiencies
        from harness.surgery.edits import RemoveBlock

        new = [path for path in _put_in(now) if path not in state["kept"]]
        share = _parameters(now) / max(1, state["cost"]) - 1
        state["grown"] = bool(new) and self._is_better(now, state["before"], self.gain * share)
        useless = [] if state["grown"] else new
        blocks = removable_blocks(now.network, now.probe.part.x[:LOOKED_AT])
        blocks = tuple(block for block in blocks if block not in useless)
        due = number_to_go(float(now.params["quantile"]), len(blocks))
        worths = efficiencies(now, blocks, self.worth, self.cost, self.examples) if due else {}
        least = sorted(worths, key=lambda block: worths[block])[:due]
        state |= {"cut": least, "cut_at": state["before"] if useless else _score(now)}
        gone = [*useless, *least]
        state["gone"] = [*state.get("gone", ()), *gone]
        return [RemoveBlock(block) for block in gone]

    def _is_better(self, now: Situation, before: float | None, least: float) -> bool:
        score = _score(now)
        if score is None or before is None:
            return False
        return (score - before if now.probe.objective.higher_is_better else before - score) > least

    def _stands(self, now: Situation, before: float | None) -> bool:
        """Whether the score is worse than before by no more than is let pass."""
        score = _score(now)
        if score is None or before is None:
            return False
        return (before - score if now.probe.objective.higher_is_better else score - before) <= self.slack


def _score(now: Situation) -> float | None:
    """The last validation score there is: of the interval before this moment."""
    return now.history[-1].val_score if now.history else None


def _put_in(now: Situation) -> list[str]:
    """Paths of the blocks that were put in and stand."""
    from harness.surgery.donors import was_inserted

    return [path for path, module in now.network.named_modules() if was_inserted(module)]


def _parameters(now: Situation) -> int:
    return sum(parameter.numel() for parameter in now.network.parameters())


def _text(now: Situation, state: State) -> str:
    return structure_text(now.network, (), state.get("gone", ()))
