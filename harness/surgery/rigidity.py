"""Trying removals out where the code of a network may have been written for fixed sizes."""

import numpy as np
import torch
from torch import nn

from harness.surgery.changes.draft import Draft
from harness.surgery.errors import SurgeryError
from harness.surgery.operations.removal import Removal, cut, verified
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.tracer import Tracer

_REASON = "reshaped in code that was written for fixed sizes"


@torch.no_grad()
def stands_removal(tracer: Tracer, network: nn.Module, example: Example) -> None:
    """Freeze the units of layers whose removal the network's own code does not survive.

    One class of units of each layer is taken out and put back: of all layers at once, and one by one only
    if that fails.
    """
    if not tracer.rigid:
        return
    frozen = tracer.coupling.frozen()
    rigid = tracer.coupling.roots(np.concatenate(tracer.rigid))
    first: dict[str, int] = {}
    for layer, place in tracer.producers.items():
        roots = np.unique(tracer.coupling.roots(tracer.labels(*place)))
        free = [root for root in np.intersect1d(roots, rigid).tolist() if root not in frozen]
        if len(roots) > 1 and free:
            first[layer] = free[0]
    if _survives(tracer, network, example, list(first.values())):
        return
    for layer, root in first.items():
        if not _survives(tracer, network, example, [root]):
            tracer.coupling.freeze(tracer.labels(*tracer.producers[layer]), _REASON)


def _survives(tracer: Tracer, network: nn.Module, example: Example, roots: list[int]) -> bool:
    draft = Draft(network, None)
    removal = Removal(_array(roots), [], {})
    cut(draft, tracer, removal)
    try:
        return verified(tracer, removal, network, example)
    except SurgeryError:
        return False
    finally:
        draft.rollback()


def _array(roots: list[int]) -> Labels:
    return np.unique(np.array(roots, dtype=np.int64))
