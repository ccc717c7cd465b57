"""Finding out which of several layers it is that a network does not stand without some of their units."""

import re
from collections import deque
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.trial import Trial

#: Removals that are tried before layers not cleared yet count as to blame.
_TRIALS = 32
#: Layers of one place in their blocks that are tried one by one: where one fails the others mostly do.
_FEW = 8


def to_blame(free: Mapping[str, int], state: Trial, known: Collection[int] = ()) -> dict[str, str]:
    """Layer -> why it cannot be cut: all at once, then what was reshaped or split apart from the others, then
    those of one place in their blocks, then halves of these or each; always beside those that are cleared.

    Blocks are written by the same code, so that what stops one of them stops its like, and no others.

    Args:
        free: layer -> a class of its units.
        known: classes that can go at once.
    """
    classes: dict[int, list[str]] = {}
    for layer, root in free.items():
        classes.setdefault(root, []).append(layer)
    cleared = [own[0] for root, own in classes.items() if root in known]
    blamed: dict[str, str] = {}
    others = [own[0] for root, own in classes.items() if root not in known]
    waiting = deque([others] if others else [])
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


def _apart(tracer: Tracer, free: Mapping[str, int], layers: list[str]) -> list[list[str]]:
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
