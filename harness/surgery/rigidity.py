"""Trying removals out in all layers, and freezing those whose removal the network's code does not survive."""

import re
from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import nn

from harness.surgery.fitting import fit
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.trial import Trial, trial

#: Removals that are tried before layers not cleared yet count as to blame.
_TRIALS = 32


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
        blamed = _search(free, state)
        before = tracer.fits
        if blamed:
            fit(tracer, network, [free[layer] for layer in blamed], state)
        if tracer.fits != before:
            blamed = _search(free, state)
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


def _search(free: dict[str, int], state: Trial) -> dict[str, str]:
    """Layer -> why it cannot be cut: all at once, then what was reshaped or split apart from the others, then
    those of one place in their blocks, then halves of these; each beside those that are cleared.

    Blocks are written by the same code, so that what stops one of them stops its like, and no others.
    """
    classes: dict[int, list[str]] = {}
    for layer, root in free.items():
        classes.setdefault(root, []).append(layer)
    cleared: list[str] = []
    blamed: dict[str, str] = {}
    waiting = deque([[own[0] for own in classes.values()]])
    trials = 0
    while waiting:
        layers = waiting.popleft()
        trials += 1
        reason = state.fails(_array(free[layer] for layer in (*cleared, *layers)))
        if reason is None:
            cleared += layers
        elif len(layers) == 1 or trials >= _TRIALS:
            blamed.update((own, reason) for layer in layers for own in classes[free[layer]])
        else:
            apart = _apart(state.tracer, free, layers) if trials == 1 else []
            waiting.extend(apart if len(apart) > 1 else _parts(layers))
    return blamed


def _apart(tracer: Tracer, free: dict[str, int], layers: list[str]) -> list[list[str]]:
    """Layers that no reshape or split has met, and those that may be used by code for fixed sizes."""
    met = np.concatenate([np.empty(0, dtype=np.int64), *tracer.rigid])
    suspects = set(tracer.coupling.roots(met).tolist())
    sides = ([layer for layer in layers if (free[layer] in suspects) == side] for side in (False, True))
    return [side for side in sides if side]


def _parts(layers: list[str]) -> list[list[str]]:
    """Layers by their paths without numbers; halves, where that is one path."""
    alike: dict[str, list[str]] = {}
    for layer in layers:
        alike.setdefault(re.sub(r"\d+", "", layer), []).append(layer)
    half = len(layers) // 2
    return list(alike.values()) if len(alike) > 1 else [layers[:half], layers[half:]]


def _array(roots: Iterable[int]) -> Labels:
    return np.unique(np.array(list(roots), dtype=np.int64))
