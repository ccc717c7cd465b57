"""Networks cut to a width before they are trained: the same as those written at that width."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models
from torchvision.models.resnet import ResNet

from harness.surgery import SurgeryError
from harness.surgery.changes.heads import HeadAttention
from harness.surgery.resizing.groups import WidthGroup, width_groups
from harness.surgery.resizing.initialisation import recording
from harness.surgery.resizing.resize import resize
from harness.surgery.resizing.stored import stored_widths
from tests.surgery.networks import Narrow, Transformer, resnext

Make = Callable[[], nn.Module]


class Grouped(nn.Module):
    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, width, 3), nn.GroupNorm(4, width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3), nn.GroupNorm(4, width)
        self.head = nn.Linear(width, 5)
        nn.init.orthogonal_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
        out: Tensor = self.head(x.mean((2, 3)))
        return out


def mlp(hidden: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, hidden), nn.ReLU(), nn.Linear(hidden, 5))


def mobilenet(width: float) -> nn.Module:
    return models.MobileNetV2(num_classes=5, width_mult=width, dropout=0.0)


def few_groups() -> nn.Module:
    return ResNet(models.resnet.Bottleneck, [1, 2, 1, 1], num_classes=5, groups=16, width_per_group=4)


class Rows(nn.Module):
    """A recurrent layer and a cell that read images row by row."""

    def __init__(self, kind: type[Any], cell: type[Any], width: int = 16, inner: int = 9) -> None:
        super().__init__()
        self.layer = kind(24, width, num_layers=2, bidirectional=True, batch_first=True)
        self.cell, self.head = cell(2 * width, inner), nn.Linear(inner, 5)

    def forward(self, x: Tensor) -> Tensor:
        made, _ = self.layer(x.transpose(1, 2).flatten(2))
        state: Any = None
        for step in made.unbind(1):
            state = self.cell(step, state)
        out: Tensor = self.head(state[0] if isinstance(state, tuple) else state)
        return out


#: What is cut, the same written narrower, and the side of its images.
PAIRS: dict[str, tuple[Make, Make, int]] = {
    "mlp": (partial(mlp, 24), partial(mlp, 7), 8),
    "resnet18": (partial(models.resnet18, num_classes=5), partial(Narrow, 24), 32),
    "mobilenet_v2": (partial(mobilenet, 1.0), partial(mobilenet, 0.5), 32),
    "transformer": (Transformer, partial(Transformer, 8, 10), 8),
    "group_norm": (Grouped, partial(Grouped, 8), 8),
    "resnext": (resnext, few_groups, 32),
    "lstm": (partial(Rows, nn.LSTM, nn.GRUCell), partial(Rows, nn.LSTM, nn.GRUCell, 11, 4), 8),
    "gru": (partial(Rows, nn.GRU, nn.LSTMCell), partial(Rows, nn.GRU, nn.LSTMCell, 5, 7), 8),
}


def sizes_of(narrow: nn.Module, groups: Iterable[WidthGroup]) -> dict[str, int]:
    """What a narrow network has where the wide one has its groups."""
    sizes: dict[str, int] = {}
    for group in groups:
        module = narrow.get_submodule(group.name)
        if isinstance(module, nn.MultiheadAttention):
            sizes[group.name] = module.num_heads
        elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
            sizes[group.name] = module.hidden_size
        else:
            sizes[group.name] = len(narrow.get_parameter(f"{group.name}.weight"))
    return sizes


@pytest.mark.parametrize("name", PAIRS)
def test_a_network_cut_to_a_width_is_the_one_written_at_that_width(name: str) -> None:
    make, make_narrow, side = PAIRS[name]
    torch.manual_seed(0)
    narrow, drawn_after = make_narrow(), torch.rand(1)
    torch.manual_seed(0)
    with recording() as record:
        network = make()
    started, x = record(network), torch.randn(2, 3, side, side)
    resize(network, x, sizes_of(narrow, width_groups(network, x)))
    torch.manual_seed(0)
    started.replay(network)
    assert torch.equal(torch.rand(1), drawn_after)
    wanted, own = narrow.state_dict(), network.state_dict()
    assert {path: tensor.shape for path, tensor in own.items()} == {p: t.shape for p, t in wanted.items()}
    differing = [path for path in wanted if not torch.equal(wanted[path], own[path])]
    assert differing == []
    for training in (False, True):
        expected, given = narrow.train(training)(x), network.train(training)(x)
        # PyTorch's own attention takes another way through the same sums.
        close = name == "transformer"
        assert torch.allclose(given, expected, atol=1e-6) if close else torch.equal(given, expected)


def test_an_attention_that_lost_heads_starts_as_pytorch_starts_one() -> None:
    attention = nn.MultiheadAttention(8, 2)
    light = HeadAttention.of(attention)
    for own in (attention, light):
        torch.manual_seed(0)
        own._reset_parameters()
    started = attention.in_proj_weight.clone()
    assert torch.equal(light.in_proj_weight, started)
    assert not light.in_proj_bias.any()


class Stubborn(nn.Module):
    """Widths that cannot be changed, each for its reason, and one that can."""

    def __init__(self) -> None:
        super().__init__()
        self.viewed, self.bare, self.free = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.norm, self.odd = nn.LayerNorm(6, elementwise_affine=False), nn.GroupNorm(6, 6)
        self.grouped, self.head = nn.Linear(6, 6), nn.Linear(6, 5)
        self.count, self.scale, self.unread = 6, 6**-0.5, 6

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.bare(self.viewed(x).view(-1, 6)))
        x = self.free(x) * self.scale
        out: Tensor = self.head(self.odd(self.grouped(x)))
        return out


def test_widths_that_cannot_be_changed_say_why() -> None:
    network, x = Stubborn(), torch.randn(3, 4)
    groups = {group.name: group for group in width_groups(network, x)}
    assert {name: group.refused and group.refused[:60] for name, group in groups.items()} == {
        "viewed": "its code was written for a fixed size (shape '[-1, 6]' is in",
        "bare": "under layer normalisation over a width that only code holds,",
        "free": None,
        "grouped": "all its units go together",
        "head": "belongs to the network's output",
    }
    before = {path: tensor.clone() for path, tensor in network.state_dict().items()}
    for sizes, message in (
        ({"viewed": 5}, "The network cannot be cut to viewed: 5: The network does not run"),
        ({"bare": 5}, "The width of 'bare' cannot be changed: under layer normalisation over a width"),
        ({"free": 7}, "The layer 'free' can have 1 to 6 units, as it was built; 7 were asked for"),
        ({"fre": 3}, "The network has no layer 'fre' with units; did you mean 'free'"),
    ):
        with pytest.raises(SurgeryError) as raised:
            resize(network, x, sizes)
        assert str(raised.value).startswith(message)
    assert all(torch.equal(tensor, before[path]) for path, tensor in network.state_dict().items())


def test_units_that_go_together_by_several_are_cut_by_so_many() -> None:
    network, x = Grouped(), torch.randn(2, 3, 8, 8)
    with pytest.raises(
        SurgeryError, match="'norm1' go together by 4: it can have multiples of 4 up to 12; 6 "
    ):
        resize(network, x, {"norm1": 6})
    with pytest.raises(SurgeryError, match="norm1 and conv1 have one width; two were asked for"):
        resize(network, x, {"conv1": 4, "norm1": 8})
    resize(network, x, {"norm1": 8})
    assert (network.norm1.num_channels, network.conv2.in_channels) == (8, 8)


def test_windows_of_a_fixed_size_are_refused_by_name() -> None:
    swin = models.SwinTransformer([2, 2], 8, [1, 1], [2, 2], [2, 2], num_classes=5)
    free = [group.name for group in width_groups(swin, torch.randn(2, 3, 8, 8)) if group.refused is None]
    assert [name for name in free if "mlp" not in name] == []


def test_numbers_that_a_network_keeps_of_its_width_are_named_if_it_reads_them() -> None:
    network = Stubborn()
    [said] = stored_widths(network, torch.randn(3, 4), {"free": 6})
    assert said == (
        "scale of a Stubborn is 0.408248 and is read when the network runs; if it stands for one over the "
        "root of the width of free, it is wrong after a cut"
    )
    assert type(network) is Stubborn
    torchvisions = models.resnet18(num_classes=5)
    assert torchvisions.inplanes == 512
    assert stored_widths(torchvisions, torch.randn(2, 3, 32, 32), {"conv1": 64, "layer4.0.conv2": 512}) == ()


class Halved(nn.Module):
    """Splits what it makes by a number of its own, and reshapes it to heads by another."""

    def __init__(self, width: int = 12, heads: int = 3) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.wide, self.own = nn.Linear(4, width), nn.Linear(width // 2, width // 2)
        self.query, self.key = nn.Linear(width, 4 * heads), nn.Linear(width, 4 * heads)
        self.head = nn.Linear(heads, 5)

    def forward(self, x: Tensor) -> Tensor:
        past, own = self.wide(x).split(self.width // 2, 1)
        h = torch.cat([past, self.own(own)], 1)
        query, key = (layer(h).view(len(x), self.heads, -1) for layer in (self.query, self.key))
        out: Tensor = self.head((query * key).sum(2))
        return out


def test_numbers_in_the_code_go_by_the_widths_that_they_are_of() -> None:
    network, x = Halved(), torch.randn(3, 4)
    groups = {group.name: group for group in width_groups(network, x)}
    assert [name for name, group in groups.items() if group.refused] == ["head"]
    follows = {number for group in groups.values() for number in group.follows}
    assert follows == {"width", "heads"}
    assert stored_widths(network, x, {"wide": 12, "query": 3}, follows) == ()
    resize(network, x, {"wide": 8, "own": 4, "query": 8})
    narrow = Halved(8, 2)
    assert (network.width, network.heads) == (8, 2)
    narrow.load_state_dict(network.state_dict())
    assert torch.equal(narrow(x), network(x))


class Literal(nn.Module):
    """Starts its tensors in ways that cannot all be repeated."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 5)
        nn.init.normal_(self.second.weight, 0.0, (2 / 8) ** 0.5)
        self.drawn = nn.Parameter(torch.ones(8).mul_(0.5))
        with torch.no_grad():
            self.first.weight[:4] = 0.0
            self.head.weight.mul_(0.5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.second(self.first(x).relu()) * self.drawn)
        return out


def test_what_cannot_be_repeated_keeps_its_slice_and_is_named() -> None:
    with recording() as record:
        network = Literal()
    started, before = record(network), {path: own.clone() for path, own in network.named_parameters()}
    resize(network, torch.randn(2, 4), {"first": 3, "second": 6})
    started.replay(network)
    assert started.kept == ("drawn", "first.weight")
    assert torch.equal(network.first.weight, before["first.weight"][:3])
    assert torch.equal(network.drawn, before["drawn"][:6])
    # Halved, as the constructor does.
    assert 0 < network.head.weight.abs().max() <= 0.5 * 6**-0.5
    shapes = {path: tuple(tensor.shape) for path, tensor in before.items()}
    [said] = started.literals(shapes, network)
    assert said.startswith("second.weight starts with normal_(0.5), which its fan-in 8 explains;")
