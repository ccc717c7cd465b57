"""Layers that couple channels in ways of their own: silent and constant channels go exactly, or stay."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.surgery import Remove, Structure, Widen, apply, trace
from harness.surgery.certificate import outputs

pytestmark = pytest.mark.filterwarnings("ignore:input's size at dim=1")

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_TABLES = (nn.Embedding, nn.EmbeddingBag)
_MAKERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Bilinear, *_TRANSPOSED, *_TABLES)


class Between(nn.Module):
    """A layer of eight channels between two convolutions, or a function of what it holds."""

    def __init__(self, layer: nn.Module, left: int = 8, dims: int = 2) -> None:
        super().__init__()
        kind: Any = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
        self.first, self.layer, self.head = kind(3, 8, 1), layer, kind(left, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.layer(self.first(x).relu()).relu())
        return made


class Function(nn.Module):
    """Calls a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Pair(nn.Module):
    """Two branches in a bilinear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(6, 5)
        self.layer, self.head = nn.Bilinear(8, 5, 7), nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.layer(self.first(x), self.second(x)).relu())
        return made


class Table(nn.Module):
    """Looked up by the signs of what comes, in bags."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.first, self.head = nn.EmbeddingBag(10, 8, mode=mode), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.first(x).relu())
        return made


class Depthwise(nn.Module):
    """Without a module for its depthwise kernel."""

    def __init__(self, counted: bool) -> None:
        super().__init__()
        self.kernel, self.counted = nn.Parameter(torch.randn(8, 1, 3, 3)), counted

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.kernel, groups=len(self.kernel) if self.counted else 8)


def _unpooled(x: Tensor) -> Tensor:
    values, places = functional.max_pool2d(x, 2, return_indices=True)
    return functional.max_unpool2d(values, places, [2, 2])


def _sampled(x: Tensor) -> Tensor:
    places = torch.linspace(-0.9, 0.9, 32, dtype=x.dtype).view(1, 4, 4, 2).expand(len(x), 4, 4, 2)
    return functional.grid_sample(x, places, align_corners=False)


_LAYERS: dict[str, Callable[[], nn.Module]] = {
    "transposed, depthwise": lambda: Between(nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=8)),
    "transposed, depthwise, two each": lambda: Between(nn.ConvTranspose2d(8, 16, 4, 2, 1, groups=8), 16),
    "transposed, depthwise, no bias": lambda: Between(nn.ConvTranspose2d(8, 8, 3, groups=8, bias=False)),
    "transposed, groups": lambda: Between(nn.ConvTranspose2d(8, 12, 3, groups=4), 12),
    "transposed, groups, no bias": lambda: Between(nn.ConvTranspose2d(8, 12, 3, groups=4, bias=False), 12),
    "transposed 1-D": lambda: Between(nn.ConvTranspose1d(8, 8, 3, groups=8), dims=1),
    "transposed 3-D": lambda: Between(nn.ConvTranspose3d(8, 12, 2, groups=2), 12, dims=3),
    "groups": lambda: Between(nn.Conv2d(8, 12, 3, groups=4), 12),
    "groups 3-D": lambda: Between(nn.Conv3d(8, 8, 1, groups=8), dims=3),
    "depthwise function": lambda: Between(Depthwise(counted=True)),
    "instance": lambda: Between(nn.InstanceNorm2d(8)),
    "instance, affine": lambda: Between(nn.InstanceNorm2d(8, affine=True)),
    "instance, statistics": lambda: Between(nn.InstanceNorm2d(8, track_running_stats=True)),
    "instance, both": lambda: Between(nn.InstanceNorm1d(8, affine=True, track_running_stats=True), dims=1),
    "instance 3-D": lambda: Between(nn.InstanceNorm3d(8, affine=True), dims=3),
    "group": lambda: Between(nn.GroupNorm(4, 8)),
    "group, each": lambda: Between(nn.GroupNorm(8, 8)),
    "layer, places": lambda: Between(nn.LayerNorm((4, 4), bias=False)),
    "layer, places, no factors": lambda: Between(nn.LayerNorm((4, 4), elementwise_affine=False)),
    "batch, no factors": lambda: Between(nn.BatchNorm2d(8, affine=False)),
    "batch, no statistics": lambda: Between(nn.BatchNorm2d(8, track_running_stats=False)),
    "batch, neither": lambda: Between(nn.BatchNorm2d(8, affine=False, track_running_stats=False)),
    "batch, mean of all": lambda: Between(nn.BatchNorm2d(8, momentum=None)),
    "batch, synchronised": lambda: Between(nn.SyncBatchNorm(8)),
    "prelu": lambda: Between(nn.PReLU(8)),
    "unfold and fold": lambda: Between(nn.Sequential(nn.Unfold(2, stride=2), nn.Fold((4, 4), 2, stride=2))),
    "pixel unshuffle": lambda: Between(nn.PixelUnshuffle(2), 32),
    "channel shuffle": lambda: Between(nn.ChannelShuffle(2)),
    "repeat": lambda: Between(Function(lambda x: x.repeat(1, 2, 1, 1)), 16),
    "unpool": lambda: Between(Function(_unpooled)),
    "grid": lambda: Between(Function(_sampled)),
    "bilinear": Pair,
    "bags, mean": lambda: Table("mean"),
    "bags, sum": lambda: Table("sum"),
    "bags, max": lambda: Table("max"),
}
_FIXED: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "depthwise function": ("written for fixed sizes", lambda: Between(Depthwise(counted=False))),
    "group, one": ("under group normalisation, which a constant", lambda: Between(nn.GroupNorm(1, 8))),
    "group, no factors": ("number of groups is in code", lambda: Between(nn.GroupNorm(4, 8, affine=False))),
    "group function": (
        "number of groups is in code",
        lambda: Between(Function(lambda x: functional.group_norm(x, x.shape[1] // 2))),
    ),
    "local response": ("lies on an axis that a window", lambda: Between(nn.LocalResponseNorm(3))),
    "layer, all": ("under layer normalisation", lambda: Between(nn.LayerNorm((8, 4, 4)))),
    "softmax": ("normalised by softmax", lambda: Between(nn.Softmax2d())),
}


def _made(make: Callable[[], nn.Module]) -> tuple[Any, Tensor]:
    torch.manual_seed(0)
    network = make().double()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.track_running_stats:
            nn.init.normal_(module.get_buffer("running_mean"))
            nn.init.uniform_(module.get_buffer("running_var"), 0.5, 2)
        if not isinstance(module, _MAKERS):
            for parameter in module.parameters(recurse=False):
                nn.init.uniform_(parameter, 0.5, 1.5)
    first: Any = network.first
    if isinstance(first, nn.EmbeddingBag):
        return network, torch.randint(0, 10, (3, 5))
    if isinstance(first, nn.Linear):
        return network, torch.randn(3, 6, dtype=torch.float64)
    places = {nn.Conv1d: (5,), nn.Conv2d: (4, 4), nn.Conv3d: (3, 3, 3)}[type(first)]
    return network, torch.randn(3, 3, *places, dtype=torch.float64)


@torch.no_grad()
def _quieten(network: nn.Module, structure: Structure, gone: set[int], *, constant: bool) -> None:
    """Let no weight reach the units of some classes; of silent ones put what shifts them to zero too."""
    for layer, classes in structure.classes.items():
        module: Any = network.get_submodule(layer)
        units = [unit for unit, own in enumerate(classes) if own in gone]
        weight: Any = getattr(module, "weight", None)
        if isinstance(module, _TABLES):
            weight[:, units] = 0
        elif isinstance(module, _TRANSPOSED):
            by_group = weight.view(module.groups, -1, *weight.shape[1:]).transpose(1, 2)
            by_group.flatten(0, 1)[units] = 0
            for unit in units:
                by_group[unit // by_group.shape[1], unit % by_group.shape[1]] = 0
        elif weight is not None and (isinstance(module, _MAKERS) or not constant):
            weight[units] = 0
        if getattr(module, "bias", None) is not None and not constant:
            module.bias[units] = 0


def _change(before: list[Tensor], after: list[Tensor]) -> float:
    return max(
        float((new - old).abs().max() / old.abs().max()) for old, new in zip(before, after, strict=True)
    )


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("kind", _LAYERS)
def test_channels_go_exactly(kind: str, constant: bool) -> None:
    network, x = _made(_LAYERS[kind])
    structure = trace(network, x)
    gone: set[int] = set()
    for group in structure.groups:
        classes = sorted({own for layer in group.layers for own in structure.classes[layer]})
        if group.removable > 1:
            gone.update(classes[::3])
    _quieten(network, structure, gone, constant=constant)
    before, size = outputs(network, x), sum(own.numel() for own in network.parameters())
    edits = [
        Remove(layer, tuple(unit for unit, own in enumerate(classes) if own in gone), exact=True)
        for layer, classes in structure.classes.items()
    ]
    receipt = apply(network, None, [edit for edit in edits if edit.units], x)
    after = outputs(network, x)
    assert _change(before[0], after[0]) < 1e-10
    if not receipt.exact_in_evaluation_only:
        assert _change(before[1], after[1]) < 1e-10
    if not constant:
        assert receipt.refused is None
        assert sum(own.numel() for own in network.parameters()) < 0.8 * size


@pytest.mark.parametrize("kind", _FIXED)
def test_channels_that_cannot_go_say_why(kind: str) -> None:
    said, make = _FIXED[kind]
    network, x = _made(make)
    group = trace(network, x).group("first")
    assert group.removable == 0
    assert said in (group.refused or "")


def test_numbers_of_modules_say_what_is_left() -> None:
    network, x = _made(_LAYERS["group"])
    apply(network, None, [Remove("first", (0, 1))], x)
    assert (network.layer.num_groups, network.layer.num_channels) == (3, 6)
    network, x = _made(_LAYERS["transposed, groups"])
    apply(network, None, [Remove("first", (0, 1))], x)
    assert (network.layer.groups, network.layer.in_channels, network.layer.out_channels) == (3, 6, 9)
    network, x = _made(Pair)
    apply(network, None, [Remove("first", (0,)), Remove("second", (0, 1)), Remove("layer", (3,))], x)
    layer = network.layer
    assert (layer.in1_features, layer.in2_features, layer.out_features) == (7, 3, 6)


def test_new_channels_pass_norms_and_transposed_kernels_of_each() -> None:
    network, x = _made(_LAYERS["transposed, depthwise"])
    new = {"layer": torch.ones(2, 1, 4, 4, dtype=torch.float64)}
    one = Widen("first", torch.ones(2, 3, 1, 1), torch.zeros(2), new)
    before = outputs(network, x)
    assert apply(network, None, [one], x).added == {"first": 2}
    assert network.layer.groups == 10
    assert _change(before[0], outputs(network, x)[0]) < 1e-12
    network, x = _made(_LAYERS["group, each"])
    before = outputs(network, x)
    apply(network, None, [Widen("first", torch.ones(2, 3, 1, 1), torch.zeros(2), {})], x)
    assert network.layer.num_groups == 10
    assert _change(before[0], outputs(network, x)[0]) < 1e-12
