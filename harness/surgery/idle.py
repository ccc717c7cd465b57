"""Units that do nothing any more: they send a constant, or nobody listens to them."""

import numpy as np
import torch
from torch import Tensor, nn

from harness.surgery.edits import Remove
from harness.surgery.operations.removal import plan_removal
from harness.surgery.tracing.follow import follow
from harness.surgery.tracing.units import unit_labels


@torch.no_grad()
def idle_units(network: nn.Module, example: Tensor) -> dict[str, tuple[int, ...]]:
    """All units that can be taken out without changing the output: layer -> their indices.

    Units without a live input send a constant, and units without a live output are not listened to; neither
    are those that such units alone listen to. A unit that listens to nothing but constants is found once
    these have been folded, so whoever wants it asks again. Of a layer all of whose units are idle the first
    is left out, so that the layer goes on to exist. They are what `Remove(..., exact=True)` takes together.

    Args:
        network: left as it is.
        example: a batch of its input, [batch, ...], on its device.

    Raises:
        SurgeryError: if the network cannot be followed.
    """
    tracer = follow(network, example)
    labels = {layer: unit_labels(tracer, network, layer) for layer in tracer.producers}
    frozen = tracer.coupling.frozen()
    asked = [
        Remove(layer, tuple(unit for unit, root in enumerate(roots) if root not in frozen), exact=True)
        for layer, roots in ((layer, tracer.coupling.roots(own).tolist()) for layer, own in labels.items())
    ]
    removal = plan_removal(tracer, network, asked)
    going: set[int] = set(removal.roots.tolist())
    spared: set[int] = set()
    for layer, own in labels.items():
        roots = tracer.coupling.roots(own).tolist()
        if removal.removed.get(layer) == len(roots) and not spared & set(roots):
            spared.add(roots[0])
    found = {}
    for layer, own in labels.items():
        gone = np.isin(tracer.coupling.roots(own), list(going - spared))
        if gone.any():
            found[layer] = tuple(np.flatnonzero(gone).tolist())
    return found
