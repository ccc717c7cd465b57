"""Putting units in at the end of a layer."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from harness.surgery.changes.draft import Draft
from harness.surgery.changes.seen import Places
from harness.surgery.edits import Widen
from harness.surgery.errors import SurgeryError
from harness.surgery.masking import MASK_SUFFIX, masked_names
from harness.surgery.operations.resize import fit_attributes
from harness.surgery.tracing.computed import is_computed_from
from harness.surgery.tracing.paths import layer_of
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.tracing.units import unit_labels


def widen(draft: Draft, tracer: Tracer, edit: Widen) -> int:
    """Carry out a `Widen`; how many units were put in.

    Everything coupled with the layer grows too: other layers on the same sum by rows of zeros,
    normalisation by units at rest (scale 1, shift 0, mean 0, variance 1), gates at their declared start.

    Raises:
        SurgeryError: where units cannot be added, or weights have another shape.
    """
    labels = unit_labels(tracer, draft.network, edit.layer)
    classes = tracer.coupling.roots(labels)
    members = tracer.coupling.members(classes)
    _check(tracer, draft.network, edit, classes)
    new = edit.incoming.shape[0]
    if not new:
        return 0
    path, axis = tracer.producers[edit.layer]
    readers = {read.weight: read.in_axis for read in tracer.reads}
    grown: dict[str, None] = {}
    passed: set[str] = set()
    for own, starts in tracer.starts.items():
        for place, start in enumerate(starts):
            size = tracer.tensors[own].shape[place]
            positions = np.flatnonzero(members[start : start + size])
            if not len(positions):
                continue
            _check_weight(tracer, edit.layer, own)
            along = tracer.coupling.roots(np.arange(start, start + size))
            times = _multiplicity(edit.layer, own, along, positions, classes)
            if (own, place) == (path, axis):
                values: Tensor | float = edit.incoming
            elif own == f"{edit.layer}.bias":
                assert edit.incoming_bias is not None
                values = edit.incoming_bias
            elif readers.get(own) == place:
                values = edit.outgoing.get(own.rpartition(".")[0], 0.0)
            elif own in edit.passing:
                values = edit.passing[own]
                passed.add(own)
            else:
                values = _start(draft.network, own, edit.outgoing)
            draft.change(
                own,
                Insert(place, int(positions[-1]) + 1, new * times, values, own),
                Insert(place, int(positions[-1]) + 1, new * times, 0.0, own),
            )
            grown[own.rpartition(".")[0]] = None
    if strange := sorted(edit.passing.keys() - passed):
        raise SurgeryError(f"New units of {edit.layer!r} do not pass through {strange[0]!r}.")
    for layer in grown:
        fit_attributes(draft, layer)
    return new


def _check(tracer: Tracer, network: nn.Module, edit: Widen, classes: np.typing.NDArray[np.int64]) -> None:
    if edit.layer not in tracer.producers:
        raise SurgeryError(
            f"The layer {edit.layer!r} has no incoming weights, so no units can be added to it."
        )
    frozen = tracer.coupling.frozen()
    reason = next((frozen[root] for root in classes.tolist() if root in frozen), None)
    if reason is not None:
        raise SurgeryError(f"No units can be added to the layer {edit.layer!r}: it is {reason}.")
    members = tracer.coupling.members(classes)
    if any(read.bare and members[read.signal.labels].any() for read in tracer.reads):
        raise SurgeryError(
            f"No units can be added to the layer {edit.layer!r}: its units are summed up as they are, "
            "with no weight that could keep new ones out."
        )
    if len(np.unique(classes)) < len(classes):
        raise SurgeryError(
            f"No single units can be added to the layer {edit.layer!r}: its units go in groups."
        )
    path, axis = tracer.producers[edit.layer]
    _check_weight(tracer, edit.layer, path)
    if isinstance(network.get_submodule(layer_of(path)), nn.RNNBase | nn.RNNCellBase):
        raise SurgeryError(
            f"No units can be added to the layer {edit.layer!r}: it is recurrent, and its units have rows in "
            "several gates."
        )
    rows = tuple(tracer.tensors[path].movedim(axis, 0).shape[1:])
    if edit.incoming.dim() == 0 or tuple(edit.incoming.shape[1:]) != rows:
        raise SurgeryError(
            f"Weights of new units of {edit.layer!r} must have shape (new, {', '.join(map(str, rows))}), "
            f"not {tuple(edit.incoming.shape)}."
        )
    has_bias = f"{edit.layer}.bias" in tracer.tensors
    given = tuple(edit.incoming_bias.shape) if edit.incoming_bias is not None else None
    if given != ((edit.incoming.shape[0],) if has_bias else None):
        needed = f"shape ({edit.incoming.shape[0]},)" if has_bias else "None, because the layer has none"
        raise SurgeryError(f"Biases of new units of {edit.layer!r} must be {needed}.")


def _check_weight(tracer: Tracer, layer: str, path: str) -> None:
    if is_computed_from(tracer, path):
        raise SurgeryError(
            f"No units can be added to the layer {layer!r}: {layer_of(path)!r} computes its weight from "
            "others (weight norm or another parametrization)."
        )


def _multiplicity(
    layer: str,
    path: str,
    along: np.typing.NDArray[np.int64],
    positions: np.typing.NDArray[np.intp],
    classes: np.typing.NDArray[np.int64],
) -> int:
    """How often each unit occurs on an axis, where they lie in one run in their order."""
    times, rest = divmod(len(positions), len(classes))
    in_order = rest == 0 and np.array_equal(along[positions], np.repeat(classes, times))
    if not in_order or positions[-1] - positions[0] + 1 != len(positions):
        raise SurgeryError(
            f"No units can be added to the layer {layer!r}: they do not lie in order in {path!r}."
        )
    return times


def _start(network: nn.Module, path: str, given: Mapping[str, Tensor]) -> Tensor | float:
    """Values of new units in a tensor that neither makes nor reads them."""
    layer, _, name = path.rpartition(".")
    module = network.get_submodule(layer)
    declared: Mapping[str, float] = getattr(module, "per_unit", {})
    if name in declared:
        return declared[name]
    if name.removesuffix(MASK_SUFFIX) in masked_names(module) and name.endswith(MASK_SUFFIX):
        return 1.0
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return 1.0 if name in ("weight", "running_var") else 0.0
    if isinstance(module, nn.GroupNorm):
        return 1.0 if name == "weight" else 0.0
    if isinstance(module, nn.modules.conv._ConvNd) and module.groups > 1 and name == "weight":
        if layer not in given:
            raise SurgeryError(f"New units pass through {layer!r} alone, so `outgoing` must give it weights.")
        return given[layer]
    if isinstance(module, nn.PReLU):
        return 0.25
    return 0.0


class Insert:
    """Put positions into one axis."""

    def __init__(self, axis: int, place: int, count: int, values: Tensor | float, path: str) -> None:
        self._axis, self._place, self._count, self._values, self._path = axis, place, count, values, path

    def __call__(self, tensor: Tensor) -> Tensor:
        shape = list(tensor.shape)
        shape[self._axis] = self._count
        if isinstance(self._values, Tensor):
            if list(self._values.shape) != shape:
                raise SurgeryError(
                    f"New weights of {self._path!r} must have shape {tuple(shape)}, "
                    f"not {tuple(self._values.shape)}."
                )
            added = self._values.to(tensor)
        else:
            added = tensor.new_full(shape, self._values)
        front = tensor.narrow(self._axis, 0, self._place)
        back = tensor.narrow(self._axis, self._place, tensor.shape[self._axis] - self._place)
        return torch.cat([front, added, back], dim=self._axis)

    def places(self, before: tuple[Places, ...]) -> tuple[Places, ...]:
        """What stands where afterwards, on each axis."""
        new = np.full(self._count, -1, dtype=np.int64)
        front, back = np.split(before[self._axis], [self._place])
        grown = np.concatenate([front, new, back])
        return tuple(grown if axis == self._axis else own for axis, own in enumerate(before))
