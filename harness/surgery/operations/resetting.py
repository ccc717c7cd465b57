"""Giving units new incoming weights."""

import torch
from torch import Tensor, nn

from harness.surgery.changes.draft import Draft
from harness.surgery.edits import Reset
from harness.surgery.errors import SurgeryError
from harness.surgery.operations.masks import masked
from harness.surgery.tracing.computed import is_computed_from
from harness.surgery.tracing.paths import layer_of
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.tracing.units import chosen, unit_labels


def reset(draft: Draft, tracer: Tracer, edit: Reset) -> int:
    """Carry out a `Reset`; how many units got new weights.

    Raises:
        SurgeryError: for a layer without rows of weights, units it does not have, or weights of another
            shape.
    """
    labels = unit_labels(tracer, draft.network, edit.layer)
    positions = chosen(labels, edit.layer, edit.units) - labels[0]
    if edit.layer not in tracer.producers:
        raise SurgeryError(f"The layer {edit.layer!r} has no incoming weights to reset.")
    path, axis = tracer.producers[edit.layer]
    if len(labels) != tracer.tensors[path].shape[axis]:
        raise SurgeryError(
            f"The units of {edit.layer!r} are heads, which have no single row of weights to reset."
        )
    if isinstance(draft.network.get_submodule(layer_of(path)), nn.RNNBase | nn.RNNCellBase):
        raise SurgeryError(
            f"The units of {edit.layer!r}, a recurrent layer, have rows in several gates and no single "
            "one to reset; assign its parameters instead."
        )
    if is_computed_from(tracer, path):
        raise SurgeryError(
            f"The units of {edit.layer!r} cannot be given new weights: its weight is computed from others "
            "(weight norm or another parametrization); assign these instead."
        )
    rows = torch.from_numpy(positions)
    _put(draft, path, axis, rows, edit.weight)
    if edit.bias is not None:
        _put(draft, f"{edit.layer}.bias", 0, rows, edit.bias)
    return len(positions)


def _put(draft: Draft, path: str, axis: int, rows: Tensor, values: Tensor) -> None:
    shape = draft.tensor(path).movedim(axis, 0).shape
    if values.shape != (len(rows), *shape[1:]):
        raise SurgeryError(
            f"New values for {len(rows)} units of {path!r} must have shape {(len(rows), *shape[1:])}, "
            f"not {tuple(values.shape)}."
        )

    if not len(rows):
        return

    def renewed(old: Tensor) -> Tensor:
        new = old.clone()
        new.movedim(axis, 0)[rows.to(old.device)] = values.to(old)
        return masked(draft, path, new)

    def forgotten(old: Tensor) -> Tensor:
        new = old.clone()
        new.movedim(axis, 0)[rows.to(old.device)] = 0
        return new

    draft.change(path, renewed, forgotten)
