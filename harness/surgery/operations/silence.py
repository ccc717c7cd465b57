"""What units that are to be removed send to the layers that stay, and whether that can be folded."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from harness.surgery.tracing.computed import name_of, weight_at
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.marks import VARIES, Held, Pair, Positions, Read, Values, deep_chains
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

    varying: classes whose units still vary -> what to say of them. refused: class -> why its constant cannot
    be folded. folds: constants to fold for the others.
    """

    varying: dict[int, str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    folds: list[Fold] = field(default_factory=list)

    def misses(self, classes: Labels, why: str) -> None:
        """Note that somebody would miss units of these classes."""
        for root in classes.tolist():
            if why == VARIES or root not in self.varying:
                self.varying[root] = why


def judge(tracer: Tracer, network: nn.Module, roots: Labels, held: Held) -> Judgement:
    """See what every layer that stays would miss if the classes `roots` were gone.

    Args:
        tracer: what a forward pass has shown.
        network: the network it was shown of.
        roots: the classes to be removed.
        held: labels to be taken as held at zero.
    """
    with deep_chains():
        return _judged(tracer, network, roots, held)


def _judged(tracer: Tracer, network: nn.Module, roots: Labels, held: Held) -> Judgement:
    gone = tracer.coupling.members(roots)
    judgement = Judgement()
    by_weight: dict[str | None, list[Read]] = {}
    for read in tracer.reads:
        by_weight.setdefault(read.weight, []).append(read)
    for weight, reads in by_weight.items():
        arriving = [
            own for read in reads if (own := _arriving(tracer, network, read, gone, held)) is not None
        ]
        for own in arriving:
            judgement.misses(own.classes[np.isnan(own.values)], own.read.why)
        sending = [own for own in arriving if own.sends.any()]
        if not sending:
            continue
        # What evaluation sends is folded; a layer that training alone runs has nothing but its own.
        padded = any(own.read.padded for own in sending if own.read.training == arriving[0].read.training)
        classes = {root for own in sending for root in own.classes[own.sends].tolist()}
        fold = _fold_of(arriving) if weight is not None else None
        reason = _obstacle(sending[0].read, network, _times(reads), fold, padded=padded)
        if reason is not None:
            judgement.refused.update(dict.fromkeys(classes, reason))
        elif fold is not None:
            judgement.folds.append(fold)
    for pair in tracer.pairs:
        _judge_pair(tracer, pair, gone, held, judgement)
    return judgement


def _judge_pair(
    tracer: Tracer, pair: Pair, gone: np.typing.NDArray[np.bool_], held: Held, judgement: Judgement
) -> None:
    """What a product of two signals sums over may go where one of the two sends zero."""
    positions = np.flatnonzero(gone[pair.left.labels])
    if not len(positions):
        return
    sent = (plane.constant.at(positions, held) for plane in (pair.left, pair.right))
    left, right = (values[int(pair.training)] for values in sent)
    silent = (left == 0.0) | (right == 0.0)
    classes = tracer.coupling.roots(pair.left.labels[positions])
    sure = ~(np.isnan(left) | np.isnan(right))
    judgement.misses(classes[~silent & ~sure], VARIES)
    reason = "sends a constant into a product of two signals"
    judgement.refused.update(dict.fromkeys(classes[~silent & sure].tolist(), reason))


@dataclass(frozen=True, slots=True)
class _Arriving:
    """What one reading gets from units that go: positions of its signal, their classes and values [n] in the
    mode that it was seen in; NaN where the input decides."""

    read: Read
    positions: Positions
    classes: Labels
    values: np.typing.NDArray[np.float64]

    @property
    def sends(self) -> np.typing.NDArray[np.bool_]:
        """Whether each position sends a constant other than zero."""
        sends: np.typing.NDArray[np.bool_] = ~np.isnan(self.values) & (self.values != 0)
        return sends


def _arriving(
    tracer: Tracer, network: nn.Module, read: Read, gone: np.typing.NDArray[np.bool_], held: Held
) -> _Arriving | None:
    positions = np.flatnonzero(gone[read.signal.labels])
    if len(positions):
        positions = positions[_listened(tracer, network, read, positions, gone)]
    if not len(positions):
        return None
    classes = tracer.coupling.roots(read.signal.labels[positions])
    # Each pass knows its own mode: what one path sends in the other mode it does not.
    values = read.signal.constant.at(positions, held)[int(read.training)]
    return _Arriving(read, positions, classes, values)


def _times(reads: list[Read]) -> int:
    """How often a layer is used in a pass, at most."""
    return max(sum(read.training == training for read in reads) for training in (False, True))


def _fold_of(arriving: list[_Arriving]) -> Fold | None:
    """The constant that a layer which is used once gets; None if its modes read it in different ways."""
    first, other = arriving[0], arriving[-1]
    if len(arriving) > 2 or not _alike(first.read, other.read):
        return None
    columns = [own.read.in_positions[own.positions] for own in (first, other)]
    orders = [np.argsort(own) for own in columns]
    if not np.array_equal(columns[0][orders[0]], columns[1][orders[1]]):
        return None
    training = np.empty_like(other.values)
    training[orders[0]] = other.values[orders[1]]
    values = np.stack([first.values, training])
    # What varies is none to fold: it is reported as such.
    known = ~np.isnan(values).any(axis=0) & (values != 0).any(axis=0)
    return Fold(first.read, first.positions[known], values[:, known])


def _alike(first: Read, other: Read) -> bool:
    return all(
        getattr(first, name) == getattr(other, name)
        for name in ("in_axis", "out_axis", "bias", "foldable", "scaled", "norm")
    )


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


def _obstacle(read: Read, network: nn.Module, times: int, fold: Fold | None, *, padded: bool) -> str | None:
    layer = layer_of(read.weight) if read.weight is not None else "a computed weight"
    if padded:
        return f"sends a constant into the zero padding of {layer!r}, which no bias can stand for"
    if times > 1:
        return f"sends a constant into {layer!r}, which is used more than once"
    if not read.foldable or read.weight is None:
        return f"sends a constant into {layer!r}, whose weight is computed from others"
    if fold is None:
        return f"sends a constant into {layer!r}, which is used in another way in training mode"
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
