"""Which modules are residual blocks, and in which layer their branch ends."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.surgery import SurgeryError
from harness.surgery.tracing.residual import ResidualBlocks, residual_blocks
from tests.surgery.helpers import images
from tests.surgery.networks import NETWORKS


def _linear_or_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | nn.Conv2d | nn.BatchNorm1d | nn.BatchNorm2d)


def _find(network: nn.Module, x: Tensor) -> ResidualBlocks:
    return residual_blocks(network, x, _linear_or_norm)


class Block(nn.Module):
    """`add` of the input and of what `branch` makes of it."""

    def __init__(self, branch: nn.Module, add: Callable[[Tensor, Tensor], Tensor] = torch.add) -> None:
        super().__init__()
        self.branch, self.add = branch, add

    def forward(self, x: Tensor) -> Tensor:
        return self.add(x, self.branch(x))


class Scaled(nn.Module):
    """Squeeze and excitation: channels times a number that is made of all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.squeeze(x).sigmoid()


def _two_layers(*more: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4), *more)


def _network(block: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), block, nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("name", "ends", "left_out"),
    [
        (
            "resnet18",
            {f"layer{k}.1": f"layer{k}.1.bn2" for k in (1, 2, 3, 4)} | {"layer1.0": "layer1.0.bn2"},
            ["layer2.0", "layer3.0", "layer4.0"],
        ),
        ("resnext", {"layer2.1": "layer2.1.bn3"}, [f"layer{k}.0" for k in (1, 2, 3, 4)]),
        ("wide_resnet", {"layer2.1": "layer2.1.bn3"}, [f"layer{k}.0" for k in (1, 2, 3, 4)]),
        (
            "mobilenet_v2",
            {f"features.{k}": f"features.{k}.conv.3" for k in (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)},
            [],
        ),
        (
            "efficientnet_b0",
            {
                f"features.{stage}.{k}": f"features.{stage}.{k}.block.3.1"
                for stage, last in ((2, 1), (3, 1), (4, 2), (5, 2), (6, 3))
                for k in range(1, last + 1)
            },
            [],
        ),
        (
            "convnext",
            {f"features.{stage}.{k}": f"features.{stage}.{k}.block.5" for stage in (1, 3) for k in (0, 1)},
            [],
        ),
        # Two sums, one behind the other: no single layer could close both.
        ("vit", {}, [f"encoder.layers.encoder_layer_{k}" for k in range(3)]),
        ("densenet", {}, []),
        ("unet", {}, []),
    ],
)
def test_blocks_of_well_known_networks(name: str, ends: dict[str, str], left_out: list[str]) -> None:
    make, side = NETWORKS[name]
    network = make()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    found = _find(network, images(1, side, torch.float32))
    assert found.ends == ends
    assert list(found.left_out) == left_out
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("block", "end"),
    [
        (Block(_two_layers()), "2"),
        (Block(_two_layers(nn.BatchNorm1d(4), nn.Dropout(0.5))), "3"),
        # max(0, x) of a scaled x is scaled: behind it the layer is still the branch's end.
        (Block(_two_layers(nn.ReLU())), "2"),
        (Block(_two_layers(), lambda x, made: made.add_(x)), "2"),
        (Block(_two_layers(), lambda x, made: torch.add(x.clone(), made, alpha=0.3)), "2"),
        (Block(Block(_two_layers(), lambda x, made: x * 2 + made)), None),
        # Not scaled with any layer, though it is nothing once some layer gives nothing.
        (Block(_two_layers(nn.Tanh())), None),
        (Block(_two_layers(Scaled())), None),
        # Not nothing when the layer gives nothing.
        (Block(_two_layers(nn.Sigmoid())), None),
        (Block(_two_layers(nn.LayerNorm(4))), None),
        # Not the identity without the branch: an activation changes an input that has passed none.
        (Block(_two_layers(), lambda x, made: nn.functional.gelu(x + made)), None),
        (Block(_two_layers(), lambda x, made: (x + made).relu()), None),
        (nn.Sequential(Block(_two_layers()), nn.ReLU()), "0.branch.2"),
    ],
)
@pytest.mark.parametrize("zero", [False, True])
def test_the_end_of_a_branch_scales_it_and_leaves_the_identity_at_zero(
    block: nn.Module, end: str | None, zero: bool
) -> None:
    """Also where the branch is zero to begin with, as in residual networks that start as the identity."""
    block = copy.deepcopy(block)
    if zero:
        with torch.no_grad():
            for parameter in block.parameters():
                parameter.zero_()
    found = _find(_network(block), torch.randn(5, 4))
    inner = "1.0" if isinstance(block, nn.Sequential) else "1"
    path = f"1.{end}" if isinstance(block, nn.Sequential) else f"1.branch.{end}"
    assert found.ends.get(inner) == (path if end is not None else None)
    if end is None:
        assert "cannot" in found.left_out["1"]


class NoisyShortcut(Block):
    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.branch(x)
        return nn.functional.dropout(made, 0.5, self.training)


def test_a_block_that_is_the_identity_in_evaluation_mode_alone_is_left_out() -> None:
    assert not _find(_network(NoisyShortcut(_two_layers())), torch.randn(5, 4)).ends


def test_a_rectifier_behind_the_sum_is_nothing_to_an_input_that_has_passed_one() -> None:
    block = Block(_two_layers(), lambda x, made: (x + made).relu())
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), block, block, Block(_two_layers()))
    assert _find(network, torch.randn(5, 4)).ends == {"2": "2.branch.2", "4": "4.branch.2"}


class Projected(Block):
    """A projection that keeps the shape, which a look at shapes would take for no shortcut at all."""

    def __init__(self) -> None:
        super().__init__(_two_layers())
        self.shortcut = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.branch(x)


def test_a_projection_that_keeps_the_shape_is_left_out_by_name() -> None:
    found = _find(_network(Projected()), torch.randn(5, 4))
    assert not found.ends
    assert found.left_out["1"].startswith("The block '1' does not add its branch to its own input")


def test_a_layer_that_is_used_elsewhere_too_is_no_place_for_a_gate() -> None:
    shared = nn.Linear(4, 4)
    network = nn.Sequential(nn.Linear(4, 4), Block(nn.Sequential(nn.Tanh(), shared)), shared)
    assert list(_find(network, torch.randn(5, 4)).left_out) == ["1"]


def test_blocks_within_blocks_are_both_found() -> None:
    outer = Block(nn.Sequential(nn.Linear(4, 4), Block(_two_layers()), nn.Linear(4, 4)))
    ends = _find(_network(outer), torch.randn(5, 4)).ends
    assert ends == {"1": "1.branch.2", "1.branch.1": "1.branch.1.branch.2"}


def test_an_example_that_shows_nothing_is_said_to_show_nothing() -> None:
    network = nn.Sequential(nn.ReLU(), Block(_two_layers()))
    assert "nothing but zeros" in _find(network, torch.zeros(2, 4)).left_out["1"]
    assert _find(network, torch.randn(2, 4)).ends == {"1": "1.branch.2"}


def test_an_example_of_the_wrong_shape() -> None:
    with pytest.raises(SurgeryError, match="does not run on an example of shape"):
        _find(_network(Block(_two_layers())), torch.randn(2, 5))


class Moderated(Block):
    """Its caller says how much of the branch counts."""

    def forward(self, x: Tensor, share: float = 1.0) -> Tensor:
        return x + share * self.branch(x)


class Single(Block):
    """Runs in single precision alone."""

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x.float())


class Caller(nn.Module):
    def __init__(self, odd: nn.Module, named: bool) -> None:
        super().__init__()
        self.odd, self.named, self.plain = odd, named, Block(_two_layers())

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.odd, Moderated):
            x = self.odd(x, share=0.5) if self.named else self.odd(x, 0.5)
        else:
            x = self.odd(x)
        return self.plain(x)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("kind", [Moderated, Single])
def test_a_block_that_cannot_be_tried_by_itself_does_not_hide_the_others(
    kind: type[Block], named: bool
) -> None:
    found = _find(Caller(kind(_two_layers()), named), torch.randn(5, 4))
    assert found.ends == {"plain": "plain.branch.2"}
    assert list(found.left_out) == ["odd"]
