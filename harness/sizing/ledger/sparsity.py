"""What the deletion of single weights left of a network, layer by layer."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn

from harness.sizing.ledger.partition import partition
from harness.sizing.ledger.sparse import Histogram, Sparsity
from harness.surgery import SurgeryError, masked_parameters
from harness.surgery.wiring import wiring

_BINS = 20


def entries_of(network: nn.Module) -> dict[str, int]:
    """Weight -> its entries; of the parameters with two axes or more."""
    return {name: own.numel() for name, own in network.named_parameters() if own.dim() > 1}


def sparsity(network: nn.Module, started: Mapping[str, int], example: Tensor) -> Sparsity | None:
    """Look at a network; None if no weight of it is held at zero.

    Args:
        started: what `entries_of` gave before the first step.
        example: [1, ...], on the network's device.
    """
    if not masked_parameters(network):
        return None
    left, histograms = {}, {}
    for name, own in network.named_parameters():
        if own.dim() > 1:
            values = own.detach()[own.detach() != 0].cpu().double().numpy()
            left[name] = len(values)
            most = float(np.abs(values).max(initial=0.0))
            counts, _ = np.histogram(values, bins=_BINS, range=(-most or -1.0, most or 1.0))
            histograms[name] = Histogram(most, counts.tolist())
    try:
        found = partition(wiring(network, example))
    except SurgeryError:
        found = None
    return Sparsity(dict(started), left, histograms, found)
