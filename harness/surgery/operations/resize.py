"""The plain numbers that modules keep about their own size."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from harness.surgery.changes.draft import Draft
from harness.surgery.changes.heads import HeadAttention
from harness.surgery.errors import SurgeryError
from harness.surgery.tracing.bounds import Bound
from harness.surgery.tracing.computed import computed
from harness.surgery.tracing.fits import Fit
from harness.surgery.tracing.paths import module_at

_CONVOLUTIONS = nn.Conv1d | nn.Conv2d | nn.Conv3d
_TRANSPOSED = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


def fit_attributes(
    draft: Draft, layer: str, heads: Sequence[int] | None = None, *, smaller_groups: bool = False
) -> None:
    """Make a module's numbers say what its tensors have become.

    Args:
        heads: of an attention, those left.
        smaller_groups: of a group normalisation, whether its groups have become smaller; fewer if not.
    """
    module = module_at(draft.network, layer)
    if isinstance(module, nn.MultiheadAttention):
        draft.exchange_module(layer, partial(_lighter, heads=heads))
        for path, encoder in draft.network.named_modules():
            if isinstance(encoder, nn.TransformerEncoder) and layer.startswith(f"{path}." if path else ""):
                # It packs padded examples for the fast path alone, which this attention cannot take.
                draft.set_attribute(path, "use_nested_tensor", False)
    draft.compute_again(layer)
    for name, value in own_sizes(module).items():
        if not (smaller_groups and name == "num_groups"):
            draft.set_attribute(layer, name, value)


def follow_sizes(draft: Draft, fit: Fit, before: int, left: int) -> None:
    """Have a module's number follow the size of an axis.

    Raises:
        SurgeryError: if it would be no whole number.
    """
    value = getattr(draft.network.get_submodule(fit.layer), fit.name)
    if value * left % before:
        raise SurgeryError(
            f"{fit.name!r} of {fit.layer!r} is {value}, one in {before // value} of {fit.path!r}: of the "
            f"{before} there, {left} cannot be left."
        )
    draft.set_attribute(fit.layer, fit.name, value * left // before)


def follow_bound(draft: Draft, bound: Bound, lost: int) -> None:
    """Have a module's number say that a stretch of an axis has lost so many positions."""
    value = getattr(draft.network.get_submodule(bound.layer), bound.name)
    if not lost:
        return
    if bound.place is None:
        draft.set_attribute(bound.layer, bound.name, value - lost)
        return
    sizes = [size - lost * (place == bound.place) for place, size in enumerate(value)]
    draft.set_attribute(bound.layer, bound.name, type(value)(sizes))


def _recurrent_sizes(module: nn.RNNBase | nn.RNNCellBase) -> dict[str, int | tuple[int, ...]]:
    is_layer = isinstance(module, nn.RNNBase)
    rows, inputs = computed(module, "weight_ih_l0" if is_layer else "weight_ih").shape
    gates = 1
    if isinstance(module, nn.LSTM | nn.LSTMCell | nn.GRU | nn.GRUCell):
        gates = 4 if isinstance(module, nn.LSTM | nn.LSTMCell) else 3
    sizes: dict[str, int | tuple[int, ...]] = {"input_size": inputs, "hidden_size": rows // gates}
    if is_layer and module.proj_size:
        sizes["proj_size"] = computed(module, "weight_hr_l0").shape[0]
    return sizes


def _lighter(module: nn.Module, heads: Sequence[int] | None) -> nn.Module:
    assert isinstance(module, nn.MultiheadAttention)
    return HeadAttention.of(module, heads)


def own_sizes(module: nn.Module) -> dict[str, int | tuple[int, ...]]:
    """The numbers that a layer of PyTorch's holds about its tensors, as they are now."""
    if isinstance(module, nn.Linear):
        rows, columns = computed(module, "weight").shape
        return {"out_features": rows, "in_features": columns}
    if isinstance(module, _CONVOLUTIONS):
        out, members = computed(module, "weight").shape[:2]
        groups = 1 if module.groups == 1 else module.groups * out // module.out_channels
        return {"out_channels": out, "in_channels": members * groups, "groups": groups}
    if isinstance(module, _TRANSPOSED):
        inputs, out = computed(module, "weight").shape[:2]
        groups = 1 if module.groups == 1 else module.groups * inputs // module.in_channels
        return {"in_channels": inputs, "out_channels": out * groups, "groups": groups}
    if isinstance(module, nn.modules.batchnorm._NormBase):
        own = module.weight if module.weight is not None else module.running_mean
        return {} if own is None else {"num_features": own.shape[0]}
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return {"normalized_shape": tuple(module.weight.shape)}
    if isinstance(module, nn.GroupNorm):
        channels = module.weight.shape[0]
        return {"num_channels": channels, "num_groups": module.num_groups * channels // module.num_channels}
    if isinstance(module, nn.PReLU):
        return {"num_parameters": module.weight.shape[0]}
    if isinstance(module, nn.Bilinear):
        out, first, second = module.weight.shape
        return {"out_features": out, "in1_features": first, "in2_features": second}
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return {"embedding_dim": computed(module, "weight").shape[1]}
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return _recurrent_sizes(module)
    return {}
