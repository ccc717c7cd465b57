"""Partial restart (*Partial Restart of Neural Network* (Han, Zhang)): useless filters begin anew.

The paper trains a network, finds its useless filters by the first-order Taylor criterion, gives them new
weights, trains on with a raised and then a lowered rate, and does so up to three times (its Algorithm 1). It
does not say how many filters are useless, whether layers are compared, or what becomes of normalisations and
biases; these are options here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.search.space import Domain, Float
from harness.sizing.amounts import ends_of
from harness.sizing.base import Cell, Params, Phase, Schedule, Situation, State
from harness.sizing.methods.fixed import Fixed

if TYPE_CHECKING:
    from torch import Tensor, nn

    from harness.surgery.edits import Edit


@dataclass(frozen=True)
class PartialRestart(Fixed):
    """Networks whose useless filters begin anew (*Partial Restart*); searched are sizes, and how many.

    A size never changes. The useless are the `share` of the filters of least worth, at least one; those
    inside residual blocks count too.

    layers: "all" whose units another layer reads, or "convolutions" alone. scope: the least of all, or the
    same share of each layer. criterion, examples, normalised: as of `unit-pruning`; "random" is a control.
    initialiser: of the new weights: "uniform", "he", "he-as-printed", "min-max", "distribution" or
    "resampled" (`harness.sizing.initialisers`). weights_of: whose weights the last three look at: the
    "filter"'s or the "layer"'s.
    biases, norms: whether biases of these filters become zero, and their normalisation as it began.
    restarts: at most so many; fewer where the useless set is that of the restart before, or the validation
    score has reached `target`. raised_epochs, lowered_epochs: of training after each, at `raised_rate` and
    then `lowered_rate` times the study's learning rate.
    weight_decay: of all training.

    Every restart is measured before it is trained on. Any trained epoch may be selected, as of its controls.
    """

    controls: ClassVar[tuple[str, ...]] = ("restart-schedule-only", "no-removal")

    layers: Literal["all", "convolutions"] = "all"
    scope: Literal["global", "layer"] = "global"
    criterion: Literal["taylor", "taylor-absolute", "zeros", "scale", "l1", "l2", "random"] = "taylor"
    examples: int | None = None
    normalised: bool = True
    initialiser: Literal["uniform", "he", "he-as-printed", "min-max", "distribution", "resampled"] = "uniform"
    weights_of: Literal["filter", "layer"] = "filter"
    biases: bool = True
    norms: bool = True
    restarts: int = 3
    target: float | None = None
    raised_epochs: int = 1
    lowered_epochs: int = 1
    raised_rate: float = 2.0
    lowered_rate: float = 0.2
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in ("restarts", "raised_epochs", "lowered_epochs")}
        examples = {} if self.examples is None else {"examples": self.examples}
        for name, count in (counts | examples).items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1, found {count}")
        for name in ("raised_rate", "lowered_rate", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number from 0 up, found {getattr(self, name)}")
        if not self.raised_rate > self.lowered_rate:
            raise ValueError(
                f"raised_rate must be above lowered_rate, found {self.raised_rate:g} and "
                f"{self.lowered_rate:g}"
            )

    def space(self, cell: Cell) -> dict[str, Domain]:
        return super().space(cell) | {"share": Float(0.01, 0.3)}

    def check(self, cell: Cell, space: Mapping[str, Domain]) -> None:
        from harness.sizing.criteria.serving import check_filters

        super().check(cell, space)
        for share in ends_of(space["share"]):
            if not 0 < share < 1:
                raise ValueError(
                    f"space.share: a share of filters lies above 0 and below 1, found {share:g}; none or "
                    "all is no partial restart"
                )
        check_filters(cell, self.criterion, convolutions_only=self.layers == "convolutions")

    def phases(self, params: Params, schedule: Schedule) -> Sequence[Phase]:
        rate, decay = schedule.learning_rate, self.weight_decay
        restart = (
            Phase(1, rate, decay, 0, selectable=False, name="restart"),
            Phase(self.raised_epochs, rate * self.raised_rate, decay, name="raised"),
            Phase(self.lowered_epochs, rate * self.lowered_rate, decay, name="lowered"),
        )
        return (Phase(schedule.epochs, rate, decay), *restart * self.restarts)

    def edits(self, now: Situation) -> "tuple[State, Sequence[Edit]]":
        from harness.surgery.edits import Stop

        if now.moment.phase % 3 != 1 or not now.moment.phase_ended:
            return now.state, ()
        if self._has_reached_target(now):
            return now.state, (Stop(f"a validation score of {self.target:g} was reached"),)
        useless, norms = self._useless(now)
        found = {layer: rows.tolist() for layer, rows in useless.items()}
        if found == now.state.get("useless"):
            return now.state, (Stop("the useless filters were those of the restart before"),)
        edits: list[Edit] = []
        for layer, rows in useless.items():
            edits += self._begun_anew(now, layer, rows, norms.get(layer))
        return {"useless": found}, edits

    def _has_reached_target(self, now: Situation) -> bool:
        scores = [epoch.val_score for epoch in now.history if epoch.val_score is not None]
        is_better, target = now.probe.objective.is_better, self.target
        return target is not None and any(score == target or is_better(score, target) for score in scores)

    def _useless(self, now: Situation) -> "tuple[dict[str, Tensor], Mapping[str, str]]":
        """Layer -> its useless filters: int64 [k]; and layer -> the normalisation that follows it."""
        from harness.sizing.criteria.units import CONVOLUTIONS, JUDGED, single_units
        from harness.sizing.criteria.useless import least, scores_now
        from harness.surgery import trace

        structure = trace(now.network, now.probe.part.x[:1])
        kinds = CONVOLUTIONS if self.layers == "convolutions" else JUDGED
        units = single_units(now.network, structure, kinds)
        count = max(1, round(float(now.params["share"]) * sum(group.count for group in units)))
        scores = scores_now(now, self, units, structure.norms)
        chosen = least(scores, count, by_layer=self.scope == "layer")
        rows = {layer: marks.nonzero().flatten() for layer, marks in chosen.items()}
        return {layer: own for layer, own in rows.items() if len(own)}, structure.norms

    def _begun_anew(self, now: Situation, layer: str, rows: "Tensor", norm: str | None) -> "list[Edit]":
        """New weights for some filters of a layer, and their normalisation as it began."""
        import torch

        from harness.sizing.initialisers import new_weights
        from harness.surgery.edits import Assign, Reset

        module = now.network.get_submodule(layer)
        by_filter = self.weights_of == "filter"
        weights = module.get_parameter("weight")
        weight = new_weights(weights, rows, self.initialiser, now.generator, by_filter=by_filter)
        has_bias = self.biases and module.bias is not None
        edits: list[Edit] = [
            Reset(layer, tuple(rows.tolist()), weight, torch.zeros(len(rows)) if has_bias else None)
        ]
        if self.norms and norm is not None:
            for name, start in _began(now.network.get_submodule(norm), len(weights)).items():
                edits.append(Assign(f"{norm}.{name}", torch.full((len(rows),), start), rows, forget=True))
        return edits


def _began(norm: "nn.Module", units: int) -> dict[str, float]:
    """What a normalisation of so many units begins with: scale, shift and running averages that it has."""
    starts = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
    held = {name: getattr(norm, name, None) for name in starts}
    return {name: starts[name] for name, own in held.items() if own is not None and own.shape == (units,)}
