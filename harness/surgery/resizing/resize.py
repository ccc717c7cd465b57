"""Cutting a network to the widths asked for, before it is trained."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from harness.nearest import nearest
from harness.surgery.changes.draft import Draft
from harness.surgery.errors import SurgeryError
from harness.surgery.operations.removal import Removal, cut, verified
from harness.surgery.resizing.groups import Traced, WidthGroup, fit_widths, traced_for_resizing
from harness.surgery.tracing.example import Example


@torch.no_grad()
def resize(network: nn.Module, example: Example, sizes: Mapping[str, int]) -> None:
    """Cut a network to some widths, in place; what is left keeps its values.

    Unlike removal from a trained network, nothing is judged or folded: the network computes something else
    afterwards, and wants to be initialised anew (`harness.surgery.resizing.initialisation`).

    Args:
        network: any plain module.
        example: a batch of its input, [batch, ...], on its device.
        sizes: layer -> units it shall have, of any member of a `WidthGroup`; heads of an attention. Groups
            that are not named keep their width.

    Raises:
        SurgeryError: naming the layer and the reason, for a width that the network cannot be cut to; it is
            untouched then.
    """
    traced = traced_for_resizing(network, example)
    going = [_going(traced, *asked) for asked in _asked(traced, sizes).items()]
    roots = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *going]))
    if not len(roots):
        return
    removal = Removal(roots, [], {})
    try:
        draft = _cut(traced, network, example, removal)
    except SurgeryError as error:
        # Numbers that its code holds may have to follow.
        fit_widths(traced.tracer, network, example, [int(own[0]) for own in going if len(own)])
        try:
            if not traced.tracer.fits:
                raise
            draft = _cut(traced, network, example, removal)
        except SurgeryError as last:
            asked = ", ".join(f"{layer}: {size}" for layer, size in sizes.items())
            said = " ".join(str(last).split())
            raise SurgeryError(f"The network cannot be cut to {asked}: {said}") from error
    draft.commit()


def _cut(traced: Traced, network: nn.Module, example: Example, removal: Removal) -> Draft:
    draft = Draft(network, None)
    try:
        cut(draft, traced.tracer, removal)
        if not verified(traced.tracer, removal, network, example):
            raise SurgeryError("units were reshaped in code that was written for fixed sizes")
    except BaseException:
        draft.rollback()
        raise
    return draft


def _asked(traced: Traced, sizes: Mapping[str, int]) -> dict[str, int]:
    """Group -> classes that it shall have."""
    wanted: dict[str, int] = {}
    for layer, size in sizes.items():
        group = group_of(traced.groups, layer)
        classes = _classes(group, layer, size)
        if wanted.setdefault(group.name, classes) != classes:
            raise SurgeryError(f"{layer} and {group.name} have one width; two were asked for.")
    return wanted


def group_of(groups: tuple[WidthGroup, ...], layer: str) -> WidthGroup:
    """The group that a layer or normalisation belongs to. Raises SurgeryError."""
    for group in groups:
        if layer in group.members:
            return group
    known = {member: None for group in groups for member in group.members}
    raise SurgeryError(f"The network has no layer {layer!r} with units{nearest(layer, known)}")


def _classes(group: WidthGroup, layer: str, size: int) -> int:
    """How many classes a size of a layer is. Raises SurgeryError if the layer cannot have it."""
    units, step = group.members[layer], group.step(layer)
    if size == units:
        return group.classes
    if group.refused is not None:
        raise SurgeryError(f"The width of {layer!r} cannot be changed: {group.refused}.")
    if not 1 <= size <= units:
        raise SurgeryError(
            f"The layer {layer!r} can have 1 to {units} units, as it was built; {size} were asked for."
        )
    if size % step:
        raise SurgeryError(
            f"Units of the layer {layer!r} go together by {step}: it can have multiples of {step} up to "
            f"{units}; {size} were asked for."
        )
    return size // step


def _going(traced: Traced, name: str, classes: int) -> np.typing.NDArray[np.int64]:
    return traced.order[name][classes:]
