"""Layers whose units are multiplied by gates, of units one by one or of a residual block as a whole.

The factor is put on the rows of the weight and on the bias of the layer that makes the units: the same
function as scaling what comes out, and far cheaper. A normalisation has its own factor and shift scaled.
"""

from collections.abc import Mapping
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.sizing.gates.rules import GateRule

#: How many more entries may be scaled before scaling the weight and the bias apart is quicker than scaling
#: once what comes out (measured on a CPU, forward and backward).
_CHEAP_ENTRIES = 2**15
#: From how many entries on a normalisation scales quicker than a product (measured as above).
_LARGE_ENTRIES = 2**16


class Gated:
    """What all gated layers share.

    gate: [units], a gate for each of its units. block_gate: a single number, the gate of the residual block
    whose branch ends in this layer. Each is None where the layer has none, and has the rule that says how it
    acts beside it. path_in_block: of the layer, within the block that its block_gate is of.

    per_unit: tensors of a layer that have one entry for each of its units -> what a unit that is put in
    later starts with. `harness.surgery` cuts and extends them together with the layer's rows.

    undecayed: parameters that weight decay never touches. `harness.surgery` asks for them where it inserts a
    block.
    """

    per_unit: ClassVar[Mapping[str, float]] = {
        "gate": 1.0,
        "gate_sign_mean": 1.0,
        "gate_sign_spread": 0.0,
        "gate_alive": 1.0,
    }
    undecayed: ClassVar[tuple[str, ...]] = ("gate", "block_gate")
    gate: nn.Parameter | None
    gate_rule: GateRule
    block_gate: nn.Parameter | None
    block_gate_rule: GateRule
    path_in_block: str

    def factor(self) -> Tensor:
        """[units], or a single number where only the block is gated: what each unit is multiplied by."""
        gate, block_gate = self.gate, self.block_gate
        if block_gate is None:
            assert gate is not None
            return self.gate_rule.factor(gate)
        block = self.block_gate_rule.factor(block_gate)
        return block if gate is None else self.gate_rule.factor(gate) * block


def _rows(factor: Tensor, like: Tensor) -> Tensor:
    """A factor set up to multiply the rows of a tensor; a single number multiplies as it is."""
    return factor.view([-1] + [1] * (like.dim() - 1)) if factor.dim() else factor


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
        return functional.linear(input, self.weight * _rows(factor, self.weight), bias)


def _scaled(made: Tensor, factor: Tensor) -> Tensor:
    """made * factor, [..., units]: as a normalisation by mean 0 and variance 1 where that is quicker.

    Its gradients come out of one pass over a large tensor; those of a product take three, and memory for
    what is in between (layers of 500 units, batch 256: 1.08 against 1.12 of a plain training step).
    """
    if not factor.dim() or made.dim() != 2 or made.numel() < _LARGE_ENTRIES or made.device.type != "cpu":
        return made * factor
    mean, variance = torch.zeros_like(factor), torch.ones_like(factor)
    return functional.batch_norm(made, mean, variance, factor, eps=0.0)


class _GatedConvolution(Gated):
    weight: Tensor
    bias: Tensor | None

    def forward(self, input: Tensor) -> Tensor:
        """[batch, in_channels, ...] to [batch, out_channels, ...]."""
        factor = self.factor()
        weight = self.weight * _rows(factor, self.weight)
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
            return out * _rows(factor, input[0])
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


#: Plain layer -> the gated one.
GATED: Mapping[type[nn.Module], type[nn.Module]] = {
    nn.Linear: GatedLinear,
    nn.Conv1d: GatedConv1d,
    nn.Conv2d: GatedConv2d,
    nn.Conv3d: GatedConv3d,
    nn.BatchNorm1d: GatedBatchNorm1d,
    nn.BatchNorm2d: GatedBatchNorm2d,
    nn.BatchNorm3d: GatedBatchNorm3d,
}
_PLAIN = {gated: plain for plain, gated in GATED.items()}

#: Attributes of a gated layer that a plain one does not have, beside its tensors.
_OWN = ("gate_rule", "block_gate_rule", "path_in_block")


def takes(module: nn.Module, name: str) -> bool:
    """Whether a layer can be given gates of a name, "gate" or "block_gate"; it has at most one of each."""
    return type(module) in GATED or (isinstance(module, Gated) and getattr(module, name) is None)


def put(network: nn.Module, module: nn.Module, name: str, start: Tensor, rule: GateRule) -> nn.Module:
    """Exchange a layer for one that is gated too, everywhere in a network; the gated layer."""
    made = _as(module, GATED.get(type(module), type(module)))
    for each in ("gate", "block_gate"):
        made._parameters.setdefault(each, None)
    made._parameters[name] = nn.Parameter(start)
    setattr(made, f"{name}_rule", rule)
    for memory, values in rule.memory(start).items():
        made.register_buffer(memory.replace("gate", name, 1), values)
    _replace(network, module, made)
    return made


@torch.no_grad()
def fold(network: nn.Module, module: nn.Module, factor: Tensor) -> None:
    """Exchange a gated layer for a plain one whose weight and bias are multiplied by its gates' factor."""
    plain = _as(module, _PLAIN[type(module)])
    for name in _OWN:
        plain.__dict__.pop(name, None)
    for name in (*Gated.per_unit, *(f"block_{name}" for name in Gated.per_unit)):
        plain._parameters.pop(name, None)
        plain._buffers.pop(name, None)
    for name in ("weight", "bias"):
        old = plain._parameters.get(name)
        if old is not None:
            plain._parameters[name] = nn.Parameter(old * _rows(factor, old), old.requires_grad)
    _replace(network, module, plain)


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
