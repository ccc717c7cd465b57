"""*ShrinkNets* (Leclerc, Castro Fernandez, Madden): gates on every unit, one penalty, dead units removed.

Every sized layer's output is multiplied, unit by unit, by max(0, gate); lambda times the sum of those
multipliers is added to the loss (equation 2 in its last form). A unit whose gate is not above zero when an
epoch ends is dead and is taken out of the network. The options are the variants that the paper's later code
and its future work name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from harness.search.space import Choice, Domain, Float
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, SizingMethod, State
from harness.sizing.ledger.unit_costs import unit_costs

if TYPE_CHECKING:
    from torch import Tensor, nn

    from harness.sizing.gates.rules import GateRule
    from harness.surgery.edits import Edit

#: Numbers of a layer: what a unit costs, in units of lambda; and lambda times that.
_COST, _PRICE = "cost of ", "price of "
#: Classes of layers that are sized and can be given gates (`harness.sizing.gates.layers`).
_GATED = ("Linear", "Conv1d", "Conv2d", "Conv3d", "MultiheadAttention")


@dataclass(frozen=True)
class ShrinkNets(SizingMethod):
    """Oversized networks that shed units while they train; searched is one penalty, lambda.

    Starts at `start` of every layer, its upper bound unless the study says other.

    min_units: a layer keeps at least this many units, those with the largest gates. With 0 a layer may die,
    and the trial ends as `collapsed`.
    gate: "rectified", max(0, gate), starting in U(0, 1]; or "debounced", the gate of either sign until it has
    crossed zero for good, starting in U(-1, 1), penalised by its absolute value.
    decay: of the debounced gate's memory of signs.
    penalty_per: what lambda is the price of: a "unit", or as many units as have the mean number of
    "parameter"s or multiply-accumulates ("mac") of all that the network starts with.
    step: "subgradient", the penalty in the loss; or "proximal", a step towards zero after each optimizer
    step, of learning rate x lambda, whatever the optimizer's own step is.
    position: gates on the sized "layer", or on the "norm" behind it where there is one.
    streams: of the layers that a residual sum adds up, gates on the "first" alone, so that a unit goes only
    where the others are silent by themselves; or on "all" that write into the sum, with one gate for each
    unit of it, so that the whole stream gets narrower.
    remove_every_steps: take dead units out after every so many steps, and not at ends of epochs alone.
    removal_probability: of each dead unit each time; those left in may come back to life.
    """

    controls: ClassVar[tuple[str, ...]] = ("gates-only", "oversized-l2", "random-removal", "scratch-e")

    min_units: int = 1
    gate: Literal["rectified", "debounced"] = "rectified"
    decay: float = 0.99
    penalty_per: Literal["unit", "parameter", "mac"] = "unit"
    step: Literal["subgradient", "proximal"] = "subgradient"
    position: Literal["layer", "norm"] = "layer"
    streams: Literal["first", "all"] = "first"
    remove_every_steps: int | None = None
    removal_probability: float = 1.0

    def __post_init__(self) -> None:
        if self.min_units < 0:
            raise ValueError(f"min_units must not be negative, found {self.min_units}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1, found {self.decay:g}")
        if self.remove_every_steps is not None and self.remove_every_steps < 1:
            raise ValueError(f"remove_every_steps must be at least 1, found {self.remove_every_steps}")
        if not 0 < self.removal_probability <= 1:
            raise ValueError(
                f"removal_probability must be above 0 and at most 1, found {self.removal_probability:g}"
            )

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"lambda": Float(1e-5, 1e-2, log=True)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        if not cell.architecture.sized_layers:
            raise ValueError("it takes units out of sized layers, and this architecture has none")
        for width in getattr(cell.architecture, "widths", ()):
            if width.kind not in _GATED:
                takes = ", ".join(_GATED)
                raise ValueError(
                    f"{width.layer} is a {width.kind}, and gates go on {takes}; leave it out of widths"
                )
        penalty = space["lambda"]
        least = min(map(float, penalty.options)) if isinstance(penalty, Choice) else penalty.low
        if not least >= 0:
            raise ValueError(f"space.lambda: a penalty must not be negative, found {least:g}")

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        return {
            layer: (max(1, self.min_units), cell.start[layer]) for layer in cell.architecture.sized_layers
        }

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return {layer: cell.start[layer] for layer in cell.architecture.sized_layers}

    def build(self, cell: Cell, params: Params) -> "tuple[nn.Module, State]":
        import torch

        from harness.sizing.gates.streams import share_gates
        from harness.sizing.gates.units import attach_gates

        network, _ = super().build(cell, params)
        together = self._together(cell)
        places = {layer: own[0] for layer, own in together.items()}
        initial = None
        if self.gate == "debounced":
            sizes = self.start_sizes(cell, params)
            initial = {place: 2 * torch.rand(sizes[layer]) - 1 for layer, place in places.items()}
        drawn = torch.rand(2, *cell.example_shape, generator=torch.Generator().manual_seed(0))
        example = drawn.to(next(network.parameters()))
        attach_gates(network, places.values(), initial, self._rule(), example)
        share_gates(network, {own[0]: own[1:] for own in together.values()})
        return network, {"places": places}

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        return (
            Phase(schedule.epochs, schedule.learning_rate, edit_every_steps=self.remove_every_steps),
        )  # fmt: skip

    def numbers(self, cell: Cell, params: Params) -> dict[str, float]:
        costs = unit_costs(cell, self.start_sizes(cell, params), self.penalty_per)
        places = {layer: own[0] for layer, own in self._together(cell).items()}
        found = super().numbers(cell, params)
        penalty = np.float32(found["lambda"])
        for layer, cost in costs.items():
            found[_COST + places[layer]] = cost
            # In the precision of the penalty's own graph, so that both give the same digits.
            found[_PRICE + places[layer]] = float(penalty * np.float32(cost))
        return found

    def penalty(self, tensors: "Mapping[str, Tensor]", numbers: "Mapping[str, Tensor]") -> "Tensor | None":
        if self.step == "proximal":
            return None
        rule = self._rule()
        total = sum(rule.factor(tensors[gate]).abs().sum() * cost for gate, cost in _priced_gates(numbers))
        return numbers["lambda"] * total

    def penalty_gradient(
        self, tensors: "Mapping[str, Tensor]", numbers: "Mapping[str, Tensor]"
    ) -> "Mapping[str, Tensor] | None":
        if self.step == "proximal":
            return None
        # Of |gate| its sign; of max(0, gate) 1 where the gate is open, 0 where it is shut.
        gradients = {}
        for name, price in numbers.items():
            if name.startswith(_PRICE):
                path = f"{name.removeprefix(_PRICE)}.gate"
                gate = tensors[path]
                open_part = gate > 0 if self.gate == "rectified" else gate.detach().sign()
                gradients[path] = open_part * price
        return gradients

    def after_step(
        self, tensors: "Mapping[str, Tensor]", numbers: "Mapping[str, Tensor]", learning_rate: float
    ) -> "Mapping[str, Tensor]":
        if self.step == "subgradient" and self.gate == "rectified":
            return {}
        changed: dict[str, Tensor] = {}
        if self.step == "proximal":
            for name, cost in _priced_gates(numbers):
                gate, size = tensors[name], learning_rate * numbers["lambda"] * cost
                # Soft thresholding; a rectified gate below zero costs nothing and stays where it is.
                shrunk = gate.sign() * (gate.abs() - size).clamp(min=0)
                changed[name] = shrunk if self.gate == "debounced" else shrunk.where(gate > 0, gate)
        if self.gate == "debounced":
            from harness.sizing.gates.rules import debounce

            changed |= debounce({**tensors, **changed}, self.decay)
        return changed

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        import torch

        from harness.sizing.gates.units import gates_on_host
        from harness.surgery.edits import Remove

        if now.moment.step == 0:
            return now.state, ()
        layer_at = {place: layer for layer, place in now.state["places"].items()}
        proposed = []
        for place, (gate, is_dead) in gates_on_host(now.network).items():
            if place not in layer_at:  # shares its gates with one that is
                continue
            dead = tuple(torch.nonzero(is_dead).flatten().tolist())
            if self.removal_probability < 1:
                drawn = torch.rand(len(dead), generator=now.generator) < self.removal_probability
                dead = tuple(unit for unit, goes in zip(dead, drawn.tolist(), strict=True) if goes)
            spared = max(0, min(self.min_units, len(gate)) - (len(gate) - len(dead)))
            # If a layer would lose its last units, the strongest of the dead are kept.
            order = gate[list(dead)].argsort(stable=True)[: len(dead) - spared].tolist()
            if order:
                # Exact: of a residual sum only a unit goes that no other layer of the sum keeps alive.
                proposed.append(Remove(layer_at[place], tuple(sorted(dead[i] for i in order)), exact=True))
        return now.state, proposed

    def _rule(self) -> "GateRule":
        from harness.sizing.gates.rules import Debounced, Rectified

        return Rectified() if self.gate == "rectified" else Debounced()

    def _together(self, cell: Cell) -> dict[str, tuple[str, ...]]:
        """Sized layer -> the layers or normalisations that carry its gates, which are the first one's."""
        layers = cell.architecture.sized_layers
        if self.position == "layer" and self.streams == "first":
            return {layer: (layer,) for layer in layers}
        import torch

        from harness.sizing.gates.streams import writers
        from harness.sizing.gates.units import places_for_gates
        from harness.surgery import trace

        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            few = {layer: 2 * cell.steps.get(layer, 1) for layer in layers}
            small = cell.architecture.build(cell.example_shape, cell.outputs, few)
            x = torch.zeros(1, *cell.example_shape)
            norms = trace(small, x).norms if self.position == "norm" else {}
            streams: dict[str, tuple[str, ...]] = {layer: (layer,) for layer in layers}
            if self.streams == "all":
                streams |= writers(small, x, layers)
        order = {path: number for number, (path, _) in enumerate(small.named_modules())}
        return {
            layer: tuple(sorted(places_for_gates(stream, norms), key=order.__getitem__))
            for layer, stream in streams.items()
        }


def _priced_gates(numbers: "Mapping[str, Tensor]") -> "list[tuple[str, Tensor]]":
    """Paths of the gates, with the price of a unit of each."""
    return [
        (f"{name.removeprefix(_COST)}.gate", cost) for name, cost in numbers.items() if name.startswith(_COST)
    ]


def of_live_gates(numbers: "Mapping[str, Tensor]", tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """A trial's numbers without the prices of gates that are not there: they went with their block."""
    live = {}
    for name, number in numbers.items():
        is_price = name.startswith((_COST, _PRICE))
        if not is_price or f"{name.removeprefix(_COST).removeprefix(_PRICE)}.gate" in tensors:
            live[name] = number
    return live
