"""The published networks among the families: their counts, their streams, and what may be taken out."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from harness import registry, surgery
from harness.architectures.alexnet import AlexNet
from harness.architectures.mininet import MiniNet
from harness.architectures.residual import PaddedIdentity
from harness.architectures.resnet import ResNet
from harness.architectures.sine_mlp import SineMLP
from harness.architectures.vgg16 import VGG16
from harness.search.space import Int
from harness.sizing.base import Cell
from harness.sizing.ledger.counting import multiply_accumulates
from harness.sizing.methods.shrinknets import ShrinkNets

_CIFAR = (3, 32, 32)


@pytest.mark.parametrize(
    ("family", "shape", "outputs", "parameters"),
    [
        (SineMLP(), (1,), 1, 481),
        (MiniNet(), _CIFAR, 10, 1_250_858),
        (AlexNet(), _CIFAR, 10, 2_472_266),  # 2.47 M
        (VGG16(), _CIFAR, 10, 14_991_946),  # 15.0 M
        (VGG16(version="imagenet"), (3, 224, 224), 1000, 138_357_544),  # 138 M
        (ResNet(depth=20), _CIFAR, 10, 269_722),  # .27 M
        (ResNet(depth=56), _CIFAR, 10, 853_018),  # .85 M
        (ResNet(depth=110), _CIFAR, 10, 1_727_962),  # 1.7 M
        (ResNet(depth=20, shortcut="projection"), _CIFAR, 10, 269_722 + 16 * 32 + 32 * 64 + 2 * (32 + 64)),
    ],
)
def test_at_its_published_sizes_a_network_has_the_published_count(
    family: Any, shape: tuple[int, ...], outputs: int, parameters: int
) -> None:
    assert family.sized_layers == tuple(family.published)
    with torch.device("meta"):  # as a plan looks at networks: without memory
        network = family.build(shape, outputs, family.published)
        assert network(torch.empty(2, *shape)).shape == (2, outputs)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_resnet_20_computes_what_the_paper_says() -> None:
    with torch.device("meta"):
        network = ResNet().build(_CIFAR, 10, ResNet().published)
        # 41 M of multiply-accumulates; shortcuts without parameters are not counted.
        assert multiply_accumulates(network, torch.empty(1, *_CIFAR)) == 40_551_040


def _sizes(family: ResNet) -> dict[str, int]:
    """Another size for every layer."""
    return {layer: 4 + place for place, layer in enumerate(family.sized_layers)}


@pytest.mark.parametrize("shortcut", ["identity", "projection"])
def test_layers_that_add_to_one_stream_are_sized_by_one_of_them(shortcut: Any) -> None:
    family = ResNet(blocks=(2, 1), shortcut=shortcut)
    network = family.build((3, 8, 8), 5, _sizes(family))
    units = {path: len(m.weight) for path, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    assert _sizes(family).items() <= units.items()
    assert units["conv1"] == units["stage1.0.conv2"] == units["stage1.1.conv2"]
    groups = [set(group.layers) for group in surgery.trace(network, torch.rand(2, 3, 8, 8)).groups]
    assert {"conv1", "stage1.0.conv2", "stage1.1.conv2"} in groups
    begun = "stage2.0.shortcut" if shortcut == "identity" else "stage2.0.shortcut.0"
    assert {"stage2.0.conv2", begun} in groups
    assert all(len({*group} & {*family.sized_layers}) <= 1 for group in groups)


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 5), (4, 4), (5, 3)])
def test_an_identity_shortcut_subsamples_and_pads_with_zeros(inputs: int, outputs: int) -> None:
    x = torch.rand(2, inputs, 6, 7)
    wanted = functional.pad(x[:, :outputs, ::2, ::2], (0, 0, 0, 0, 0, max(0, outputs - inputs)))
    assert torch.equal(PaddedIdentity(inputs, outputs, 2)(x), wanted)


def test_a_dead_unit_leaves_a_stream_exactly_and_blocks_can_go() -> None:
    family = ResNet(depth=14)
    torch.manual_seed(0)
    network = family.build((3, 8, 8), 5, _sizes(family)).eval()
    x = torch.rand(4, 3, 8, 8)
    norms = [network.get_submodule(path) for path in ("norm1", "stage1.0.norm2", "stage1.1.norm2")]
    for norm in norms:
        norm.weight.data[2] = 0  # type: ignore[operator]
    before = network(x)
    receipt = surgery.apply(network, None, [surgery.Remove("stage1.1.conv2", (2,), exact=True)], x)
    assert receipt.removed == {"conv1": 1, "stage1.0.conv2": 1, "stage1.1.conv2": 1}
    assert torch.allclose(network(x), before, atol=1e-6)
    surgery.apply(network, None, [surgery.RemoveBlock("stage2.1")], x)
    assert network(x).shape == (4, 5)
    with pytest.raises(surgery.SurgeryError, match=r"The block 'stage2.0' turns"):
        surgery.apply(network, None, [surgery.RemoveBlock("stage2.0")], x)


def test_a_unit_of_a_stream_does_not_die_by_the_gate_of_one_layer() -> None:
    family = ResNet(blocks=(1,))
    bounds = dict.fromkeys(family.sized_layers, Int(4, 4))
    cell = Cell(family, (1, 8, 8), 3, bounds, dict.fromkeys(family.sized_layers, 4))
    network, _ = ShrinkNets(position="norm").build(cell, {"lambda": 0.1})
    x = torch.rand(2, 1, 8, 8)
    # As the method proposes it: the gate on `norm1` is dead, but the block adds to the unit.
    network.get_parameter("norm1.gate").data[1] = -1
    network.get_parameter("stage1.0.norm1.gate").data[1] = -1
    edits = [surgery.Remove(layer, (1,), exact=True) for layer in family.sized_layers]
    before = network.eval()(x)
    receipt = surgery.apply(network, None, edits, x)
    assert receipt.removed == {"stage1.0.conv1": 1}
    assert receipt.refused == {"conv1": "still varies"}
    assert torch.allclose(network(x), before, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet", {"depth": 21}, "resnet: depth must be 6n + 2 (8, 14, 20, ...), found 21"),
        ("resnet", {"depth": 2}, "resnet: depth must be 6n + 2 (8, 14, 20, ...), found 2"),
        ("resnet", {"blocks": [2, 0]}, "resnet: blocks must name at least one stage of at least 1 block"),
        ("vgg16", {"version": "cifr"}, "vgg16: option version: input should be 'cifar' or 'imagenet'"),
    ],
)
def test_options_that_no_network_has(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is looked at whole
        registry.make_architecture(name, options)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("family", "least"), [(MiniNet(), 10), (AlexNet(), 29), (VGG16(), 1), (ResNet(depth=8), 1)]
)
def test_the_smallest_images_that_suit(family: Any, least: int) -> None:
    sizes = dict.fromkeys(family.sized_layers, 2)
    assert family.build((2, least, least), 3, sizes)(torch.rand(3, 2, least, least)).shape == (3, 3)
    with pytest.raises(ValueError, match=f"of at least {least}x{least}, found 2x{least}x{least - 1}"):
        family.check((2, least, least - 1))


def test_an_output_with_tanh_if_asked() -> None:
    torch.manual_seed(0)
    x = torch.full((1, 1), 1e6)
    linear, bent = (
        SineMLP(output=output).build((1,), 1, {"hidden1": 3, "hidden2": 3}) for output in ("linear", "tanh")
    )
    bent.load_state_dict(linear.state_dict())
    assert torch.equal(bent(x), linear(x).tanh())


def test_he_normal_has_the_variance_of_the_paper() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        network = ResNet(blocks=(1,)).build((3, 8, 8), 3, {"conv1": 64, "stage1.0.conv1": 64})
    deviation = network.get_parameter("stage1.0.conv2.weight").std().item()
    assert deviation == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
