"""Training a little, silencing units by hand, and comparing outputs: the tests' own oracles."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from harness.surgery import Remove, Structure

Outputs = tuple[Tensor, Tensor]


def images(count: int, side: int, dtype: torch.dtype = torch.float64, channels: int = 3) -> Tensor:
    return torch.randn(count, channels, side, side, dtype=dtype)


def loss(network: nn.Module, x: Tensor) -> Tensor:
    """Against targets that no network starts at; auxiliary outputs count too."""
    made = network(x)
    outputs = made if isinstance(made, tuple) else (made,)
    parts = [
        (out - torch.linspace(-1, 1, out.numel(), dtype=out.dtype, device=out.device).view_as(out))
        .square()
        .mean()
        for out in outputs
    ]
    return torch.stack(parts).sum()


def train(network: nn.Module, optimizer: Optimizer, x: Tensor, steps: int) -> None:
    network.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss(network, x).backward()
        optimizer.step()


def measure(network: nn.Module, x: Tensor) -> Outputs:
    """Main output in evaluation mode, and with normalisation by the batch."""
    network.eval()
    with torch.no_grad():
        evaluation = network(x)
        buffers = [buffer.clone() for buffer in network.buffers()]
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train()
        training = network(x)
        for buffer, value in zip(network.buffers(), buffers, strict=True):
            buffer.copy_(value)
    network.eval()
    return evaluation, training


def change(before: Outputs, after: Outputs) -> tuple[float, float]:
    """Largest change relative to the output's scale, in evaluation and in training mode."""
    parts = [float((new - old).abs().max() / old.abs().max()) for old, new in zip(before, after, strict=True)]
    return parts[0], parts[1]


def some_classes(structure: Structure, every: int = 4) -> set[int]:
    """Every so-many-th class of each group that may lose some, at least one and never all."""
    picked: set[int] = set()
    for group in structure.groups:
        classes = sorted({name for layer in group.layers for name in structure.classes[layer]})
        if group.refused is None and len(classes) > 1:
            picked.update(classes[::every] if len(classes) > every else classes[:1])
    return picked


def units_of(structure: Structure, layer: str, classes: set[int]) -> tuple[int, ...]:
    return tuple(unit for unit, name in enumerate(structure.classes[layer]) if name in classes)


def removals(structure: Structure, classes: set[int], exact: bool = True) -> list[Remove]:
    found = [(layer, units_of(structure, layer, classes)) for layer in structure.units]
    return [Remove(layer, units, exact) for layer, units in found if units]


def maker_of(module: Any, axis: int) -> Tensor:
    """What makes a layer's units along an axis: its weight, or the parameter that its weight goes with."""
    named = dict(module.named_parameters())
    for magnitude, direction in (
        ("weight_g", "weight_v"),
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ):
        if magnitude in named:
            has_own = named[magnitude].dim() and named[magnitude].shape[axis] > 1
            return named[magnitude if has_own else direction]
    for name in ("weight_orig", "parametrizations.weight.original"):
        if name in named:
            return named[name]
    weight: Tensor = module.weight
    return weight


@torch.no_grad()
def silence(network: nn.Module, structure: Structure, classes: set[int]) -> None:
    """Put what makes or shifts the units of some classes to zero, layer by layer, by hand."""
    for layer in structure.classes:
        units = list(units_of(structure, layer, classes))
        if not units:
            continue
        module: Any = network.get_submodule(layer)
        if isinstance(module, nn.MultiheadAttention):
            for own, axis in _rows_of_heads(module):
                own.movedim(axis, 0).unflatten(0, (-1, module.num_heads, module.head_dim))[:, units] = 0
            continue
        if isinstance(module, nn.RNNBase | nn.RNNCellBase):
            for own in module.parameters():
                # Every gate has a row for each unit.
                own.unflatten(0, (-1, len(structure.classes[layer])))[:, units] = 0
            continue
        # Linear layers of GPT-2 are called convolutions, and hold their weights transposed.
        made_along = (
            1
            if isinstance(module, nn.ConvTranspose2d | nn.Embedding) or type(module).__name__ == "Conv1D"
            else 0
        )
        maker = maker_of(module, made_along)
        maker.movedim(made_along, 0)[units] = 0
        if getattr(module, "bias", None) is not None:
            module.bias[units] = 0


def _rows_of_heads(module: nn.MultiheadAttention) -> list[tuple[Tensor, int]]:
    """All parameters of an attention that have positions of heads, and the axis of these."""
    named = [(name, 0) for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")]
    named += [("in_proj_bias", 0), ("bias_k", 2), ("bias_v", 2)]
    return [(own, axis) for name, axis in named if isinstance(own := getattr(module, name), Tensor)]


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def optimizer_parameters(optimizer: Optimizer) -> set[int]:
    return {id(own) for group in optimizer.param_groups for own in group["params"]}


def ids(tensors: Iterable[Tensor]) -> set[int]:
    return {id(tensor) for tensor in tensors}
