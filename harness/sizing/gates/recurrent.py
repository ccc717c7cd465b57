"""Gated recurrent layers: a gate in front of what a unit writes, in all layers and directions at once.

What a recurrent unit sends cannot be scaled by any weight of its own layer, as it is read within the layer,
and squashed. So a gate multiplies what the unit is told to write (the candidate of an LSTM or a GRU, the
whole of a plain unit): rows of the layer's own weights, as for a linear layer in front of a tanh. With the
gate shut the unit writes nothing: from zero it stays zero, for the recurrence too, for the layers above and
for whoever reads the layer. Outputs of a projection are scaled as they are made.
"""

import sys
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from harness.sizing.gates.gated import Gated, along
from harness.surgery.tracing.recurrent import WRITING, Recurrent, recurrent

#: Recurrent layers of PyTorch's, and their cells.
RECURRENT: tuple[type[nn.Module], ...] = tuple(WRITING)


def written(module: nn.Module) -> tuple[dict[str, str], str | None, dict[str, str]]:
    """What gates on a recurrent layer multiply: `scaled`, `second` and `second_scaled` of the gated one.

    Raises:
        ValueError: if it is none that runs PyTorch's own forward pass on parameters of its own.
    """
    known = recurrent("", module)
    if known is None:
        raise ValueError("no recurrent layer of PyTorch's own")
    writing = _named([name for own in known.every for name in (own.into, own.back, *(own.biases or ()))])
    projecting = _named([own.project for own in known.every if own.project is not None])
    if not projecting:
        return writing, None, {}
    return projecting, known.hidden[0], writing


def _named(names: list[str]) -> dict[str, str]:
    return {name: name for name in names}


class GatedRecurrent(Gated):
    """A recurrent layer whose hidden units, and outputs if it projects them, are gated."""

    scaled: Mapping[str, str] = {}  # type: ignore[misc]

    def spread(self, factor: Tensor, like: Tensor) -> Tensor:
        """As `Gated.spread`; what gates of a unit are for, but writing, stays as it is."""
        return along(factor, like, 0) if self.second is not None else self._rows(factor, like)

    def spread_second(self, factor: Tensor, like: Tensor) -> Tensor:
        """The same for hidden units behind which a projection follows."""
        return self._rows(factor, like)

    def _rows(self, factor: Tensor, like: Tensor) -> Tensor:
        parts = [torch.ones_like(factor)] * (len(like) // len(factor))
        parts[WRITING[next(kind for kind in RECURRENT if isinstance(self, kind))]] = factor
        return along(torch.cat(parts), like, 0)

    def units_along(self, name: str) -> tuple[str, int]:
        """As `Gated.units_along`."""
        known = self._known()
        return known.hidden if name.startswith("second_") else known.sent

    def _known(self) -> Recurrent:
        known = recurrent("", cast(nn.Module, self))
        assert known is not None
        return known


class GatedRecurrentLayer(GatedRecurrent):
    """A recurrent layer that keeps a list of its weights, which it runs with."""

    @property
    def _flat_weights(self) -> list[Any]:
        names = cast(list[str], self._flat_weights_names)  # type: ignore[attr-defined]
        own = [self.plain_tensor(name) for name in names]
        # For its checks it is asked for the plain ones.
        if not torch.compiler.is_compiling() and sys._getframe(1).f_code.co_name != "forward":
            return own
        return [
            None if tensor is None else self.multiplied(name, tensor)
            for name, tensor in zip(names, own, strict=True)
        ]

    @_flat_weights.setter
    def _flat_weights(self, kept: list[Any]) -> None:
        """There is nothing to keep: it is made anew each time."""

    def _update_flat_weights(self) -> None:
        """The same."""
