"""Trying removals out in all layers, and freezing those whose removal the network's code does not survive."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import nn

from harness.surgery.blame import to_blame
from harness.surgery.fitting import contested, fit, followed_without
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.follow import follow
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.plain import check_values
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.trial import Trial, trial


@torch.no_grad()
def examined(network: nn.Module, example: Example) -> Tracer:
    """Follow a network, and freeze the units of layers that cannot be cut although every operation could be
    followed.

    One class of units of each layer, and of each part that code takes of one, is silenced and taken out: of
    all at once, and of fewer only if that fails. The network is left as it is, to the bit.

    Raises:
        SurgeryError: as `follow`, and for parameters without values.
    """
    tracer = follow(network, example)
    check_values(network)
    places = _places(tracer)
    heads, free = contested(tracer), _free(tracer, places)
    roots = _array([*heads, *free.values()])
    if not len(roots):
        return tracer
    with trial(tracer, network, example, roots) as state:
        if state.fails(roots) is None:
            return tracer
        failed: list[int] = []
        if heads and state.fails(_array(heads)) is not None:
            failed = fit(tracer, network, heads, state)
            if not failed and state.fails(roots) is None:
                return tracer
        if not failed:
            _freeze(tracer, network, places, free, state)
            return tracer
    tracer = followed_without(tracer, network, example, failed)
    places = _places(tracer)
    free = _free(tracer, places)
    if free:
        with trial(tracer, network, example, _array(free.values())) as state:
            if state.fails(_array(free.values())) is not None:
                _freeze(tracer, network, places, free, state)
    return tracer


def _freeze(
    tracer: Tracer, network: nn.Module, places: Mapping[str, Labels], free: Mapping[str, int], state: Trial
) -> None:
    """Freeze the places that are to blame, where one class of each cannot be cut out at once."""
    before, roots = tracer.fits, list(dict.fromkeys(free.values()))
    # Most often numbers of the code have to follow what is reshaped.
    met = set(tracer.coupling.roots(np.concatenate([_array([]), *tracer.rigid])).tolist())
    left = fit(tracer, network, [root for root in roots if root in met], state)
    cleared = [root for root in roots if root not in left]
    if (not left and tracer.fits == before) or (cleared and state.fails(_array(cleared)) is not None):
        left, cleared, tracer.fits = roots, [], before
    blamed = to_blame(free, state, cleared)
    if blamed and {free[place] for place in blamed} != set(left):
        before = tracer.fits
        fit(tracer, network, dict.fromkeys(free[place] for place in blamed), state)
        if tracer.fits != before:
            blamed = to_blame(free, state, cleared)
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
