"""What units that are to be removed send to the layers that stay, and whether that can be folded."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from harness.surgery.tracing.computed import name_of, weight_at
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import Held, Positions, Read, Values
from harness.surgery.tracing.paths import layer_of
from harness.surgery.tracing.tracer import Tracer


@dataclass(frozen=True, slots=True)
class Fold:
    """A constant that a layer must go on receiving.

    read: the layer. positions: of the signal it reads. values: [2, n], evaluation and training mode.
    """

    read: Read
    positions: Positions
    values: Values


@dataclass(slots=True)
class Judgement:
    """What stands in the way of removing units.

    varying: classes whose units still vary. refused: class -> why its constant cannot be folded. folds:
    constants to fold for the others.
    """

    varying: set[int] = field(default_factory=set)
    refused: dict[int, str] = field(default_factory=dict)
    folds: list[Fold] = field(default_factory=list)


def judge(tracer: Tracer, network: nn.Module, roots: Labels, held: Held) -> Judgement:
    """See what every layer that stays would miss if the classes `roots` were gone.

    Args:
        tracer: what a forward pass has shown.
        network: the network it was shown of.
        roots: the classes to be removed.
        held: labels to be taken as held at zero.
    """
    every = tracer.coupling.classes()
    gone = tracer.coupling.members(roots)
    readers: dict[str | None, int] = {}
    for read in tracer.reads:
        readers[read.weight] = readers.get(read.weight, 0) + 1
    judgement = Judgement()
    for read in tracer.reads:
        positions = np.flatnonzero(gone[read.signal.labels])
        if len(positions):
            positions = positions[_listened(tracer, network, read, positions, gone)]
        if not len(positions):
            continue
        values = read.signal.constant.at(positions, held)
        classes = every[read.signal.labels[positions]]
        unsure = np.isnan(values).any(axis=0)
        judgement.varying.update(classes[unsure].tolist())
        sends = ~unsure & (values != 0).any(axis=0)
        if not sends.any():
            continue
        reason = _obstacle(read, network, readers[read.weight], padded=bool((values[0][sends] != 0).any()))
        if reason is not None:
            judgement.refused.update(dict.fromkeys(classes[sends].tolist(), reason))
        else:
            judgement.folds.append(Fold(read, positions[sends], values[:, sends]))
    return judgement


def _listened(
    tracer: Tracer,
    network: nn.Module,
    read: Read,
    positions: Positions,
    gone: np.typing.NDArray[np.bool_],
) -> Positions:
    """Those of the positions for which a unit that stays has a weight other than zero."""
    if read.weight is None:
        return np.arange(len(positions))
    weight = weight_at(network, read.weight)
    columns = weight.index_select(
        read.in_axis, torch.from_numpy(read.in_positions[positions]).to(weight.device)
    ).movedim((read.in_axis, read.out_axis), (0, 1))
    staying = torch.from_numpy(~gone[tracer.labels(read.weight, read.out_axis)]).to(weight.device)
    listened = (columns != 0).flatten(2).any(2) if columns.dim() > 2 else columns != 0
    return np.flatnonzero((listened & staying).any(1).cpu().numpy())


def _obstacle(read: Read, network: nn.Module, readers: int, *, padded: bool) -> str | None:
    layer = layer_of(read.weight) if read.weight is not None else "a computed weight"
    if read.padded and padded:
        return f"sends a constant into the zero padding of {layer!r}, which no bias can stand for"
    if readers > 1:
        return f"sends a constant into {layer!r}, which is used more than once"
    if not read.foldable or read.weight is None:
        return f"sends a constant into {layer!r}, whose weight is computed from others"
    if read.bias is None and read.norm is None and not _takes_bias(network.get_submodule(layer), read.weight):
        return f"sends a constant into {layer!r}, which has no bias and can be given none"
    return None


def _takes_bias(module: nn.Module, weight: str) -> bool:
    layers = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
    return isinstance(module, layers) and module.bias is None and name_of(weight) == "weight"


def contribution(fold: Fold, weight: Tensor) -> Tensor:
    """What a constant adds to every output of a layer: [outputs], float64, in evaluation mode."""
    index = torch.from_numpy(fold.read.in_positions[fold.positions]).to(weight.device)
    columns = weight.index_select(fold.read.in_axis, index).movedim(
        (fold.read.out_axis, fold.read.in_axis), (0, 1)
    )
    sums = columns.double().flatten(2).sum(2) if columns.dim() > 2 else columns.double()
    sent = torch.from_numpy(np.ascontiguousarray(fold.values[0])).to(weight.device)
    return sums @ sent
