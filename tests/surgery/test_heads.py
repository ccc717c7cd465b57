"""Attention that is written out by hand loses whole heads, or the same feature of all of them, exactly."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.surgery import Remove, apply, trace
from tests.surgery.helpers import change, measure, parameters, removals, silence, some_classes

_WIDTH, _HEADS, _SIZE = 12, 4, 3
_STIFF = "reshaped in code that was written for fixed sizes"


class Attention(nn.Module):
    """One projection for all three, as in timm; the numbers are attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.size, self.inner = _HEADS, _SIZE, _HEADS * _SIZE
        self.qkv, self.proj = nn.Linear(_WIDTH, 3 * self.inner), nn.Linear(self.inner, _WIDTH)
        self.table = nn.Parameter(torch.randn(9, _HEADS))
        self.register_buffer("places", torch.arange(5)[:, None] - torch.arange(5) + 4)

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, self.size).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q * self.size**-0.5 @ k.transpose(-2, -1)
        assert isinstance(self.places, Tensor)
        scores = scores + self.table[self.places.view(-1)].view(n, n, -1).permute(2, 0, 1).unsqueeze(0)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, self.inner)
        out: Tensor = self.proj(mixed)
        return out


class Literal(Attention):
    """Heads are a number in the code: the rest of the axis shrinks with it."""

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, 4, -1).permute(2, 0, 3, 1, 4)
        mixed = (q @ k.transpose(-2, -1) * 0.5).softmax(-1) @ v
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(b, n, -1))
        return out


class Scaled(Attention):
    """Heads are a number in the code, and the scale follows their size."""

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, 4, -1).permute(2, 0, 3, 1, 4)
        mixed = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1) @ v
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(b, n, -1))
        return out


class Stiff(Attention):
    """No number can be changed."""

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, 4, 3).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        out: Tensor = self.proj(mixed.reshape(b, n, 12))
        return out


class Transposed(nn.Module):
    """Weights held transposed and split by a width, as in GPT-2."""

    class Conv1D(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.nf = outputs
            self.weight, self.bias = (
                nn.Parameter(torch.randn(inputs, outputs)),
                nn.Parameter(torch.ones(outputs)),
            )

        def forward(self, x: Tensor) -> Tensor:
            return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(*x.shape[:-1], self.nf)

    def __init__(self) -> None:
        super().__init__()
        self.split_size, self.num_heads = _WIDTH, _HEADS
        self.c_attn, self.c_proj = self.Conv1D(_WIDTH, 3 * _WIDTH), self.Conv1D(_WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.view(*part.shape[:-1], -1, _SIZE).transpose(1, 2)
            for part in self.c_attn(x).split(self.split_size, dim=2)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
        out: Tensor = self.c_proj(mixed.reshape(*mixed.shape[:-2], -1))
        return out


class Grouped(nn.Module):
    """Two heads of queries share one of keys and values, turned by their places and normalised."""

    def __init__(self, gqa: bool = False) -> None:
        super().__init__()
        self.gqa = gqa
        self.q, self.k = nn.Linear(_WIDTH, 8 * 4, bias=False), nn.Linear(_WIDTH, 4 * 4, bias=False)
        self.v, self.o = nn.Linear(_WIDTH, 4 * 4, bias=False), nn.Linear(8 * 4, _WIDTH, bias=False)
        self.q_norm, self.k_norm = nn.LayerNorm(4), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (own(x).view(*x.shape[:2], -1, 4).transpose(1, 2) for own in (self.q, self.k, self.v))
        angle = torch.arange(x.shape[1], dtype=x.dtype)[:, None] * torch.tensor([1.0, 0.1, 1.0, 0.1])
        q, k = (
            own * angle.cos() + torch.cat((-own[..., 2:], own[..., :2]), -1) * angle.sin()
            for own in (self.q_norm(q), self.k_norm(k))
        )
        if self.gqa:
            mixed = functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        else:
            b, heads, n, size = k.shape
            k, v = (
                own[:, :, None].expand(b, heads, 2, n, size).reshape(b, heads * 2, n, size) for own in (k, v)
            )
            mixed = (q @ k.transpose(2, 3) / 2).softmax(-1) @ v
        out: Tensor = self.o(mixed.transpose(1, 2).reshape(*x.shape[:2], -1))
        return out


class Summed(nn.Module):
    """Attention in the notation of Einstein; its heads or their features are a number."""

    def __init__(self, parts: tuple[int, int] = (-1, _SIZE)) -> None:
        super().__init__()
        self.parts = parts
        self.q, self.k, self.v = (nn.Linear(_WIDTH, _WIDTH) for _ in range(3))
        self.o = nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (own(x).unflatten(-1, self.parts) for own in (self.q, self.k, self.v))
        weights = (torch.einsum("bihd,bjhd->bhij", q, k) * 0.5).softmax(-1)
        out: Tensor = self.o(torch.einsum("bhij,bjhd->bihd", weights, v).flatten(2))
        return out


class Block(nn.Module):
    """An attention in a stream, with what is added by two gates' product."""

    def __init__(self, attention: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.norm, self.attention, self.head = nn.LayerNorm(_WIDTH), attention(), nn.Linear(_WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(x + self.attention(self.norm(x)))
        return out


#: How attention is written -> (layer of which heads are units, sets of units that go together).
_WRITTEN: dict[str, tuple[Callable[[], nn.Module], str, int]] = {
    "fused": (Attention, "qkv", _HEADS),
    "fused, heads a literal": (Literal, "qkv", _SIZE),
    "transposed": (Transposed, "c_attn", _HEADS),
    "grouped": (Grouped, "q", 4),
    "grouped by PyTorch": (lambda: Grouped(gqa=True), "k", 4),
    "einsum": (Summed, "v", _HEADS),
}


@pytest.mark.parametrize("name", _WRITTEN)
def test_heads_are_cut_exactly(name: str) -> None:
    make, layer, classes = _WRITTEN[name]
    torch.manual_seed(0)
    network, x = Block(make).double(), torch.randn(3, 5, _WIDTH, dtype=torch.float64)
    structure = trace(network, x)
    group = structure.group(f"attention.{layer}")
    assert (group.classes, group.removable, group.refused) == (classes, classes, None)
    chosen = some_classes(structure)
    silence(network, structure, chosen)
    before, size = measure(network, x), parameters(network)

    receipt = apply(network, None, removals(structure, chosen), x)

    assert receipt.refused is None
    assert parameters(network) < 0.85 * size
    assert max(change(before, measure(network, x))) <= 1e-12
    # Once more, down to the last one.
    left = trace(network, x)
    own = left.classes[f"attention.{layer}"]
    going = tuple(unit for unit, name in enumerate(own) if name != own[-1])
    apply(network, None, [Remove(f"attention.{layer}", going)], x)
    assert network(x).shape == (3, 5, 3)


@pytest.mark.parametrize("attention", [Stiff, Scaled])
def test_heads_that_no_number_lets_go_are_refused(attention: Callable[[], nn.Module]) -> None:
    network, x = Block(attention).double(), torch.randn(3, 5, _WIDTH, dtype=torch.float64)
    structure = trace(network, x)
    assert structure.group("attention.qkv").removable == 0
    assert structure.group("attention.qkv").refused == _STIFF


def test_numbers_of_the_code_follow_and_others_stay() -> None:
    torch.manual_seed(0)
    network, x = Block(Attention).double(), torch.randn(3, 5, _WIDTH, dtype=torch.float64)
    apply(network, None, [Remove("attention.qkv", (0,))], x)
    own = network.attention
    assert isinstance(own, Attention)
    assert (own.heads, own.size, own.inner) == (3, _SIZE, 9)
    assert (own.qkv.weight.shape, own.proj.weight.shape, own.table.shape) == ((27, 12), (12, 9), (9, 3))


def test_one_of_two_factors_that_are_summed_over_is_enough_to_be_silent() -> None:
    torch.manual_seed(0)
    network = Block(lambda: Summed((_HEADS, -1))).double()
    x = torch.randn(3, 5, _WIDTH, dtype=torch.float64)
    assert trace(network, x).group("attention.q").layers == ("attention.q", "attention.k")
    own = network.attention
    assert isinstance(own, Summed)
    with torch.no_grad():
        # The first feature of all heads, of queries alone.
        own.q.weight[[0, 3, 6, 9]], own.q.bias[[0, 3, 6, 9]] = 0, 0
    before = measure(network, x)
    receipt = apply(network, None, [Remove("attention.k", (0,), exact=True)], x)
    assert receipt.removed == {"attention.q": 4, "attention.k": 4}
    assert max(change(before, measure(network, x))) <= 1e-12
    receipt = apply(network, None, [Remove("attention.q", (0,), exact=True)], x)
    assert receipt.refused == {"attention.q": "still varies"}


def test_what_stops_one_layer_of_every_block_stops_no_others() -> None:
    torch.manual_seed(0)
    blocks = [
        nn.Sequential(Block(Stiff), nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, _WIDTH)) for _ in range(12)
    ]
    network, x = nn.Sequential(*blocks).double(), torch.randn(2, 5, _WIDTH, dtype=torch.float64)
    structure = trace(network, x)
    for number in range(12):
        assert structure.group(f"{number}.1").removable == 8
        assert structure.group(f"{number}.0.attention.qkv").removable == 0


class Rereads(nn.Module):
    """Queries and keys are cut by a number, or are as wide as they come; the same for values.

    What the heads give is joined to the width that came in, or to what it comes to.
    """

    def __init__(self, sizes: tuple[int, int] = (-1, -1), *, joined_to_input: bool) -> None:
        super().__init__()
        self.sizes, self.joined_to_input = sizes, joined_to_input
        self.q, self.k, self.v = nn.Linear(_WIDTH, 16), nn.Linear(_WIDTH, 16), nn.Linear(_WIDTH, _WIDTH)
        self.o = nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        b, n, width = x.shape
        q, k, v = (
            own(x).reshape(b, n, 4, size).transpose(1, 2)
            for own, size in zip((self.q, self.k, self.v), (self.sizes[0], *self.sizes), strict=True)
        )
        mixed = ((q @ k.transpose(-2, -1) * 0.5).softmax(-1) @ v).transpose(1, 2)
        out: Tensor = self.o(mixed.reshape(b, n, width if self.joined_to_input else -1))
        return out


@pytest.mark.parametrize(
    ("make", "free", "stuck"),
    [
        (lambda: Rereads(joined_to_input=True), "q", "v"),
        (lambda: Rereads((4, -1), joined_to_input=False), "v", "q"),
        (lambda: Rereads(joined_to_input=False), "qv", ""),
    ],
)
def test_features_go_where_heads_cannot_and_code_takes_them(
    make: Callable[[], nn.Module], free: str, stuck: str
) -> None:
    torch.manual_seed(0)
    network, x = Block(make).double(), torch.randn(3, 5, _WIDTH, dtype=torch.float64)
    structure = trace(network, x)
    assert all(structure.group(f"attention.{layer}").refused is None for layer in free)
    for layer in stuck:
        assert structure.group(f"attention.{layer}").removable == 0
        assert structure.group(f"attention.{layer}").refused == _STIFF
    assert structure.group("attention.k").layers == ("attention.q", "attention.k")
    chosen = some_classes(structure)
    silence(network, structure, chosen)
    before, size = measure(network, x), parameters(network)
    receipt = apply(network, None, removals(structure, chosen), x)
    assert receipt.refused is None
    assert parameters(network) < size
    assert max(change(before, measure(network, x))) <= 1e-12


def test_heads_take_no_more_passes_than_other_units() -> None:
    torch.manual_seed(0)
    network, x = Block(Grouped).double(), torch.randn(3, 5, _WIDTH, dtype=torch.float64)
    passes: list[None] = []
    network.register_forward_hook(lambda *_: passes.append(None))
    structure = trace(network, x)
    # Followed in both modes, then tried: both modes before and after.
    assert len(passes) == 6
    chosen = some_classes(structure)
    silence(network, structure, chosen)
    passes.clear()
    apply(network, None, removals(structure, chosen), x)
    # The same, and the network itself before and after.
    assert len(passes) == 10


class Stage(nn.Module):
    """What a layer makes goes one half past the blocks, by a number that is as large as what leaves, too."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide = width
        self.enter, self.block = nn.Conv2d(width, width, 1), nn.Conv2d(width // 2, width // 2, 1)
        self.leave = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        past, own = self.enter(x).relu().split(self.wide // 2, 1)
        return self.leave(torch.cat([past, self.block(own).relu()], 1)).relu()


def test_of_two_axes_that_a_number_could_be_of_it_follows_the_one_that_is_cut_by_it() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), Stage(8), Stage(8), nn.Flatten(), nn.Linear(72, 3)).double()
    x = torch.randn(2, 3, 3, 3, dtype=torch.float64)
    structure = trace(network, x)
    assert structure.refused_share < 0.05
    classes = some_classes(structure)
    silence(network, structure, classes)
    before = measure(network, x)
    receipt = apply(network, None, removals(structure, classes), x)
    assert receipt.refused is None
    assert max(change(before, measure(network, x))) <= 1e-10
    assert [network.get_submodule(name).wide for name in "12"] == [
        network.get_submodule(f"{name}.enter").out_channels for name in "12"
    ]
