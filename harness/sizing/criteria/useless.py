"""Which units a network will miss least, by one of several criteria."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from harness.sizing.base import Situation
from harness.sizing.criteria.feature_maps import places_of_maps
from harness.sizing.criteria.smallest import smallest
from harness.sizing.criteria.taylor import taylor
from harness.sizing.criteria.unit_magnitude import incoming, norm_scales
from harness.sizing.criteria.units import Units
from harness.sizing.criteria.zeros import activity
from harness.sizing.probe import Probe

UnitCriterion = Literal["taylor", "taylor-absolute", "zeros", "scale", "l1", "l2", "random"]


def unit_scores(
    network: nn.Module,
    units: Sequence[Units],
    norms: Mapping[str, str],
    probe: Probe,
    generator: torch.Generator,
    criterion: UnitCriterion,
    *,
    examples: int | None = None,
    normalised: bool = False,
) -> dict[str, Tensor]:
    """What each unit is worth: layer that edits name -> [count], float64, on the CPU.

    Args:
        norms: layer -> normalisation that directly follows it.
        examples: random ones of the training part that feature maps are taken of; None for all.
        normalised: divide the scores of each layer by their Euclidean norm, so that layers compare; random
            ones compare as they are.

    Raises:
        FloatingPointError: in one sentence, if a score is not finite.
        ValueError: if the network lacks what the criterion looks at.
    """
    places = places_of_maps(units, network, norms)
    match criterion:
        case "taylor" | "taylor-absolute":
            batches = _batches(probe, examples, generator)
            cancelling = criterion == "taylor"
            found = taylor(network, units, places, batches, probe, cancelling=cancelling)
        case "zeros":
            found = activity(network, units, places, _batches(probe, examples, generator))
        case "scale":
            found = norm_scales(network, units, norms)
        case "l1" | "l2":
            found = incoming(network, units, 1 if criterion == "l1" else 2)
        case "random":
            found = {
                group.layer: torch.rand(group.count, generator=generator, dtype=torch.float64)
                for group in units
            }
    for layer, own in found.items():
        if not own.isfinite().all():
            raise FloatingPointError(f"what the units of {layer!r} are worth is not finite")
    if normalised and criterion != "random":  # or a large layer would lose more than its share
        found = {layer: own / own.norm().clamp(min=1e-300) for layer, own in found.items()}
    return found


class Judging(Protocol):
    """A method whose options say what its units are judged by; they mean what they do in `unit_scores`."""

    @property
    def criterion(self) -> UnitCriterion: ...

    @property
    def examples(self) -> int | None: ...

    @property
    def normalised(self) -> bool: ...


def scores_now(
    now: Situation, method: Judging, units: Sequence[Units], norms: Mapping[str, str]
) -> dict[str, Tensor]:
    """`unit_scores` of the network as it stands, by the method's own options."""
    return unit_scores(
        now.network,
        units,
        norms,
        now.probe,
        now.generator,
        method.criterion,
        examples=method.examples,
        normalised=method.normalised,
    )


def least(scores: Mapping[str, Tensor], count: int, *, by_layer: bool, keep: int = 0) -> dict[str, Tensor]:
    """Which units are the `count` of least worth: layer -> bool [units]. Of equal ones the first go.

    Args:
        by_layer: the same share of each layer, to within one unit; else the least of all.
        keep: units that every layer keeps, those of most worth. If fewer than `count` may go, all of them go.
    """
    free = {}
    for layer, own in scores.items():
        # Stable, so that of equal ones the last are kept.
        order = own.argsort(stable=True)
        free[layer] = order[: max(0, len(own) - keep)].sort().values
    worth = {layer: scores[layer][places] for layer, places in free.items()}
    may_go = sum(len(own) for own in worth.values())
    found = {}
    for layer, chosen in smallest(worth, min(count, may_go), by_layer=by_layer).items():
        marks = torch.zeros(len(scores[layer]), dtype=torch.bool)
        marks[free[layer][chosen]] = True
        found[layer] = marks
    return found


def _batches(
    probe: Probe, examples: int | None, generator: torch.Generator
) -> Iterable[tuple[Tensor, Tensor]]:
    if examples is None or examples >= len(probe.part):
        return probe.batches()
    x, y = probe.batch(generator, examples)
    return zip(x.split(probe.batch_size), y.split(probe.batch_size), strict=True)
