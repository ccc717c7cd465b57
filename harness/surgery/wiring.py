"""Which units are wired to which, by weights that are not zero."""

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from torch import nn

from harness.surgery.tracing.example import Example
from harness.surgery.tracing.follow import follow
from harness.surgery.tracing.labels import Labels


@torch.no_grad()
def wiring(network: nn.Module, example: Example) -> csr_array:
    """How many live weights lie between any two units: symmetric, [units, units], int64.

    Units are those of every layer, outputs included; coupled ones (on a residual sum, before and behind a
    normalisation) are one. Weights that read the network's input lie between no two of them.

    Args:
        network: left as it is.
        example: a batch of its input, on its device.

    Raises:
        SurgeryError: if the network cannot be followed.
    """
    tracer = follow(network, example)
    every = tracer.coupling.classes()
    ends: list[tuple[Labels, Labels, Labels]] = []
    for read in tracer.reads:
        # Not what training mode reads again, nor what reads the network's input.
        if read.training or read.weight is None or not len(read.signal.labels):
            continue
        weight = tracer.tensors[read.weight].detach().movedim((read.out_axis, read.in_axis), (0, 1))
        live = (weight != 0).flatten(2).sum(2) if weight.dim() > 2 else (weight != 0).long()
        live = live.cpu()[:, torch.from_numpy(read.in_positions)]
        takers, makers = (place.numpy() for place in live.nonzero(as_tuple=True))
        ends.append(
            (
                every[read.signal.labels][makers],
                every[tracer.labels(read.weight, read.out_axis)][takers],
                live[live != 0].numpy(),
            )
        )
    made = [every[tracer.labels(path, axis)] for path, axis in tracer.producers.values()]
    units = np.unique(np.concatenate(made)) if made else np.empty(0, dtype=np.int64)
    count = len(units)
    if not ends:
        return csr_array((count, count), dtype=np.int64)
    rows, columns, values = (np.concatenate(part) for part in zip(*ends, strict=True))
    known = np.isin(rows, units) & np.isin(columns, units)
    rows, columns = np.searchsorted(units, rows[known]), np.searchsorted(units, columns[known])
    graph = coo_array((values[known], (rows, columns)), shape=(count, count), dtype=np.int64).tocsr()
    return csr_array(graph + graph.T)
