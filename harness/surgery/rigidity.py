"""Trying removals out in all layers, and freezing those whose removal the network's code does not survive."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import nn

from harness.surgery.blame import to_blame
from harness.surgery.fitting import fit
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.trial import trial


@torch.no_grad()
def stands_removal(tracer: Tracer, network: nn.Module, example: Example) -> None:
    """Freeze the units of layers that cannot be cut although every operation could be followed.

    One class of units of each layer, and of each part that code takes of one, is silenced and taken out: of
    all at once, and by halves only if that fails. The network is left as it is, to the bit.
    """
    places = _places(tracer)
    free = _free(tracer, places)
    if not free:
        return
    with trial(tracer, network, example, _array(free.values())) as state:
        blamed = to_blame(free, state)
        before = tracer.fits
        if blamed:
            fit(tracer, network, [free[place] for place in blamed], state)
        if tracer.fits != before:
            blamed = to_blame(free, state)
    for place, reason in blamed.items():
        tracer.coupling.freeze(places[place], reason)


def _places(tracer: Tracer) -> dict[str, Labels]:
    """Layers, by their paths, and parts of them that code took at bounds: labels that go or stay alike."""
    apart = [labels for labels in tracer.stretches if len(labels)]
    taken = tracer.coupling.members(tracer.coupling.roots(np.concatenate([_array([]), *apart])))
    places = {}
    for layer, place in tracer.producers.items():
        labels = tracer.labels(*place)
        if len(np.unique(tracer.coupling.roots(labels))) > 1:
            places[layer] = labels[~taken[labels]]
    for number, labels in enumerate(apart):
        places[f"{tracer.owner(int(labels[0]))[0]}[{number}]"] = labels
    return places


def _free(tracer: Tracer, places: Mapping[str, Labels]) -> dict[str, int]:
    """One class of units that may go of each place: of a part not the first, which lies beside another."""
    frozen = tracer.coupling.frozen()
    found: dict[str, int] = {}
    for place, labels in places.items():
        free = [root for root in np.unique(tracer.coupling.roots(labels)).tolist() if root not in frozen]
        if free:
            found[place] = free[0 if place in tracer.producers else len(free) // 2]
    return found


def _array(roots: Iterable[int]) -> Labels:
    return np.unique(np.array(list(roots), dtype=np.int64))
