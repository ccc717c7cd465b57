"""Layers whose units are multiplied by gates, of units one by one or of a residual block as a whole.

The factor is put on the rows of the weight and on the bias of the layer that makes the units: the same
function as scaling what comes out, and far cheaper. A normalisation has its own factor and shift scaled.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.sizing.gates.gated import Gated, multiplied
from harness.sizing.gates.recurrent import RECURRENT, GatedRecurrent, GatedRecurrentLayer
from harness.sizing.gates.rules import GateRule
from harness.surgery.changes.belongings import hand_on
from harness.surgery.changes.heads import HeadAttention

#: How many more entries may be scaled before scaling the weight and the bias apart is quicker than scaling
#: once what comes out (measured on a CPU, forward and backward).
_CHEAP_ENTRIES = 2**15
#: From how many entries on a normalisation scales quicker than a product (measured as above).
_LARGE_ENTRIES = 2**16


class _GatedWeight(Gated):
    """A layer whose rows of the weight, and bias, are multiplied."""

    weight = multiplied("weight")
    bias = multiplied("bias")


class GatedLinear(_GatedWeight, nn.Linear):
    """A linear layer whose units are gated."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., in_features] to [..., out_features]."""
        factor, weight, bias = self.factor(), *_own(self)
        rows = input.shape[:-1].numel()
        if (rows - self.in_features) * self.out_features <= _CHEAP_ENTRIES:
            # Few examples: what comes out has hardly more entries than the weight, and is scaled at once.
            return _scaled(functional.linear(input, weight, bias), factor)
        bias = bias * factor if bias is not None else None
        return functional.linear(input, weight * self.spread(factor, weight), bias)


def _own(module: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Weight and bias as the plain layer has them."""
    return cast(Tensor, module._parameters["weight"]), module._parameters["bias"]


def _scaled(made: Tensor, factor: Tensor) -> Tensor:
    """made * factor, [..., units]: as a normalisation by mean 0 and variance 1 where that is quicker.

    Its gradients come out of one pass over a large tensor; those of a product take three, and memory for
    what is in between (layers of 500 units, batch 256: 1.08 against 1.12 of a plain training step).
    """
    if not factor.dim() or made.dim() != 2 or made.numel() < _LARGE_ENTRIES or made.device.type != "cpu":
        return made * factor
    mean, variance = torch.zeros_like(factor), torch.ones_like(factor)
    return functional.batch_norm(made, mean, variance, factor, eps=0.0)


class _GatedConvolution(_GatedWeight):
    def forward(self, input: Tensor) -> Tensor:
        """[batch, in_channels, ...] to [batch, out_channels, ...]."""
        factor, weight, bias = self.factor(), *_own(cast(nn.Module, self))
        weight = weight * self.spread(factor, weight)
        bias = bias * factor if bias is not None else None
        return self._conv_forward(input, weight, bias)  # type: ignore[attr-defined, no-any-return]


class GatedConv1d(_GatedConvolution, nn.Conv1d):
    """A convolution over one axis whose channels are gated."""


class GatedConv2d(_GatedConvolution, nn.Conv2d):
    """A convolution over two axes whose channels are gated."""


class GatedConv3d(_GatedConvolution, nn.Conv3d):
    """A convolution over three axes whose channels are gated."""


class _Transposed(Gated):
    """A transposed convolution: its units lie along the second axis of its weight, group after group."""

    unit_axis = 1

    def spread(self, factor: Tensor, like: Tensor) -> Tensor:
        """As `Gated.spread`."""
        groups: int = self.groups  # type: ignore[attr-defined]
        if groups == 1 or not factor.dim() or like.dim() < 2:
            return super().spread(factor, like)
        rows = factor.view(groups, 1, -1).expand(-1, len(like) // groups, -1)
        return rows.reshape(len(like), -1, *(1 for _ in like.shape[2:]))


class GatedConvTranspose1d(_Transposed, _GatedWeight, nn.ConvTranspose1d):
    """A transposed convolution over one axis whose channels are gated."""


class GatedConvTranspose2d(_Transposed, _GatedWeight, nn.ConvTranspose2d):
    """A transposed convolution over two axes whose channels are gated."""


class GatedConvTranspose3d(_Transposed, _GatedWeight, nn.ConvTranspose3d):
    """A transposed convolution over three axes whose channels are gated."""


class _Columns(Gated):
    """A table of rows, whose columns are the units."""

    scaled: ClassVar[Mapping[str, str]] = {"weight": "weight"}
    unit_axis = 1


class GatedEmbedding(_Columns, nn.Embedding):
    """An embedding whose features are gated."""

    weight = multiplied("weight")

    def forward(self, input: Tensor) -> Tensor:
        """[...] to [..., embedding_dim]; the rows that are read are multiplied, and not the whole table."""
        made = functional.embedding(
            input,
            cast(Tensor, self._parameters["weight"]),
            self.padding_idx,
            scale_grad_by_freq=self.scale_grad_by_freq,
            sparse=self.sparse,
        )
        return made * self.factor()


class GatedBilinear(_GatedWeight, nn.Bilinear):
    """A bilinear layer whose units are gated."""


class _GatedNorm(_GatedWeight):
    """A normalisation runs as it is, with its factor and shift scaled for the time of the call."""

    def forward(self, input: Tensor) -> Tensor:
        """[batch, channels, ...] to the same shape."""
        module = cast(nn.modules.batchnorm._BatchNorm, self)
        factor = self.factor()
        if not module.affine:
            out = nn.modules.batchnorm._BatchNorm.forward(module, input)
            return out * factor.view([-1] + [1] * (input.dim() - 2)) if factor.dim() else out * factor
        module._check_input_dim(input)
        average, (weight, bias) = _advance(module), _own(module)
        assert bias is not None
        batch = module.training or module.running_mean is None
        return functional.batch_norm(
            input,
            module.running_mean if not module.training or module.track_running_stats else None,
            module.running_var if not module.training or module.track_running_stats else None,
            weight * factor,
            bias * factor,
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


class _Heads(Gated):
    """An attention whose heads are gated: what makes their values is multiplied."""

    scaled: ClassVar[Mapping[str, str]] = {
        name: name for name in ("in_proj_weight", "v_proj_weight", "in_proj_bias", "bias_v")
    }

    def spread(self, factor: Tensor, like: Tensor) -> Tensor:
        """As `Gated.spread`; the rows of queries and keys stay as they are."""
        if not factor.dim():
            return factor
        rows = factor.repeat_interleave(cast(nn.MultiheadAttention, self).head_dim)
        if like.dim() < 3 and len(like) == 3 * len(rows):
            rows = torch.cat([torch.ones_like(rows), torch.ones_like(rows), rows])
        return rows.unsqueeze(1) if like.dim() == 2 else rows


class GatedMultiheadAttention(_Heads, nn.MultiheadAttention):
    """An attention whose heads are gated."""

    in_proj_weight = multiplied("in_proj_weight")
    v_proj_weight = multiplied("v_proj_weight")
    in_proj_bias = multiplied("in_proj_bias")
    bias_v = multiplied("bias_v")


class _CutHeads(_Heads):
    """The same for an attention that has lost heads: their values are multiplied as they are made."""

    def _values(self, values: Tensor) -> Tensor:
        factor = self.factor()
        return values * (factor.unsqueeze(1).unsqueeze(2) if factor.dim() else factor)


#: Plain layer -> the gated one.
GATED: Mapping[type[nn.Module], type[nn.Module]] = {
    nn.Linear: GatedLinear,
    nn.Conv1d: GatedConv1d,
    nn.Conv2d: GatedConv2d,
    nn.Conv3d: GatedConv3d,
    nn.ConvTranspose1d: GatedConvTranspose1d,
    nn.ConvTranspose2d: GatedConvTranspose2d,
    nn.ConvTranspose3d: GatedConvTranspose3d,
    nn.Bilinear: GatedBilinear,
    nn.Embedding: GatedEmbedding,
    nn.MultiheadAttention: GatedMultiheadAttention,
    nn.BatchNorm1d: GatedBatchNorm1d,
    nn.BatchNorm2d: GatedBatchNorm2d,
    nn.BatchNorm3d: GatedBatchNorm3d,
}
for _plain, _gated in GATED.items():
    _gated.plain, _gated.kind = _plain, _gated  # type: ignore[attr-defined]
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)

#: Gated classes of subclasses, made as they are met.
_MADE: dict[tuple[Any, ...], type[nn.Module]] = {}


def gated_class(
    plain: type[nn.Module],
    scaled: tuple[tuple[str, str], ...],
    unit_axis: int = 0,
    second: tuple[str, tuple[tuple[str, str], ...]] | None = None,
) -> type[nn.Module]:
    """The gated class of a plain one.

    Args:
        plain: any class of layers.
        scaled: what its gates multiply, as `Gated.scaled`.
        unit_axis: of the weight, where the class itself does not say it.
        second: `Gated.second` and `Gated.second_scaled`, if the layer makes units of a second kind.
    """
    if plain in GATED and second is None and dict(scaled) == cast(type[Gated], GATED[plain]).scaled:
        return GATED[plain]
    base, names = Gated, [name for name, _ in scaled]
    if issubclass(plain, _TRANSPOSED):
        base = _Transposed
    elif issubclass(plain, nn.Embedding | nn.EmbeddingBag):
        base = _Columns
    elif issubclass(plain, RECURRENT):
        base = GatedRecurrentLayer if issubclass(plain, nn.RNNBase) else GatedRecurrent
    elif issubclass(plain, HeadAttention):
        base, names = _CutHeads, []
    axis = max(base.unit_axis, unit_axis)
    if (plain, scaled, axis, second) not in _MADE:
        name, second_scaled = second or (None, ())
        own: dict[str, Any] = {target: multiplied(target) for target in (*names, *dict(second_scaled))}
        own |= {"scaled": dict(scaled), "unit_axis": axis, "plain": plain}
        own |= {"second": name, "second_scaled": dict(second_scaled)}
        own |= {"__module__": __name__, "__doc__": plain.__doc__}
        made = type(f"Gated{plain.__name__}", (base, plain), own)
        made.kind = made  # type: ignore[attr-defined]
        _MADE[plain, scaled, axis, second] = made
    return _MADE[plain, scaled, axis, second]


def _blank(
    plain: type[nn.Module],
    scaled: tuple[tuple[str, str], ...],
    unit_axis: int,
    second: tuple[str, tuple[tuple[str, str], ...]] | None = None,
) -> nn.Module:
    kind = gated_class(plain, scaled, unit_axis, second)
    return kind.__new__(kind)


#: Attributes of a gated layer that a plain one does not have, beside its tensors.
_GATES = ("gate", "second_gate", "block_gate")
_OWN = ("gate_rule", "second_gate_rule", "block_gate_rule", "path_in_block")


def put(module: nn.Module, kind: type[nn.Module], name: str, start: Tensor, rule: GateRule) -> nn.Parameter:
    """Make a layer a gated one, in place, so that it is gated for all that hold it; the gate.

    Args:
        start: where the gate starts; a parameter is another layer's gate, which this one shares: it has its
            memory there.
    """
    if isinstance(module, Gated) and module.second is not None:
        kind = module.kind  # which has room for gates of both kinds
    module.__class__ = kind
    for each in _GATES:
        module._parameters.setdefault(each, None)
    is_shared = isinstance(start, nn.Parameter)
    gate = start if isinstance(start, nn.Parameter) else nn.Parameter(start)
    module._parameters[name] = gate
    setattr(module, f"{name}_rule", rule)
    module.__dict__.setdefault("path_in_block", None)
    for memory, values in ({} if is_shared else rule.memory(gate.detach())).items():
        module.register_buffer(memory.replace("gate", name, 1), values)
    module.__dict__.pop("_flat_weights", None)  # a gated recurrent layer makes it anew each time
    return gate


@torch.no_grad()
def fold(module: nn.Module) -> None:
    """Make a gated layer a plain one again, in place, whose weight and bias its gates are multiplied into.

    A normalisation without a factor and a shift of its own is given them.
    """
    gated = cast(Gated, module)
    if isinstance(module, nn.modules.batchnorm._NormBase) and gated.has_no_factor():
        factor = gated.factor().expand(module.num_features)
        module._parameters["weight"] = nn.Parameter(torch.ones_like(factor))
        module._parameters["bias"] = nn.Parameter(torch.zeros_like(factor))
        module.affine = True
    for own_name, path in gated.targets().items():
        holder_path, _, name = path.rpartition(".")
        holder = module.get_submodule(holder_path)
        for own in (holder._parameters, holder._buffers):
            old = own.get(name)
            if old is not None:
                new = gated.multiplied(own_name, old)
                kept = nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
                hand_on(old, kept, lambda attribute: attribute)
                cast(dict[str, Any], own)[name] = kept
    module.__class__ = gated.plain
    for name in _OWN:
        module.__dict__.pop(name, None)
    for name in (*Gated.per_unit, *(f"block_{name}" for name in Gated.per_unit)):
        module._parameters.pop(name, None)
        module._buffers.pop(name, None)
    if isinstance(module, nn.RNNBase):
        module._init_flat_weights()
