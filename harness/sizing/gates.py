"""Gates: a factor per unit that a sizing method can learn, and that a network can be rid of again.

A unit's output is multiplied by max(0, gate) (*ShrinkNets*, Leclerc, Castro Fernandez and Madden, "I * max(0,
θ)"); a unit whose gate is at or below zero is dead. The factor is put on the rows of the weight and on the
bias of the layer that makes the unit: the same function, and far cheaper than scaling what comes out. A gate
on a batch normalisation scales the normalisation's own factor and shift: the same as a gate behind it.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class Gated:
    """What all gated layers share.

    per_unit: tensors of a layer that have one entry for each of its units -> what a unit that is put in
    later starts with. `harness.surgery` cuts and extends them together with the layer's rows.
    """

    per_unit: ClassVar[Mapping[str, float]] = {"gate": 1.0}
    gate: nn.Parameter

    def factor(self) -> Tensor:
        """[units]: what each unit is multiplied by."""
        return functional.relu(self.gate)


class GatedLinear(Gated, nn.Linear):
    """A linear layer whose units are gated."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., in_features] to [..., out_features]."""
        factor = self.factor()
        if input.numel() < self.in_features * self.in_features:
            # Fewer examples than features: the output has fewer entries than the weight.
            return functional.linear(input, self.weight, self.bias) * factor
        bias = self.bias * factor if self.bias is not None else None
        return functional.linear(input, self.weight * factor.unsqueeze(1), bias)


class _GatedConvolution(Gated):
    weight: Tensor
    bias: Tensor | None

    def forward(self, input: Tensor) -> Tensor:
        """[batch, in_channels, ...] to [batch, out_channels, ...]."""
        factor = self.factor()
        weight = self.weight * factor.view([-1] + [1] * (self.weight.dim() - 1))
        bias = self.bias * factor if self.bias is not None else None
        return self._conv_forward(input, weight, bias)  # type: ignore[attr-defined, no-any-return]


class GatedConv1d(_GatedConvolution, nn.Conv1d):
    """A convolution over one axis whose channels are gated."""


class GatedConv2d(_GatedConvolution, nn.Conv2d):
    """A convolution over two axes whose channels are gated."""


class GatedConv3d(_GatedConvolution, nn.Conv3d):
    """A convolution over three axes whose channels are gated."""


_GATED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: GatedLinear,
    nn.Conv1d: GatedConv1d,
    nn.Conv2d: GatedConv2d,
    nn.Conv3d: GatedConv3d,
}
_PLAIN = {gated: plain for plain, gated in _GATED.items()}


def attach_gates(
    network: nn.Module, layers: Iterable[str], initial: Mapping[str, Tensor] | float | None = None
) -> None:
    """Put a gate on every unit of some layers, in place; paths of all other parameters stay as they are.

    Args:
        network: the network to change. Gates are new parameters `<layer>.gate`, [units].
        layers: paths of linear layers, convolutions or batch normalisations.
        initial: where gates start: layer -> [units], one number for all, or None for U(0, 1] drawn from
            torch's global generator, layer after layer.

    Raises:
        ValueError: if there is no such layer, it is of another kind, or is gated already.
    """
    for layer in layers:
        module = _layer(network, layer)
        kind = _GATED.get(type(module))
        if kind is None:
            allowed = ", ".join(sorted(plain.__name__ for plain in _GATED))
            raise ValueError(f"The layer {layer!r} is a {type(module).__name__}; gates go on {allowed}.")
        weight = cast(Tensor, module.weight)
        if isinstance(initial, Mapping):
            start = initial[layer].to(weight)
        elif initial is not None:
            start = weight.new_full(weight.shape[:1], initial)
        else:
            # rand() lies in [0, 1): turned round, no gate starts dead.
            start = 1 - torch.rand(weight.shape[:1], dtype=weight.dtype, device=weight.device)
        gated = _as(module, kind)
        gated.gate = nn.Parameter(start.clone())
        _replace(network, module, gated)


def gates(network: nn.Module) -> dict[str, nn.Parameter]:
    """Path of each gated layer -> its gates."""
    return {path: module.gate for path, module in network.named_modules() if isinstance(module, Gated)}


def dead_units(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Path of each gated layer -> indices of its units whose gate is at or below zero."""
    return {
        path: tuple(torch.nonzero(gate.detach() <= 0).flatten().tolist())
        for path, gate in gates(network).items()
    }


@torch.no_grad()
def fold_gates(network: nn.Module) -> None:
    """Multiply gates into the weights, in place: plain layers that compute the same are left, and no gate."""
    for module in list(network.modules()):
        if isinstance(module, Gated):
            plain = _PLAIN[type(module)]
            factor = module.factor()
            folded = _as(cast(nn.Module, module), plain)
            for name in module.per_unit:
                folded._parameters.pop(name, None)
                folded._buffers.pop(name, None)
            weight = cast(Tensor, folded.weight)
            folded.weight = _like(weight, weight * factor.view([-1] + [1] * (weight.dim() - 1)))
            if folded.bias is not None:
                bias = cast(Tensor, folded.bias)
                folded.bias = _like(bias, bias * factor)
            _replace(network, cast(nn.Module, module), folded)


def _like(old: Tensor, values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=old.requires_grad)


def _layer(network: nn.Module, path: str) -> nn.Module:
    try:
        return network.get_submodule(path)
    except AttributeError:
        raise ValueError(f"The network has no layer {path!r}.") from None


def _as(module: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """A module of another class with the same tensors, options and hooks."""
    made = kind.__new__(kind)
    made.__dict__.update(module.__dict__)
    for registry in ("_parameters", "_buffers", "_modules"):
        made.__dict__[registry] = dict(module.__dict__[registry])
    return made


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module in another's place, everywhere it is used."""
    for holder in list(network.modules()):
        for name, child in holder._modules.items():
            if child is old:
                holder._modules[name] = new
