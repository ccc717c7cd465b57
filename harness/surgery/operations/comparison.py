"""Comparing what a network gives before and after a removal, in both modes."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from harness.surgery.certificate import BY_BATCH, EVALUATION, TRAINING, Answer, answer
from harness.surgery.errors import SurgeryError
from harness.surgery.operations.norms import correction, lost_of
from harness.surgery.operations.removal import Removal, differing
from harness.surgery.operations.silence import Fold, contribution
from harness.surgery.rounding import beyond_rounding
from harness.surgery.tracing.computed import holds_weights, weight_at
from harness.surgery.tracing.example import Example, floating
from harness.surgery.tracing.follow import run
from harness.surgery.tracing.scratch import scratch
from harness.surgery.tracing.tracer import Tracer

_HALF = (torch.float16, torch.bfloat16)
#: Any numbers will do, if they are the same ones before and after.
_SEED = 0


@dataclass(frozen=True, slots=True)
class Expected:
    """What a network has to give when units are gone: mode -> answer, for the modes in which that is known.

    wide: whether it was asked in single precision, its weights being in half.
    """

    answers: dict[str, Answer]
    wide: bool


@torch.no_grad()
def expected(tracer: Tracer, removal: Removal, network: nn.Module, example: Example) -> Expected:
    """What a network gives that is about to be cut, with units that still vary held at zero.

    Nothing is known of training mode where a constant that is folded is another one there; nor where units
    that vary send a constant into a layer that has no bias yet.
    """
    modes = [EVALUATION] if any(differing(removal).values()) else [EVALUATION, TRAINING]
    held = _held(tracer, removal, network)
    if held is None:
        return Expected({}, wide=False)
    wide = any(own.dtype in _HALF for own in network.parameters())
    for own in (True, False) if wide else (False,):
        try:
            with scratch(network, held) if len(removal.forced) else nullcontext():
                return Expected(_answers(network, example, modes, wide=own), own)
        except SurgeryError:  # it may not run in single precision
            if not own:
                raise
    raise AssertionError


def _answers(network: nn.Module, example: Example, modes: list[str], *, wide: bool) -> dict[str, Answer]:
    answers = {}
    with _widened(network) if wide else nullcontext():
        example = floating(example, _single) if wide else example
        for mode in modes:
            known = answer(network, example, mode, seed=_SEED)
            if known.drawn and mode == TRAINING:
                mode, known = BY_BATCH, answer(network, example, BY_BATCH, seed=_SEED)
            answers[mode] = known
    return answers


def _widened(network: nn.Module) -> AbstractContextManager[object]:
    return scratch(network, _single)


def _single(own: Tensor) -> Tensor:
    return own.detach().float() if own.dtype in _HALF else own.detach()


@torch.no_grad()
def check_as_expected(known: Expected, removal: Removal, network: nn.Module, example: Example) -> None:
    """See that a network that has been cut gives what it has to.

    Raises:
        SurgeryError: if it does not, with the difference; or if it does not run.
    """
    layers = ", ".join(repr(layer) for layer in removal.removed)
    if not known.answers:
        run(network, example)
    own = floating(example, _single) if known.wide else example
    kept_in = next((each.dtype for each in network.parameters() if each.dtype in _HALF), None)
    with _widened(network) if known.wide else nullcontext():
        for mode, before in known.answers.items():
            try:
                after = answer(network, own, mode, seed=_SEED)
            except SurgeryError as error:
                said = " ".join(str(error.__cause__ or error).split())
                raise SurgeryError(
                    f"Without units of {layers} the network does not run ({said:.160}): its code was written "
                    "for a fixed size."
                ) from error
            if before.drawn or after.drawn:  # other numbers may be drawn for another size
                continue
            rounded = kept_in if removal.folds else None
            change = beyond_rounding(network, own, mode, before, after, rounded)
            if change is not None:
                where = "evaluation" if mode == EVALUATION else "training"
                raise SurgeryError(
                    f"Removing units of {layers} changes the output in {where} mode by {change:.2g} of its "
                    "scale, though nothing should be missed: a width enters the network's arithmetic where "
                    "surgery cannot follow it."
                )


def _held(tracer: Tracer, removal: Removal, network: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """Values with which units that vary are silent, and their constants folded; None if there is no place."""
    members = tracer.coupling.members(removal.forced)
    shifts: dict[str, Tensor] = {}
    for fold in removal.folds:
        chosen = np.flatnonzero(members[fold.read.signal.labels[fold.positions]])
        if not len(chosen):
            continue
        place, sign = (fold.read.bias, 1) if fold.read.bias is not None else (fold.read.norm, -1)
        if place is None or fold.read.weight is None:
            return None
        part = Fold(fold.read, fold.positions[chosen], fold.values[:, chosen])
        added = sign * contribution(part, weight_at(network, fold.read.weight))
        shifts[place] = shifts[place] + added if place in shifts else added
    paths = {id(own): path for path, own in (*network.named_buffers(), *network.named_parameters())}
    lengths = {normed.magnitude: normed for normed in tracer.normed.values()}

    def value(own: Tensor) -> Tensor:
        path, new = paths[id(own)], own.detach()
        if path in shifts:
            new = (new.double() + shifts[path]).to(new.dtype)
        if path in lengths:
            new = new + correction(network, lengths[path], lost_of(tracer, lengths[path], members)).to(
                new.dtype
            )
        normed = tracer.normed.get(path)
        if holds_weights(own):
            for axis in range(own.dim()) if normed is None else normed.others:
                gone = members[tracer.labels(path, axis)]
                if gone.any():
                    index = torch.from_numpy(np.flatnonzero(gone)).to(own.device)
                    new = new.index_fill(axis, index, 0)
        return new

    return value
