"""Edits of one proposal, which speak of the network as it was seen, put in terms of what it is by now."""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from harness.surgery.changes.draft import Draft
from harness.surgery.edits import NetworkEdit, Remove, Reset, Widen
from harness.surgery.errors import SurgeryError
from harness.surgery.fitting import followed_without, settle
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.follow import follow
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.paths import layer_of
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.tracing.units import chosen, unit_labels


class Proposal:
    """The names that a proposal's edits give to units, and the tracing that they need.

    Edits of single weights need none. A trace is kept for as long as it holds.
    """

    def __init__(self, draft: Draft, edits: Sequence[NetworkEdit], example: Example) -> None:
        """Look at all layers that edits name.

        Raises:
            SurgeryError: for a network that cannot be followed, or a layer that it does not have.
        """
        self._draft, self._example = draft, example
        self._latest: tuple[int, int, Tracer] | None = None
        self._settled = False
        named = [edit.layer for edit in edits if isinstance(edit, Remove | Reset | Widen)]
        self._seen: Tracer | None = self.followed() if named else None
        self._labels: dict[str, Labels] = {
            layer: unit_labels(self._seen, draft.network, layer)
            for layer in dict.fromkeys(named)
            if self._seen is not None
        }

    def structure(self) -> Tracer:
        """What belongs together in the network as it is now; its values may be those of a moment ago."""
        if self._latest is None or self._latest[1] != self._draft.reshapes:
            return self.values()
        return self._settle(*self._latest)

    def values(self) -> Tracer:
        """What belongs together in the network as it is now, and what its units send."""
        return self._settle(self._draft.changes, self._draft.reshapes, self.followed())

    def followed(self) -> Tracer:
        """The same, where nobody has tried yet whether the network's code lets whole heads go."""
        if self._latest is None or self._latest[0] != self._draft.changes:
            tracer = follow(self._draft.network, self._example)
            self._latest, self._settled = (self._draft.changes, self._draft.reshapes, tracer), False
        return self._latest[2]

    def settled(self, failed: list[int]) -> Tracer:
        """The same, for those who have tried it.

        Args:
            failed: classes that cannot go, of axes that were preferred (`fitting.contested`).
        """
        tracer = self.followed()
        if failed:
            tracer = followed_without(tracer, self._draft.network, self._example, failed)
        self._latest, self._settled = (self._draft.changes, self._draft.reshapes, tracer), True
        return tracer

    def _settle(self, changes: int, reshapes: int, tracer: Tracer) -> Tracer:
        if not self._settled:
            tracer = settle(tracer, self._draft.network, self._example)
            self._latest, self._settled = (changes, reshapes, tracer), True
        return tracer

    def removal(self, edit: Remove) -> Remove | None:
        """A `Remove` by the indices that units have now; None if they are gone already."""
        units = [unit for unit in self._units(edit.layer, edit.units) if unit is not None]
        return dataclasses.replace(edit, units=tuple(units)) if units or not edit.units else None

    def reset(self, edit: Reset) -> tuple[Reset | None, int]:
        """A `Reset` of the units that are left, in the shape of their weights by now; how many were gone."""
        units = self._units(edit.layer, edit.units)
        left = [number for number, unit in enumerate(units) if unit is not None]
        if not left:
            return (None if units else edit), len(units)
        path, axis = self._rows(edit.layer)
        now = self._draft.seen.now(path)
        if now is None or not self._draft.seen.is_moved(path):
            return edit, 0
        if edit.weight.dim() == 0 or len(edit.weight) != len(units):
            self._refuse_rows(edit, path, axis)
        if edit.bias is not None and edit.bias.shape != (len(units),):
            raise SurgeryError(
                f"New values for {len(units)} units of {edit.layer + '.bias'!r} must have shape "
                f"({len(units)},), not {tuple(edit.bias.shape)}."
            )
        places = [unit for unit in units if unit is not None]
        rows = self._draft.tensor(now).detach().movedim(axis, 0)[places].movedim(0, axis)
        given = edit.weight[left].movedim(0, axis) if edit.weight.dim() > axis else edit.weight[left]
        weight = self._draft.seen.laid(path, given, rows, but=axis).movedim(axis, 0)
        bias = edit.bias[left] if edit.bias is not None else None
        return Reset(edit.layer, tuple(places), weight, bias), len(units) - len(left)

    def widening(self, edit: Widen) -> Widen | None:
        """A `Widen` in the shapes that weights have by now; None if its layer is gone."""
        if edit.layer in self._draft.seen.modules and not self._draft.seen.stands(edit.layer):
            return None
        place = self._seen.producers.get(edit.layer) if self._seen is not None else None
        if place is None:
            return edit
        path, axis = place
        incoming = edit.incoming
        if self._draft.seen.is_moved(path):
            incoming = self._grown(path, axis, incoming.movedim(0, axis)).movedim(axis, 0)
        outgoing = {}
        for reader, weight in edit.outgoing.items():
            own = self._read(reader)
            if own is not None and self._draft.seen.is_moved(own[0]):
                outgoing[reader] = self._grown(*own, weight)
            else:
                outgoing[reader] = weight
        return dataclasses.replace(edit, incoming=incoming, outgoing=outgoing)

    def _grown(self, path: str, axis: int, given: Tensor) -> Tensor:
        """Weights for new positions of an axis; on the others, what was put in since gets zeros."""
        now = self._draft.seen.now(path)
        assert now is not None
        shape = list(self._draft.tensor(now).shape)
        if given.dim() != len(shape):
            raise SurgeryError(f"New weights of {path!r} must have {len(shape)} axes, not {given.dim()}.")
        shape[axis] = given.shape[axis]
        return self._draft.seen.laid(path, given, torch.zeros(shape, dtype=given.dtype), but=axis)

    def _read(self, reader: str) -> tuple[str, int] | None:
        """The weight, and its axis, by which a layer reads units."""
        reads = self._seen.reads if self._seen is not None else []
        for read in reads:
            if read.weight is not None and layer_of(read.weight) == reader:
                return read.weight, read.in_axis
        return None

    def _rows(self, layer: str) -> tuple[str, int]:
        assert self._seen is not None
        return self._seen.producers.get(layer, self._seen.owner(int(self._labels[layer][0])))

    def _refuse_rows(self, edit: Reset, path: str, axis: int) -> None:
        shape = list(self._draft.seen.shape(path))
        del shape[axis]
        raise SurgeryError(
            f"New values for {len(edit.units)} units of {path!r} must have shape "
            f"{(len(edit.units), *shape)}, not {tuple(edit.weight.shape)}."
        )

    def _units(self, layer: str, units: Sequence[int]) -> list[int | None]:
        """For each of some units, as they were seen, its index by now; None if it is gone.

        Raises:
            SurgeryError: for units that the layer did not have.
        """
        assert self._seen is not None
        picked = chosen(self._labels[layer], layer, tuple(units))
        if not self._draft.reshapes:
            return [int(unit) for unit in units]
        now, indices = self.structure(), {}
        if layer not in self._draft.seen.modules or self._draft.seen.stands(layer):
            labels = unit_labels(now, self._draft.network, layer)
            indices = {label: index for index, label in enumerate(labels.tolist())}
        found: list[int | None] = []
        for label in picked.tolist():
            path, axis = self._seen.owner(label)
            position = self._draft.seen.position(path, axis, label - self._seen.starts[path][axis])
            by_now = self._draft.seen.now(path)
            if position is None or by_now is None:
                found.append(None)
            else:
                found.append(indices.get(now.starts[by_now][axis] + position))
        return found
