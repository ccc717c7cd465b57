"""Single weights: holding them at zero, letting them go, giving them values.

A mask is a buffer beside its parameter (`harness.surgery.masking`), so that it moves between devices, is
stored with the network and is cut with it. The network's forward pass does not read it: the weights
themselves are zero, and the training loop puts them back to zero after every step, whatever the optimizer
did.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from harness.surgery.changes.draft import Draft
from harness.surgery.edits import Assign, Mask, Unmask
from harness.surgery.errors import SurgeryError
from harness.surgery.masking import MASK_SUFFIX, mask_at, masks_of


@torch.no_grad()
def hold_masks(network: nn.Module) -> None:
    """Put every masked entry back to zero: after each optimizer step; costs next to nothing without masks."""
    hold(masked_parameters(network))


def masked_parameters(network: nn.Module) -> list[tuple[nn.Parameter, Tensor]]:
    """Every parameter that has a mask, with it; to be asked again when the structure has changed."""
    found = []
    for module in network.modules():
        found += [(parameter, mask) for _, parameter, mask in masks_of(module)]
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
    shape = draft.seen.shape(edit.parameter)
    if edit.keep.shape != shape or edit.keep.dtype != torch.bool:
        raise SurgeryError(
            f"The mask of {edit.parameter!r} must be a bool tensor of shape {tuple(shape)}, not "
            f"{edit.keep.dtype} of shape {tuple(edit.keep.shape)}."
        )
    path = _parameter(draft, edit.parameter, "masked")
    if path is None:
        return 0
    weight = draft.tensor(path)
    keep = draft.seen.laid(edit.parameter, edit.keep, torch.ones_like(weight, dtype=torch.bool))
    before = mask_at(draft.network, path)
    new = int((~keep if before is None else before & ~keep).sum())
    if not new:
        return 0
    if before is None:
        draft.add_mask(path, keep)
    else:
        draft.change(path + MASK_SUFFIX, lambda old: old & keep.to(old.device))
    draft.change(path, lambda old: old * keep.to(old.device))
    return new


def unmask(draft: Draft, edit: Unmask) -> int:
    """Carry out an `Unmask`; how many entries are free again.

    Raises:
        SurgeryError: if there is no such parameter, or entries have another shape or type.
    """
    entries = _entries(edit.entries, draft.seen.shape(edit.parameter), edit.parameter)
    path = _parameter(draft, edit.parameter, "masked")
    before = mask_at(draft.network, path) if path is not None else None
    if path is None or before is None:
        return 0
    freed = draft.seen.laid(edit.parameter, entries, torch.zeros_like(before)) & ~before
    if not freed.any():
        return 0
    draft.change(path + MASK_SUFFIX, lambda old: old | freed.to(old.device))
    draft.change(path, lambda old: old.masked_fill(freed.to(old.device), 0))
    return int(freed.sum())


def assign(draft: Draft, edit: Assign) -> int:
    """Carry out an `Assign`; how many entries got a value.

    Raises:
        SurgeryError: if there is no such tensor, or values or entries have another shape or type.
    """
    shape, name = draft.seen.shape(edit.parameter), edit.parameter
    entries = _entries(edit.entries, shape, name) if edit.entries is not None else None
    values = _values(edit, entries, shape)
    path = draft.seen.now(name)
    if path is None:
        return 0
    old = draft.tensor(path)
    if not old.is_floating_point():
        raise SurgeryError(f"{name!r} holds {old.dtype}; only tensors of floating-point numbers get values.")
    chosen = torch.zeros_like(old, dtype=torch.bool)
    seen = entries if entries is not None else torch.ones(shape, dtype=torch.bool)
    chosen = draft.seen.laid(name, seen, chosen)
    laid = draft.seen.laid(name, values, old.detach())
    keep = mask_at(draft.network, path)
    if keep is not None:
        chosen &= keep
    if not chosen.any():
        return 0

    def assigned(own: Tensor) -> Tensor:
        return torch.where(chosen.to(own.device), laid.to(own), own)

    def forgotten(own: Tensor) -> Tensor:
        return own.masked_fill(chosen.to(own.device), 0)

    draft.change(path, assigned, forgotten if edit.forget else _kept)
    return int(chosen.sum())


def masked(draft: Draft, path: str, values: Tensor) -> Tensor:
    """Values for a parameter, with zeros where it is masked."""
    keep = mask_at(draft.network, path)
    return values if keep is None else values * keep.to(values.device)


def _parameter(draft: Draft, name: str, what: str) -> str | None:
    """The path of a parameter by now; None if it is gone."""
    path = draft.seen.now(name)
    if path is not None and not isinstance(draft.tensor(path), nn.Parameter):
        raise SurgeryError(f"{name!r} is a buffer; only parameters can be {what}.")
    return path


def _entries(entries: Tensor, shape: torch.Size, name: str) -> Tensor:
    """Entries as a bool tensor of a parameter's shape."""
    if entries.dtype == torch.bool and entries.shape == shape:
        return entries
    if entries.dtype != torch.int64 or entries.dim() != 1:
        raise SurgeryError(
            f"Entries of {name!r} must be a bool tensor of shape {tuple(shape)}, or int64 [k], places in "
            f"the flattened parameter; not {entries.dtype} of shape {tuple(entries.shape)}."
        )
    wrong = entries[(entries < 0) | (entries >= shape.numel())]
    if len(wrong):
        raise SurgeryError(
            f"{name!r} has entries 0 to {shape.numel() - 1}; there is no entry {int(wrong[0])} to work on."
        )
    if len(entries.unique()) != len(entries):
        raise SurgeryError(f"{name!r} was given the same entry twice in one edit.")
    chosen = torch.zeros(shape, dtype=torch.bool, device=entries.device)
    chosen.view(-1)[entries] = True
    return chosen


def _values(edit: Assign, entries: Tensor | None, shape: torch.Size) -> Tensor:
    """Values of the entries in their places of a tensor of the parameter's shape."""
    values, count = edit.values, shape.numel() if entries is None else int(entries.sum())
    if values.dim() == 0:
        return values.expand(shape)
    wanted = shape if entries is None else torch.Size([count])
    if values.shape != wanted:
        raise SurgeryError(
            f"Values for {count} entries of {edit.parameter!r} must have shape {tuple(wanted)}, or be one "
            f"number, not {tuple(values.shape)}."
        )
    if edit.entries is None or entries is None:
        return values
    whole = values.new_zeros(shape)
    if edit.entries.dtype == torch.bool:
        whole[entries.to(values.device)] = values
    else:
        whole.view(-1)[edit.entries.to(values.device)] = values
    return whole


def _kept(tensor: Tensor) -> Tensor:
    return tensor
