"""Trying removals out in all layers, and freezing those whose removal the network's code does not survive."""

from collections.abc import Iterable

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

    One class of units of each layer is silenced and taken out: of all layers at once, and by halves only if
    that fails. The network is left as it is, to the bit.
    """
    free = _free(tracer)
    if not free:
        return
    with trial(tracer, network, example, _array(free.values())) as state:
        blamed = _search(free, state)
        before = tracer.fits
        if blamed:
            fit(tracer, network, [free[layer] for layer in blamed], state)
        if tracer.fits != before:
            blamed = _search(free, state)
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


def _search(free: dict[str, int], state: Trial) -> dict[str, str]:
    """Layer -> why it cannot be cut: all at once, then what was reshaped apart from the others, then halves.

    Each is tried beside those that are cleared.
    """
    layers: dict[int, list[str]] = {}
    for layer, root in free.items():
        layers.setdefault(root, []).append(layer)
    cleared: list[int] = []
    blamed: dict[str, str] = {}
    waiting = [list(layers)]
    trials = 0
    while waiting:
        roots = waiting.pop()
        trials += 1
        reason = state.fails(_array((*cleared, *roots)))
        if reason is None:
            cleared += roots
        elif len(roots) == 1 or trials >= _TRIALS:
            blamed.update((layer, reason) for root in roots for layer in layers[root])
        else:
            half = len(roots) // 2
            suspects, others = _apart(state.tracer, roots) if trials == 1 else (roots[half:], roots[:half])
            waiting += [own for own in (suspects, others) if own]
    return blamed


def _apart(tracer: Tracer, roots: list[int]) -> tuple[list[int], list[int]]:
    """The classes that code met which may have been written for fixed sizes, and the others."""
    met = np.concatenate([np.empty(0, dtype=np.int64), *tracer.rigid])
    suspects = set(tracer.coupling.roots(met).tolist())
    first = [root for root in roots if root in suspects]
    half = len(roots) // 2
    if not first or len(first) == len(roots):
        return roots[half:], roots[:half]
    return first, [root for root in roots if root not in suspects]


def _array(roots: Iterable[int]) -> Labels:
    return np.unique(np.array(list(roots), dtype=np.int64))
