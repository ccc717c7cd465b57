"""Trying removals out in all layers, and freezing those whose removal the network's code does not survive."""

import re
from collections import deque
from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from harness.surgery.fitting import contested, fit, followed_without
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.follow import follow
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.plain import check_values
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.trial import Trial, trial

#: Removals that are tried before layers not cleared yet count as to blame.
_TRIALS = 32
#: Layers of one place in their blocks that are tried one by one: where one fails the others mostly do.
_FEW = 8


@torch.no_grad()
def examined(network: nn.Module, example: Example) -> Tracer:
    """Follow a network, and freeze the units of layers that cannot be cut although every operation could be
    followed.

    One class of units of each layer is silenced and taken out: of all layers at once, and of fewer only if
    that fails. The network is left as it is, to the bit.

    Raises:
        SurgeryError: as `follow`, and for parameters without values.
    """
    tracer = follow(network, example)
    check_values(network)
    heads, free = contested(tracer), _free(tracer)
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
            _freeze(tracer, network, free, state)
            return tracer
    tracer = followed_without(tracer, network, example, failed)
    free = _free(tracer)
    if free:
        with trial(tracer, network, example, _array(free.values())) as state:
            if state.fails(_array(free.values())) is not None:
                _freeze(tracer, network, free, state)
    return tracer


def _freeze(tracer: Tracer, network: nn.Module, free: dict[str, int], state: Trial) -> None:
    """Freeze the layers that are to blame, where one class of each cannot be cut out at once."""
    before, roots = tracer.fits, list(dict.fromkeys(free.values()))
    # Most often numbers of the code have to follow what is reshaped.
    met = set(tracer.coupling.roots(np.concatenate([np.empty(0, dtype=np.int64), *tracer.rigid])).tolist())
    left = fit(tracer, network, [root for root in roots if root in met], state)
    cleared = [root for root in roots if root not in left]
    if (not left and tracer.fits == before) or (cleared and state.fails(_array(cleared)) is not None):
        left, cleared, tracer.fits = roots, [], before
    classes = _classes(free)
    first = [classes[root][0] for root in left]
    parts = _apart(tracer, free, first) if not cleared else []
    blamed = _search(classes, cleared, parts if len(parts) > 1 else _parts(first), state)
    if blamed and {free[layer] for layer in blamed} != set(left):
        before = tracer.fits
        fit(tracer, network, [free[layer] for layer in blamed], state)
        if tracer.fits != before:
            blamed = _search(classes, cleared, [first], state)
    for layer, reason in blamed.items():
        tracer.coupling.freeze(tracer.labels(*tracer.producers[layer]), reason)


def _free(tracer: Tracer) -> dict[str, int]:
    """One class of units that may go of each layer that would keep others."""
    frozen = tracer.coupling.frozen()
    first: dict[str, int] = {}
    for layer, place in tracer.producers.items():
        roots = np.unique(tracer.coupling.roots(tracer.labels(*place)))
        free = [root for root in roots.tolist() if root not in frozen]
        if len(roots) > 1 and free:
            first[layer] = free[0]
    return first


def _classes(free: dict[str, int]) -> dict[int, list[str]]:
    """Class -> the layers that it is of."""
    classes: dict[int, list[str]] = {}
    for layer, root in free.items():
        classes.setdefault(root, []).append(layer)
    return classes


def _search(
    classes: dict[int, list[str]], known: list[int], parts: list[list[str]], state: Trial
) -> dict[str, str]:
    """Layer -> why it cannot be cut: those of one place in their blocks, then halves of these or each; always
    beside those that are cleared.

    Blocks are written by the same code, so that what stops one of them stops its like, and no others.

    Args:
        classes: class that may go -> its layers.
        known: classes that can go at once.
        parts: layers that may be to blame, one of each other class.
    """
    of_layer = {own[0]: root for root, own in classes.items()}
    cleared = list(known)
    blamed: dict[str, str] = {}
    waiting = deque(parts)
    trials = 1
    while waiting:
        layers = waiting.popleft()
        trials += 1
        reason = state.fails(_array((*cleared, *(of_layer[layer] for layer in layers))))
        if reason is None:
            cleared += [of_layer[layer] for layer in layers]
        elif len(layers) == 1 or trials >= _TRIALS:
            blamed.update((own, reason) for layer in layers for own in classes[of_layer[layer]])
        else:
            waiting.extend(_parts(layers))
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
    if len(alike) > 1:
        return list(alike.values())
    if len(layers) <= _FEW:
        return [[layer] for layer in layers]
    half = len(layers) // 2
    return [layers[:half], layers[half:]]


def _array(roots: Iterable[int]) -> Labels:
    return np.unique(np.array(list(roots), dtype=np.int64))
