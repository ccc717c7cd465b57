"""Torch-Pruning (*DepGraph: Towards Any Structural Pruning* (Fang, Ma, Song, Mi, Wang)): its magnitude pruner
says which units go, the harness takes them out, and the network is fine-tuned.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, SizingMethod, State
from harness.space import Choice, Domain, Float

if TYPE_CHECKING:
    from torch import nn

    from harness.surgery.edits import Edit


@dataclass(frozen=True)
class TPMagnitude(SizingMethod):
    """Networks that are trained, pruned once by Torch-Pruning and fine-tuned (*DepGraph*); searched is the
    share of the units that goes.

    norm: of a unit's weights, those of all layers that go with it. scope: the same share of each layer, or
    the least of all. retrain_epochs: of fine-tuning, at `retrain_rate` times the study's learning rate; only
    these may be selected.
    """

    controls: ClassVar[tuple[str, ...]] = ("no-removal", "random-removal", "scratch-e", "scratch-b")

    norm: Literal[1, 2] = 2
    scope: Literal["layer", "global"] = "layer"
    retrain_epochs: int = 1
    retrain_rate: float = 1.0

    def __post_init__(self) -> None:
        if self.retrain_epochs < 1:
            raise ValueError(f"retrain_epochs must be at least 1, found {self.retrain_epochs}")
        if not 0 < self.retrain_rate < math.inf:
            raise ValueError(f"retrain_rate must be a number above 0, found {self.retrain_rate}")

    def space(self, cell: Cell) -> dict[str, Domain]:
        return {"share": Float(0.1, 0.9)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        if not _layers(cell):
            raise ValueError("it takes units out of sized layers, and this architecture has none")
        if several := [layer for layer, step in cell.steps.items() if step > 1]:
            raise ValueError(f"it takes out single units, and those of {several[0]} go several at a time")
        share = space["share"]
        ends = share.options if isinstance(share, Choice) else (share.low, share.high)
        for end in ends:
            if isinstance(end, bool | str) or not 0 <= end < 1:
                raise ValueError(f"space.share: a share of units lies from 0 to below 1, found {end!r}")

    def reach(self, cell: Cell, space: Mapping[str, Domain]) -> dict[str, tuple[int, int]]:
        layers, start = _layers(cell), self.start_sizes(cell, {})
        return {layer: (1 if layer in layers else units, units) for layer, units in start.items()}

    def start_sizes(self, cell: Cell, params: Params) -> dict[str, int]:
        return {layer: cell.start[layer] for layer in cell.architecture.sized_layers}

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        rate = schedule.learning_rate
        return (
            Phase(schedule.epochs, rate, selectable=False),
            Phase(self.retrain_epochs, rate * self.retrain_rate, name="retrain"),
        )

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        from harness.surgery.edits import Remove

        if now.moment.phase > 0 or not now.moment.phase_ended:
            return now.state, ()
        found = self._useless(now)
        return now.state, [Remove(layer, units) for layer, units in found.items() if units]

    def _useless(self, now: Situation) -> dict[str, tuple[int, ...]]:
        """Sized layer -> the units that Torch-Pruning would take out; of coupled layers in one of them."""
        import torch
        import torch_pruning as tp

        network = copy.deepcopy(now.network)  # its graph is made with hooks
        sized = {network.get_submodule(layer): layer for layer in _layers(now.cell)}
        with torch.enable_grad():
            pruner = tp.pruner.MagnitudePruner(
                network,
                now.probe.part.x[:1],
                importance=tp.importance.MagnitudeImportance(p=self.norm),
                global_pruning=self.scope == "global",
                pruning_ratio=float(now.params["share"]),
                ignored_layers=_unsized(network, sized),
            )
            groups = list(pruner.step(interactive=True))
        useless: dict[str, tuple[int, ...]] = {}
        for group in groups:
            for dependency, units in group:
                layer = sized.get(dependency.target.module)
                if layer is not None and pruner.DG.is_out_channel_pruning_fn(dependency.handler):
                    most = now.network.get_parameter(f"{layer}.weight").shape[0] - 1
                    useless[layer] = tuple(sorted(units)[:most])
                    break
        return useless


def _layers(cell: Cell) -> list[str]:
    """The sized layers that have units: blocks have none."""
    blocks = getattr(cell.architecture, "sized_blocks", ())
    return [layer for layer in cell.architecture.sized_layers if layer not in blocks]


def _unsized(network: "nn.Module", sized: "Mapping[nn.Module, str]") -> "list[nn.Module]":
    """Layers whose units must stay: the output's, and those that the study does not size."""
    leaves = (module for module in network.modules() if next(module.children(), None) is None)
    return [module for module in leaves if hasattr(module, "weight") and module not in sized]
