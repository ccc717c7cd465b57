"""Gates: a factor per unit that a sizing method can learn, and that a network can be rid of again.

A unit's output is multiplied by max(0, gate) (*ShrinkNets*, Leclerc, Castro Fernandez and Madden, "I * max(0,
θ)"); a unit whose gate is at or below zero is dead. The factor is put on the rows of the weight and on the
bias of the layer that makes the unit: the same function, and far cheaper than scaling what comes out. A gate
on a normalisation scales the normalisation's own factor and shift: the same as a gate behind it. Where units
pass through a normalisation, that is the place for gates: a unit that dies before it still sends the
normalisation's shift on.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.sizing.gate_rules import GateRule, Rectified

#: How many more entries may be scaled before scaling the weight and the bias apart is quicker than scaling
#: once what comes out (measured on a CPU, forward and backward).
_CHEAP_ENTRIES = 2**15
#: From how many entries on a normalisation scales quicker than a product (measured as above).
_LARGE_ENTRIES = 2**16


class Gated:
    """What all gated layers share.

    per_unit: tensors of a layer that have one entry for each of its units -> what a unit that is put in
    later starts with. `harness.surgery` cuts and extends them together with the layer's rows.
    """

    per_unit: ClassVar[Mapping[str, float]] = {
        "gate": 1.0,
        "gate_sign_mean": 1.0,
        "gate_sign_spread": 0.0,
        "gate_alive": 1.0,
    }
    gate: nn.Parameter
    gate_rule: GateRule

    def factor(self) -> Tensor:
        """[units]: what each unit is multiplied by."""
        return self.gate_rule.factor(self.gate)


class GatedLinear(Gated, nn.Linear):
    """A linear layer whose units are gated."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., in_features] to [..., out_features]."""
        factor = self.factor()
        rows = input.shape[:-1].numel()
        if (rows - self.in_features) * self.out_features <= _CHEAP_ENTRIES:
            # Few examples: what comes out has hardly more entries than the weight, and is scaled at once.
            return _scaled(functional.linear(input, self.weight, self.bias), factor)
        bias = self.bias * factor if self.bias is not None else None
        return functional.linear(input, self.weight * factor.unsqueeze(1), bias)


def _scaled(made: Tensor, factor: Tensor) -> Tensor:
    """made * factor, [..., units]: as a normalisation by mean 0 and variance 1 where that is quicker.

    Its gradients come out of one pass over a large tensor; those of a product take three, and memory for
    what is in between (layers of 500 units, batch 256: 1.08 against 1.12 of a plain training step).
    """
    if made.dim() != 2 or made.numel() < _LARGE_ENTRIES or made.device.type != "cpu":
        return made * factor
    mean, variance = torch.zeros_like(factor), torch.ones_like(factor)
    return functional.batch_norm(made, mean, variance, factor, eps=0.0)


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


class _GatedNorm(Gated):
    """A normalisation runs as it is, with its factor and shift scaled for the time of the call."""

    def forward(self, input: Tensor) -> Tensor:
        """[batch, channels, ...] to the same shape."""
        module = cast(nn.modules.batchnorm._BatchNorm, self)
        factor = self.factor()
        if not module.affine:
            out = nn.modules.batchnorm._BatchNorm.forward(module, input)
            return out * factor.view([1, -1] + [1] * (input.dim() - 2))
        module._check_input_dim(input)
        average = _advance(module)
        batch = module.training or module.running_mean is None
        return functional.batch_norm(
            input,
            module.running_mean if not module.training or module.track_running_stats else None,
            module.running_var if not module.training or module.track_running_stats else None,
            module.weight * factor,
            module.bias * factor,
            batch,
            average,
            module.eps,
        )


def _advance(module: nn.modules.batchnorm._BatchNorm) -> float:
    """Count a training step, and give the weight of its batch in the running averages."""
    if not module.training or not module.track_running_stats or module.num_batches_tracked is None:
        return 0.0 if module.momentum is None else module.momentum
    module.num_batches_tracked.add_(1)
    return 1.0 / float(module.num_batches_tracked) if module.momentum is None else module.momentum


class GatedBatchNorm1d(_GatedNorm, nn.BatchNorm1d):
    """A batch normalisation of vectors or sequences whose channels are gated behind it."""


class GatedBatchNorm2d(_GatedNorm, nn.BatchNorm2d):
    """A batch normalisation of images whose channels are gated behind it."""


class GatedBatchNorm3d(_GatedNorm, nn.BatchNorm3d):
    """A batch normalisation of volumes whose channels are gated behind it."""


_GATED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: GatedLinear,
    nn.Conv1d: GatedConv1d,
    nn.Conv2d: GatedConv2d,
    nn.Conv3d: GatedConv3d,
    nn.BatchNorm1d: GatedBatchNorm1d,
    nn.BatchNorm2d: GatedBatchNorm2d,
    nn.BatchNorm3d: GatedBatchNorm3d,
}
_PLAIN = {gated: plain for plain, gated in _GATED.items()}


def places_for_gates(layers: Iterable[str], norms: Mapping[str, str]) -> tuple[str, ...]:
    """Where gates for some layers go: on the normalisation behind a layer, or else on the layer itself.

    Args:
        layers: paths of the sized layers.
        norms: layer -> normalisation that directly follows it (`harness.surgery.trace(...).norms`).
    """
    return tuple(norms.get(layer, layer) for layer in layers)


def attach_gates(
    network: nn.Module,
    layers: Iterable[str],
    initial: Mapping[str, Tensor] | float | None = None,
    rule: GateRule | None = None,
) -> None:
    """Put a gate on every unit of some layers, in place; paths of all other parameters stay as they are.

    Args:
        network: the network to change. Gates are new parameters `<layer>.gate`, [units].
        layers: paths of linear layers, convolutions or batch normalisations.
        initial: where gates start: layer -> [units], one number for all, or None for U(0, 1] drawn from
            torch's global generator, layer after layer.
        rule: how a gate acts; `Rectified` if None.

    Raises:
        ValueError: if there is no such layer, it is of another kind or gated already, or starting values
            have another shape.
    """
    rule = rule if rule is not None else Rectified()
    for layer in layers:
        module = _layer(network, layer)
        kind = _GATED.get(type(module))
        if kind is None:
            allowed = ", ".join(sorted(plain.__name__ for plain in _GATED))
            raise ValueError(f"The layer {layer!r} is a {type(module).__name__}; gates go on {allowed}.")
        start = _start(module, layer, initial)
        gated = _as(module, kind)
        gated.gate_rule = rule  # type: ignore[assignment]
        gated.gate = nn.Parameter(start)
        for name, values in rule.memory(start).items():
            gated.register_buffer(name, values)
        _replace(network, module, gated)


def _start(module: nn.Module, layer: str, initial: Mapping[str, Tensor] | float | None) -> Tensor:
    like = next(
        (tensor for tensor in (*module.parameters(), *module.buffers()) if tensor.dim()), torch.empty(0)
    )
    units = like.shape[0]
    if initial is None:
        # rand() lies in [0, 1): turned round, no gate starts dead.
        return 1 - torch.rand(units, dtype=like.dtype, device=like.device)
    if not isinstance(initial, Mapping):
        return torch.full((units,), initial, dtype=like.dtype, device=like.device)
    if layer not in initial or initial[layer].shape != (units,):
        raise ValueError(f"Gates of the layer {layer!r} need {units} starting values.")
    return initial[layer].to(like).clone()


def gates(network: nn.Module) -> dict[str, nn.Parameter]:
    """Path of each gated layer -> its gates."""
    return {path: module.gate for path, module in network.named_modules() if isinstance(module, Gated)}


def dead_units(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Path of each gated layer -> indices of its units that are dead for good."""
    dead = {}
    for path, module in network.named_modules():
        if isinstance(module, Gated):
            indices = torch.nonzero(module.gate_rule.dead(module.gate.detach())).flatten()
            dead[path] = tuple(indices.tolist())
    return dead


@torch.no_grad()
def fold_gates(network: nn.Module) -> None:
    """Multiply gates into the weights, in place: plain layers that compute the same are left, and no gate.

    Raises:
        ValueError: for a gate on a normalisation that has no factor and shift of its own.
    """
    for path, module in list(network.named_modules()):
        if not isinstance(module, Gated):
            continue
        gated = cast(nn.Module, module)
        if gated._parameters.get("weight") is None:
            raise ValueError(f"The normalisation {path!r} has no factor that its gates could be folded into.")
        factor = module.factor()
        plain = _as(gated, _PLAIN[type(gated)])
        del plain.__dict__["gate_rule"]
        for name in module.per_unit:
            plain._parameters.pop(name, None)
            plain._buffers.pop(name, None)
        for name in ("weight", "bias"):
            old = plain._parameters.get(name)
            if old is not None:
                values = old * factor.view([-1] + [1] * (old.dim() - 1))
                plain._parameters[name] = nn.Parameter(values, requires_grad=old.requires_grad)
        _replace(network, gated, plain)


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
