"""The plain numbers that modules keep about their own size."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from harness.surgery.changes.draft import Draft
from harness.surgery.changes.heads import HeadAttention

_CONVOLUTIONS = nn.Conv1d | nn.Conv2d | nn.Conv3d
_TRANSPOSED = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


def fit_attributes(draft: Draft, layer: str, heads: Sequence[int] | None = None) -> None:
    """Make a module's numbers say what its tensors have become; heads: of an attention, those left."""
    module = draft.network.get_submodule(layer)
    if isinstance(module, nn.MultiheadAttention):
        draft.exchange_module(layer, partial(_lighter, heads=heads))
    for name, value in _sizes(module).items():
        draft.set_attribute(layer, name, value)


def _lighter(module: nn.Module, heads: Sequence[int] | None) -> nn.Module:
    assert isinstance(module, nn.MultiheadAttention)
    return HeadAttention.of(module, heads)


def _sizes(module: nn.Module) -> dict[str, int | tuple[int, ...]]:
    if isinstance(module, nn.Linear):
        return {"out_features": module.weight.shape[0], "in_features": module.weight.shape[1]}
    if isinstance(module, _CONVOLUTIONS):
        out = module.weight.shape[0]
        groups = 1 if module.groups == 1 else module.groups * out // module.out_channels
        return {"out_channels": out, "in_channels": module.weight.shape[1] * groups, "groups": groups}
    if isinstance(module, _TRANSPOSED):
        return {"in_channels": module.weight.shape[0], "out_channels": module.weight.shape[1]}
    if isinstance(module, nn.modules.batchnorm._NormBase):
        own = module.weight if module.weight is not None else module.running_mean
        return {} if own is None else {"num_features": own.shape[0]}
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return {"normalized_shape": tuple(module.weight.shape)}
    if isinstance(module, nn.GroupNorm):
        return {"num_channels": module.weight.shape[0]}
    if isinstance(module, nn.PReLU):
        return {"num_parameters": module.weight.shape[0]}
    if isinstance(module, nn.Embedding):
        return {"embedding_dim": module.weight.shape[1]}
    return {}
