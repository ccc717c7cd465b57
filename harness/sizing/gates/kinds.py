"""Which layers can be gated, and what their gates multiply: known classes, and those that are built on them.

A subclass may do with its weight what it likes, so it is tried out: run alone, in double precision, each unit
must answer to its own factor as a gate's unit does, and to no other.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _WeightNorm

from harness.sizing.gates.gated import Gated
from harness.sizing.gates.layers import GATED, GatedMultiheadAttention, gated_class, put
from harness.sizing.gates.recurrent import RECURRENT, written
from harness.sizing.gates.rules import Rectified
from harness.surgery.changes.heads import HeadAttention

_NORMS = nn.modules.batchnorm._NormBase
_CONVOLUTIONS = nn.modules.conv._ConvNd
#: Layers whose weight may be read turned, too.
_TURNED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)
_UNITS = (*GATED, nn.EmbeddingBag, _NORMS)
#: Attributes that a gated layer has beside those of its plain class.
_ATTRIBUTES = (
    *("gate", "second_gate", "block_gate", "gate_rule", "second_gate_rule", "block_gate_rule"),
    "path_in_block",
    *(name for name in vars(Gated) if not name.startswith("__")),
)
#: Of what a unit varies by, in double precision.
_ROUNDING = 1e-9


def gated_kind(module: nn.Module, path: str) -> type[nn.Module]:
    """The class that a layer becomes with gates.

    Raises:
        ValueError: in one sentence, if it can have none.
    """
    layer = f"The layer {path!r} is a {type(module).__name__}"
    if isinstance(module, Gated) and module.block_gate is not None and module.path_in_block is None:
        raise ValueError(f"{layer} that undoes the gate of its block, and takes no other gates.")
    if isinstance(module, Gated) and (isinstance(module, _UNITS + RECURRENT) or _may_be_linear(module)):
        return module.kind
    if isinstance(module, RECURRENT):
        return _recurrent_kind(module, layer)
    is_own = not isinstance(module, _UNITS) and not _normalises(module)
    if is_own and not _may_be_linear(module):
        raise ValueError(f"{layer}; gates go on {allowed()}.")
    if isinstance(module, LazyModuleMixin):
        raise ValueError(f"{layer} that has not met its input yet; run the network once before it is gated.")
    if "forward" in vars(module):
        raise ValueError(f"{layer} whose forward has been exchanged, which may pass its gates by.")
    own = module._parameters | module._buffers
    if isinstance(module, nn.MultiheadAttention):
        if type(module) not in (nn.MultiheadAttention, HeadAttention):
            raise ValueError(
                f"{layer}, an attention of its own making, so gates of its heads cannot be known."
            )
        return gated_class(type(module), tuple(GatedMultiheadAttention.scaled.items()))
    if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.max_norm is not None:
        raise ValueError(f"{layer} that shortens its rows as it reads them, which gates would change.")
    if type(module) in GATED and "weight" in own:
        return GATED[type(module)]
    clash = next((name for name in _ATTRIBUTES if hasattr(module, name)), None)
    if clash is not None:
        raise ValueError(f"{layer} that has an attribute {clash!r} of its own, which a gated layer needs.")
    for scaled in _candidates(module, own):
        for axis in (0, 1) if is_own else (0,):
            kind = gated_class(type(module), tuple(scaled.items()), axis)
            if _acts(module, kind):
                return kind
    raise ValueError(f"{layer}, and no factor on its weight or bias acts as a gate of its units does.")


def _recurrent_kind(module: nn.Module, layer: str) -> type[nn.Module]:
    try:
        scaled, second, second_scaled = written(module)
    except ValueError:
        raise ValueError(
            f"{layer} with a forward or weights of its own making, so what its units write cannot be known."
        ) from None
    own = None if second is None else (second, tuple(second_scaled.items()))
    return gated_class(type(module), tuple(scaled.items()), 0, own)


def second_kind(module: nn.Module, path: str, name: str) -> type[nn.Module]:
    """The class that a layer becomes with gates of its second kind of units: those along the other axis of
    its weight, which is read turned too (a tied autoencoder), or those behind which a projection follows.

    Args:
        module: the layer.
        path: of it.
        name: of the parameter that these units are named by.

    Raises:
        ValueError: in one sentence, if it can have none.
    """
    kind = cast(type[Gated], gated_kind(module, path))
    if kind.second == name:
        return cast(type[nn.Module], kind)
    weight = module._parameters.get(name)
    groups = getattr(module, "groups", 1)
    if kind.plain not in _TURNED or name != "weight" or weight is None or groups != 1:
        raise ValueError(
            f"The layer {path!r} is a {kind.plain.__name__} of whose {name!r} gates know one kind of units "
            "alone; gate the others."
        )
    return gated_class(kind.plain, tuple(kind.scaled.items()), kind.unit_axis, (name, ((name, name),)))


def allowed() -> str:
    """Names of the classes that can have gates."""
    return ", ".join(sorted(plain.__name__ for plain in (*GATED, *RECURRENT)))


def block_kind(module: nn.Module, path: str) -> type[nn.Module]:
    """The class that a layer becomes with the gate of a block whose branch ends in it.

    Any layer will do that its factor and shift scale what it gives, normalisations of whole examples too.

    Raises:
        ValueError: in one sentence, if it can have none.
    """
    if isinstance(module, RECURRENT):
        raise ValueError(f"The layer {path!r} is a {type(module).__name__}, whose outputs no weight scales.")
    if isinstance(module, Gated) and not isinstance(module, _UNITS):
        return module.kind
    try:
        return gated_kind(module, path)
    except ValueError:
        weight = module._parameters.get("weight")
        clash = any(hasattr(module, name) for name in _ATTRIBUTES)
        if weight is None or weight.dim() != 1 or clash or next(module.children(), None) is not None:
            raise
        names = ("weight", "bias") if "bias" in module._parameters else ("weight",)
        kind, count = gated_class(type(module), tuple((name, name) for name in names)), len(weight)
        if any(_scales(module, kind, shape) for shape in ((2, 3, count), (2, count, 3, 3), (2, count))):
            return kind
        raise


def reading_kind(module: nn.Module, path: str) -> type[nn.Module]:
    """The class of a layer that reads its input multiplied, by its weight alone.

    Raises:
        ValueError: in one sentence, if it can have none.
    """
    if type(module) not in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d):
        raise ValueError(f"The layer {path!r} is a {type(module).__name__}, which may be no product alone.")
    return gated_class(type(module), (("weight", "weight"),))


def _normalises(module: nn.Module) -> bool:
    """Whether a module normalises channel by channel, of whatever class it is."""
    return isinstance(module, _NORMS) or isinstance(module._buffers.get("running_mean"), Tensor)


def _may_be_linear(module: nn.Module) -> bool:
    """Whether a module of any class has what a linear layer or a convolution of its own making has."""
    weight = _weight(module)
    return weight is not None and weight.dim() >= 2 and next(module.children(), None) is None


def _weight(module: nn.Module) -> Tensor | None:
    """A parameter, or a buffer where it is not trained."""
    weight = module._parameters.get("weight")
    return module._buffers.get("weight") if weight is None else weight


def _convolves(module: nn.Module) -> bool:
    """Whether a module gives channels in front of the axes that they lie along."""
    weight = _weight(module)
    is_own = not isinstance(module, _UNITS) and weight is not None and weight.dim() > 2
    return isinstance(module, _CONVOLUTIONS) or is_own


def second_count(module: nn.Module, kind: type[nn.Module]) -> int:
    """How many units of its second kind a layer has; kind: its class with gates of them."""
    if isinstance(module, nn.RNNBase):
        return int(module.hidden_size)
    gated = cast(type[Gated], kind)
    assert gated.second is not None
    return module.get_parameter(gated.second).shape[1 - gated.unit_axis]


def unit_count(module: nn.Module, kind: type[nn.Module]) -> int:
    """How many units a layer has that can be gated; kind: its class with gates."""
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return int(getattr(module, "proj_size", 0)) or int(module.hidden_size)
    if isinstance(module, nn.MultiheadAttention):
        return int(module.num_heads)
    if isinstance(module, _CONVOLUTIONS):
        return module.out_channels
    if isinstance(module, nn.Linear | nn.Bilinear):
        return module.out_features
    if isinstance(module, _NORMS):
        return module.num_features
    if _normalises(module):
        return len(cast(Tensor, module.running_mean))
    weight = _weight(module)
    assert weight is not None
    return weight.shape[cast(type[Gated], kind).unit_axis]


def _candidates(module: nn.Module, own: Mapping[str, Tensor | None]) -> Iterable[dict[str, str]]:
    """What gates may multiply, as `Gated.scaled`, the likeliest first."""
    bias = {"bias": "bias"} if "bias" in own else {}
    if parametrize.is_parametrized(module):
        parametrizations = cast(nn.ModuleDict, module.parametrizations)
        chain = list(cast(nn.ModuleList, parametrizations["weight"])) if "weight" in parametrizations else []
        if "bias" not in parametrizations and len(chain) == 1 and isinstance(chain[0], _WeightNorm):
            yield {"weight": "parametrizations.weight.original0"} | bias
        return
    for name in ("weight", "weight_g", "weight_orig"):
        if own.get(name) is not None:
            yield {name: name} | bias
    units = unit_count(module, gated_class(type(module), ()))
    others = [
        name
        for name, parameter in module._parameters.items()
        if parameter is not None and parameter.shape[:1] == (units,) and parameter.numel() == units
    ]
    for name in others:
        if name != "bias":
            yield {name: name} | bias
    if others:
        yield {name: name for name in others}


@torch.no_grad()
def _acts(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether each unit of a layer answers to its own gate, and is silent or constant with it shut."""
    return any(_tried(module, kind, shapes) for shapes in _inputs(module, kind))


def _tried(module: nn.Module, kind: type[nn.Module], shapes: list[tuple[int, ...]]) -> bool:
    try:
        return _answers(_copied(module), kind, shapes)
    except Exception:  # noqa: BLE001 - whatever a stranger's layer may raise that takes other input
        return False


def _copied(module: nn.Module) -> nn.Module:
    """A copy to be tried out in evaluation mode and double precision; its values are given to it."""
    # What a hook has computed is of a graph, and cannot be copied as it is.
    made = {id(own): own.detach().clone() for own in vars(module).values() if isinstance(own, Tensor)}
    trial = copy.deepcopy(module, cast(dict[int, Any], made)).double().eval()
    return trial.to_empty(device="cpu") if any(own.is_meta for own in trial.parameters()) else trial.cpu()


def _answers(trial: nn.Module, kind: type[nn.Module], shapes: list[tuple[int, ...]]) -> bool:
    drawn = torch.Generator("cpu").manual_seed(0)
    for tensor in (*trial.parameters(), *trial.buffers()):
        if tensor.is_floating_point():
            values = _drawn(drawn, tensor.shape)
            tensor.copy_(values - 0.5 if tensor.dim() and tensor.numel() > len(tensor) else values + 0.5)
    first, second = ([_drawn(drawn, shape) - 0.5 for shape in shapes] for _ in range(2))
    if isinstance(trial, nn.Embedding | nn.EmbeddingBag):
        first, second = ([torch.tensor([[row, row + 1]], device="cpu")] for row in (0, 2))
    axis = 1 if _convolves(trial) or _normalises(trial) else -1
    plain = trial(*first).movedim(axis, 0)
    units = unit_count(trial, kind)
    if len(plain) != units:
        return False
    put(trial, kind, "gate", torch.ones(units, dtype=torch.float64, device="cpu"), Rectified())
    gate, odd = cast(Tensor, trial.gate), torch.arange(units, device="cpu") % 2 == 1
    for own in (odd, ~odd) if units > 1 else (~odd,):
        gate.fill_(1.0)[own] = 0.0
        shut, other = (trial(*x).movedim(axis, 0) for x in (first, second))
        gate[own] = 0.5
        half = trial(*first).movedim(axis, 0)
        near = _ROUNDING * plain.abs().max()
        rest = torch.stack([shut - plain, half - plain])[:, ~own]
        alone = not rest.numel() or rest.abs().max() <= near
        whole, part = (plain - shut)[own], (half - shut)[own]
        if _normalises(trial):
            # An activation may follow: the gate is in front of it.
            answers = (part - whole).abs().max() > 1e-3 * whole.abs().max() > 0
        else:
            answers = (part - 0.5 * whole).abs().max() <= near < whole.abs().max()
        if not (alone and answers and (shut - other)[own].abs().max() <= near):
            return False
    return True


@torch.no_grad()
def _scales(module: nn.Module, kind: type[nn.Module], shape: tuple[int, ...]) -> bool:
    """Whether one gate of a layer multiplies all that it gives."""
    trial, drawn = _copied(module), torch.Generator("cpu").manual_seed(0)
    try:
        for parameter in trial.parameters():
            parameter.copy_(_drawn(drawn, parameter.shape) + 0.5)
        x = _drawn(drawn, shape) - 0.5
        whole = trial(x)
        put(trial, kind, "block_gate", torch.tensor(0.5, dtype=torch.float64, device="cpu"), Rectified())
        return bool((trial(x) - 0.5 * whole).abs().max() <= _ROUNDING * whole.abs().max() > 0)
    except Exception:  # noqa: BLE001 - whatever a stranger's layer may raise that takes other input
        return False


def _drawn(generator: torch.Generator, shape: Sequence[int]) -> Tensor:
    """Numbers in [0, 1), wherever else tensors are made."""
    return torch.rand(tuple(shape), generator=generator, dtype=torch.float64, device="cpu")


def _inputs(module: nn.Module, kind: type[nn.Module]) -> list[list[tuple[int, ...]]]:
    """Of what shapes a layer may take its inputs, for a few examples."""
    if isinstance(module, nn.Bilinear):
        return [[(3, module.in1_features), (3, module.in2_features)]]
    if isinstance(module, nn.Linear):
        return [[(3, module.in_features)]]
    if isinstance(module, _CONVOLUTIONS):
        reach = zip(module.kernel_size, module.dilation, strict=True)
        return [[(2, module.in_channels, *(spacing * (size - 1) + 4 for size, spacing in reach))]]
    if not _normalises(module):
        weight = _weight(module)
        assert weight is not None
        behind = (2 * size + 2 for size in weight.shape[2:])
        return [[(3, weight.shape[1 - cast(type[Gated], kind).unit_axis], *behind)]]
    return [[(4, unit_count(module, kind), *(3 for _ in range(axes)))] for axes in (2, 0, 1, 3)]
