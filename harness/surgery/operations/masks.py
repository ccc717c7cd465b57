"""Holding single weights at zero.

A mask is a buffer `<parameter>_mask` beside its parameter, so that it moves between devices, is stored with
the network and is cut with it. The network's forward pass does not read it: the weights themselves are zero,
and the training loop puts them back to zero after every step, whatever the optimizer did.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from harness.surgery.changes.draft import Draft
from harness.surgery.edits import Mask
from harness.surgery.errors import SurgeryError
from harness.surgery.tracing.follow import MASK_SUFFIX


@torch.no_grad()
def hold_masks(network: nn.Module) -> None:
    """Put every masked entry back to zero: after each optimizer step; costs next to nothing without masks."""
    hold(masked_parameters(network))


def masked_parameters(network: nn.Module) -> list[tuple[nn.Parameter, Tensor]]:
    """Every parameter that has a mask, with it; to be asked again when the structure has changed."""
    found = []
    for module in network.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None and name.endswith(MASK_SUFFIX):
                parameter = module._parameters.get(name.removesuffix(MASK_SUFFIX))
                if parameter is not None:
                    found.append((parameter, buffer))
    return found


@torch.no_grad()
def hold(masked: Iterable[tuple[nn.Parameter, Tensor]]) -> None:
    """Put the masked entries of these parameters back to zero."""
    for parameter, mask in masked:
        parameter.mul_(mask)


def mask(draft: Draft, edit: Mask) -> int:
    """Carry out a `Mask`; how many entries are newly held at zero.

    Raises:
        SurgeryError: if there is no such parameter, or `keep` has another shape or type.
    """
    weight = draft.tensor(edit.parameter)
    if not isinstance(weight, nn.Parameter):
        raise SurgeryError(f"{edit.parameter!r} is a buffer; only parameters can be masked.")
    if edit.keep.shape != weight.shape or edit.keep.dtype != torch.bool:
        raise SurgeryError(
            f"The mask of {edit.parameter!r} must be a bool tensor of shape {tuple(weight.shape)}, not "
            f"{edit.keep.dtype} of shape {tuple(edit.keep.shape)}."
        )
    keep = edit.keep.to(weight.device)
    path = edit.parameter + MASK_SUFFIX
    layer, _, name = path.rpartition(".")
    before = draft.network.get_submodule(layer)._buffers.get(name)
    if before is None:
        draft.add_buffer(path, keep)
        new = int((~keep).sum())
    else:
        new = int((before & ~keep).sum())
        draft.change(path, lambda old: old & keep.to(old.device))
    draft.change(edit.parameter, lambda old: old * keep.to(old.device))
    return new


def masked(draft: Draft, path: str, values: Tensor) -> Tensor:
    """Values for a parameter, with zeros where it is masked."""
    layer, _, name = (path + MASK_SUFFIX).rpartition(".")
    keep = draft.network.get_submodule(layer)._buffers.get(name)
    return values if keep is None else values * keep.to(values.device)
