"""Layers that write into one residual stream share their gates, and a unit goes from all of them at once."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3

from harness.architectures.base import Architecture
from harness.architectures.resnet import ResNet
from harness.search.space import Int
from harness.sizing.base import Cell, Schedule
from harness.sizing.gates.streams import share_gates, writers
from harness.sizing.gates.units import attach_gates, fold_gates, gates, places_for_gates
from harness.sizing.methods.shrinknets import ShrinkNets
from harness.surgery import Remove, apply, trace
from tests.surgery.helpers import change, images, measure, train
from tests.training.small import CLASSES, FEATURES, a_job, trained

_EXACT = 1e-10


def _resnet(shortcut: str) -> nn.Module:
    architecture = ResNet(blocks=(1, 2), shortcut=shortcut)  # type: ignore[arg-type]
    sizes = dict.fromkeys(architecture.sized_layers, 4) | {"stage2.0.conv2": 6}
    network: nn.Module = architecture.build((3, 8, 8), 5, sizes)
    return network


def _squeezing() -> nn.Module:
    block = partial(InvertedResidualConfig, use_se=True, activation="HS", dilation=1, width_mult=1.0)
    parts = [block(8, 3, 16, 8, stride=1), block(8, 3, 16, 8, stride=1)]
    network: nn.Module = MobileNetV3(parts, 16, num_classes=5)
    return network


#: Name -> the network, and what writes into some of its streams.
_NETWORKS: dict[str, tuple[Callable[[], nn.Module], Mapping[str, tuple[str, ...]]]] = {
    "projections": (
        partial(_resnet, "projection"),
        {
            "conv1": ("conv1", "stage1.0.conv2"),
            "stage2.0.conv2": ("stage2.0.conv2", "stage2.0.shortcut.0", "stage2.1.conv2"),
        },
    ),
    "zeros": (
        partial(_resnet, "identity"),
        {"stage2.0.conv2": ("stage2.0.conv2", "stage2.0.shortcut", "stage2.1.conv2")},
    ),
    "depthwise": (
        lambda: MobileNetV2(5, 0.25, [[1, 8, 1, 1], [3, 16, 2, 2]]),
        {
            "features.0.0": ("features.0.0", "features.1.conv.1"),
            "features.2.conv.0.0": ("features.2.conv.0.0",),
            "features.2.conv.2": ("features.2.conv.2", "features.3.conv.2"),
        },
    ),
    # What a normalisation adds is multiplied by squeeze and excitation: it is shut behind that.
    "squeezed": (
        _squeezing,
        {
            "features.0.0": ("features.0.0", "features.1.block.3.0", "features.2.block.3.0"),
            "features.1.block.0.0": ("features.1.block.1.0",),
        },
    ),
}


@pytest.mark.parametrize("name", _NETWORKS)
def test_a_shut_gate_silences_a_unit_of_the_whole_stream(name: str) -> None:
    torch.manual_seed(0)
    build, expected = _NETWORKS[name]
    network, x = build().double(), images(3, 16)
    structure = trace(network, x)
    layers = [group.layers[0] for group in structure.groups if group.removable]
    streams = writers(network, x, layers)
    assert {layer: streams[layer] for layer in expected} == expected
    places = {layer: places_for_gates(streams[layer], structure.norms) for layer in layers}
    attach_gates(network, [own[0] for own in places.values()])
    share_gates(network, {own[0]: own[1:] for own in places.values()})
    assert len({id(gate) for gate in gates(network).values()}) == len(layers)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    train(network, optimizer, x, 2)
    with torch.no_grad():
        for own in places.values():
            gates(network)[own[0]][1] = -0.1
    before, folded = measure(network, x), copy.deepcopy(network)
    fold_gates(folded)
    assert [type(own) for own in folded.modules()] == [type(own) for own in build().modules()]
    assert max(change(before, measure(folded, x))) <= _EXACT
    receipt = apply(network, optimizer, [Remove(layer, (1,), exact=True) for layer in layers], x)
    assert not receipt.refused
    assert all(receipt.removed[own] >= 1 for stream in streams.values() for own in stream)
    assert max(change(before, measure(network, x))) <= _EXACT
    train(network, optimizer, x, 1)
    before = measure(network, x)
    fold_gates(network)
    assert max(change(before, measure(network, x))) <= _EXACT


def test_only_layers_that_fit_share_gates() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"^The layer '0' has no gates to share\.$"):
        share_gates(network, {"0": ["1"]})
    attach_gates(network, ["0"])
    with pytest.raises(ValueError, match="'2' cannot share the 4 gates of '0': it has 2 units"):
        share_gates(network, {"0": ["1", "2"]})
    assert list(gates(network)) == ["0"]


class _Sum(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.inner, self.out = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.out(self.inner(x).relu())
        return made


@dataclass(frozen=True)
class _Residual(Architecture):
    """A stream that two layers write into."""

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return ("enter", "block.inner")

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> nn.Module:
        network, width = nn.Sequential(), sizes["enter"]
        network.add_module("enter", nn.Linear(example_shape[0], width))
        network.add_module("block", _Sum(width, sizes["block.inner"]))
        network.add_module("relu", nn.ReLU())
        network.add_module("output", nn.Linear(width, outputs))
        return network


@pytest.mark.parametrize(("gate", "step"), [("rectified", "subgradient"), ("debounced", "proximal")])
def test_streams_get_narrower_where_all_that_write_into_them_share_gates(gate: str, step: str) -> None:
    sizes = {"enter": 40, "block.inner": 20}
    cell = Cell(_Residual(), (FEATURES,), CLASSES, {layer: Int(1, 40) for layer in sizes}, sizes)
    method = ShrinkNets(gate=gate, step=step, decay=0.0)  # type: ignore[arg-type]
    for streams, narrower in (("first", False), ("all", True)):
        own = replace(method, streams=streams)  # type: ignore[arg-type]
        params = {"lambda": 100.0 if step == "subgradient" else 10.0}
        phases = own.phases(params, Schedule(8, 0.02))
        left = trained(a_job(own, params=params, phases=phases, optimizer="Adam", batch_size=4, cell=cell))
        assert left.error is None
        enter = left.network.get_submodule("enter")
        assert isinstance(enter, nn.Linear)
        assert (enter.out_features < 40) == narrower
        names = dict(left.network.named_parameters())
        assert ("enter.gate" in names, "block.out.gate" in names) == (True, False)
        assert ("block.out" in gates(left.network)) == narrower
