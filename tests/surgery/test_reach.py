"""What is done to units between two layers: removal is exact, and reaches the units where it can be."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.surgery import apply, trace
from tests.surgery.helpers import change, measure, removals, some_classes, units_of

_EXACT = 1e-10
_POSITIONS = torch.tensor([3, 0, 0, 2])
Body = Callable[["Between", Tensor, Tensor], Tensor]


class Between(nn.Module):
    """Two layers that make [batch, 8, 6, 6] from images, something of one's own behind them, and a reader.

    The own thing may use a class token [1, 8, 1, 1], a table [5, 8] and a factor [8].
    """

    def __init__(self, body: Body, x: Tensor) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 1)
        self.token = nn.Parameter(torch.randn(1, 8, 1, 1))
        self.table = nn.Embedding(5, 8)
        self.factor = nn.Parameter(torch.randn(8))
        self.body = body
        self.out = nn.Linear(self._features(x.to(self.factor.dtype)).shape[1], 3)

    def _features(self, x: Tensor) -> Tensor:
        made = self.body(self, self.a(x), self.b(x))
        return made.flatten(2).sum(2) if made.dim() > 2 else made

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self._features(x))
        return out


def _halves(h: Tensor) -> tuple[Tensor, Tensor]:
    return h[:, : h.shape[1] // 2], h[:, h.shape[1] // 2 :]


def _graph(h: Tensor, made: Tensor) -> Tensor:
    """Each node gets the sum of what its neighbours send: h [batch, units, 6, 6] as 72 nodes."""
    nodes = h.permute(0, 2, 3, 1).reshape(-1, h.shape[1])
    into, since = torch.arange(len(nodes)) // 2, torch.arange(len(nodes)).flip(0)
    return made.index_add_(0, into, nodes[since])[: h.shape[0]]


#: Name -> body. Units of both layers, where the body uses them, can go.
_FREE: dict[str, Body] = {
    "glu": lambda net, a, b: F.glu(a, 1),
    "glu by slices": lambda net, a, b: _halves(a)[0] * torch.sigmoid(_halves(a)[1]),
    "gated by chunks": lambda net, a, b: a.chunk(2, 1)[0] * F.silu(a.chunk(2, 1)[1]),
    "narrow": lambda net, a, b: (
        a.narrow(1, 0, a.shape[1] // 2) + a.narrow(1, a.shape[1] // 2, a.shape[1] // 2)
    ),
    "split with sizes": lambda net, a, b: torch.mul(*a.split([a.shape[1] // 2] * 2, 1)),
    "every other": lambda net, a, b: a[:, ::2] * a[:, 1::2],
    "one half only": lambda net, a, b: torch.cat([_halves(a)[0].relu(), _halves(a)[1]], 1),
    "half in place": lambda net, a, b: _halves(a)[0].relu_() * 0 + _halves(a)[1],
    "channel shuffle": lambda net, a, b: F.channel_shuffle(a, 2) * b,
    "channel shuffle by hand": lambda net, a, b: (
        a.view(a.shape[0], 2, -1, 6, 6).transpose(1, 2).reshape(a.shape[0], -1, 6, 6) + b
    ),
    "flipped": lambda net, a, b: a.flip(1) + b,
    "repeated": lambda net, a, b: a.repeat(1, 2, 1, 1),
    "repeat_interleave": lambda net, a, b: a.repeat_interleave(2, 1),
    "unbind and stack": lambda net, a, b: torch.stack(a.unbind(2)[::2], 2),
    "amax": lambda net, a, b: a.amax((2, 3)) + b.amin((2, 3)),
    "max": lambda net, a, b: a.max(2).values + b.min(3)[0] + a.median(2)[0],
    "topk": lambda net, a, b: a.flatten(2).topk(3, 2).values,
    "sorted": lambda net, a, b: a.flatten(2).sort(2).values + b.flatten(2).cumsum(2),
    "variance": lambda net, a, b: a.var((2, 3)) + b.std((2, 3)),
    "both moments": lambda net, a, b: torch.var_mean(a, (2, 3))[0] + torch.std_mean(b, (2, 3))[1],
    "norm over positions": lambda net, a, b: torch.linalg.vector_norm(a, dim=(2, 3)) + b.norm(dim=(2, 3)),
    "normalised over units": lambda net, a, b: F.normalize(a, dim=1),
    "norm over units": lambda net, a, b: a / (1 + a.norm(dim=1, keepdim=True)),
    "sum over units": lambda net, a, b: a * torch.sigmoid(b.sum(1, keepdim=True)),
    "cosine": lambda net, a, b: a * F.cosine_similarity(a, b, 1)[:, None],
    "read by a vector": lambda net, a, b: a * torch.sigmoid(a.movedim(1, 3) @ net.factor)[:, None],
    "a weighed product": lambda net, a, b: torch.baddbmm(
        b.flatten(2), a.flatten(2), a.flatten(2).transpose(1, 2) @ b.flatten(2), beta=0.5, alpha=0.1
    ),
    "a product over nothing": lambda net, a, b: torch.baddbmm(
        torch.empty(a.shape[0], a.shape[1], 3, dtype=a.dtype),
        a.flatten(2),
        b.sum(1)[:, :, :3].repeat(1, 6, 1),
        beta=0,
        alpha=0.1,
    ),
    "a vector added to": lambda net, a, b: (
        a.flatten(2).sum(2)
        * torch.addmv(a.sum((1, 2, 3)), b.amax((2, 3)), net.factor, alpha=0.3).sigmoid()[:, None]
    ),
    "index_select": lambda net, a, b: a.index_select(2, _POSITIONS),
    "index": lambda net, a, b: a[:, :, _POSITIONS] + b[..., _POSITIONS, 2:3],
    "two indices": lambda net, a, b: a[torch.arange(2), :, _POSITIONS[:2]],
    "an index by itself": lambda net, a, b: a[:, :, _POSITIONS, _POSITIONS],
    "gather": lambda net, a, b: a.gather(2, a.argsort(2)) * b,
    "gather alike": lambda net, a, b: a.flatten(2).gather(
        2, b.mean(1).flatten(1)[:, None, :4].argsort(2).expand(-1, a.shape[1], -1)
    ),
    "take_along": lambda net, a, b: torch.take_along_dim(a, a.argmax(2, keepdim=True), 2),
    "graph": lambda net, a, b: _graph(a, torch.zeros(a.shape[0] * 36, a.shape[1], dtype=a.dtype)),
    "graph of like": lambda net, a, b: _graph(a, b.new_zeros(a.shape[0] * 36, a.shape[1])),
    "scatter_add": lambda net, a, b: torch.zeros_like(a).scatter_add(2, a.argsort(2), b),
    "scatter_reduce": lambda net, a, b: b.scatter_reduce(2, a.argsort(2), a, "amax"),
    "scatter_reduce by sums": lambda net, a, b: b.scatter_reduce(2, a.argsort(2), a, "sum"),
    "scattered": lambda net, a, b: a.scatter(2, a.argmax(2, keepdim=True), 0.0),
    "index_copy": lambda net, a, b: a.index_copy(2, _POSITIONS[1:2], b[:, :, :1]),
    "index_put": lambda net, a, b: a.index_put((torch.tensor([1]),), b[0]),
    "index_fill": lambda net, a, b: a.index_fill(3, _POSITIONS, 0.0),
    "embedding": lambda net, a, b: a + net.table(torch.tensor([1, 3]))[..., None, None],
    "embedding_bag": lambda net, a, b: (
        a.mean((2, 3)) + F.embedding_bag(torch.tensor([[0, 1], [2, 2]]), net.table.weight)
    ),
    "table by index": lambda net, a, b: a.mean((2, 3)) + net.table.weight[torch.tensor([1, 3])],
    "trilinear": lambda net, a, b: F.interpolate(a[:, :, None], scale_factor=2, mode="trilinear"),
    "nearest in 3-D": lambda net, a, b: F.interpolate(a[:, :, None], scale_factor=2),
    "exact nearest": lambda net, a, b: F.interpolate(a, scale_factor=1.5, mode="nearest-exact"),
    "antialiased": lambda net, a, b: F.interpolate(a, size=4, mode="bilinear", antialias=True),
    "grid_sample": lambda net, a, b: F.grid_sample(
        a, torch.linspace(-1.2, 1.1, 36).view(2, 3, 3, 2).to(a.dtype), align_corners=False
    ),
    "patches": lambda net, a, b: F.unfold(a, 2, padding=1),
    "patches and back": lambda net, a, b: F.fold(F.unfold(a, 3, stride=3), (6, 6), 3, stride=3),
    "windows": lambda net, a, b: a.unfold(2, 3, 2),
    "pixel_unshuffle": lambda net, a, b: F.pixel_unshuffle(a, 2),
    "pixel_shuffle": lambda net, a, b: F.pixel_shuffle(a, 2),
    "adaptive max": lambda net, a, b: F.adaptive_max_pool2d(a, 2),
    "lp_pool": lambda net, a, b: F.lp_pool2d(a, 2, 2),
    "logsigmoid": lambda net, a, b: a * F.logsigmoid(a),
    "class token": lambda net, a, b: torch.cat(
        [net.token.flatten(2).expand(a.shape[0], -1, -1), a.flatten(2)], 2
    ),
    "class token stacked": lambda net, a, b: torch.stack([net.token.expand_as(a), a], 2),
    "several groups": lambda net, a, b: torch.cat([a, b, -a], 1),
    "rolled": lambda net, a, b: a.roll(1, 2),
    "triangle": lambda net, a, b: a.tril(),
    "padded beside units": lambda net, a, b: F.pad(a[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)) * 2,
    "a state of zeros": lambda net, a, b: torch.zeros(a.shape[0], a.shape[1], 1, 1, dtype=a.dtype) + a,
    "gathered in zeros": lambda net, a, b: _placed(a, b),
}
#: Units of the first layer must stay, at least some.
_HELD: dict[str, Body] = {
    "uneven": lambda net, a, b: torch.cat([a[:, :3].relu(), a[:, 3:]], 1),
    "literal halves": lambda net, a, b: a[:, :4] * a[:, 4:],
    "literal split": lambda net, a, b: torch.mul(*a.split(4, 1)),
    "literal parts": lambda net, a, b: torch.cat([part.relu() for part in a.split([2, 6], 1)[::-1]], 1),
    "max over units": lambda net, a, b: a * a.amax(1, keepdim=True),
    "mean over units": lambda net, a, b: a - a.mean(1, keepdim=True),
    "response norm": lambda net, a, b: _response(net, a),
    "softmax over units": lambda net, a, b: a.softmax(1),
    "rank over units": lambda net, a, b: a.sort(1).values,
    "running sum over units": lambda net, a, b: a.cumsum(1),
    "count over units": lambda net, a, b: a * (a == 0).sum(1, keepdim=True),
    "rolled over units": lambda net, a, b: a.roll(1, 1),
    "pooled over units": lambda net, a, b: F.max_pool2d(a.flatten(2), (3, 1), 1),
    "averaged over units": lambda net, a, b: F.avg_pool3d(a, 3, 1, 1),
    "literal zeros": lambda net, a, b: a + torch.zeros(8, 1, 1, dtype=a.dtype),
    "one of a constant": lambda net, a, b: a + _marked(a),
    "weights with themselves": lambda net, a, b: (
        a * net.factor[:, None, None] * torch.dot(net.factor, net.factor)
    ),
    "a unit by index": lambda net, a, b: a * a[:, 2:3],
    "units by index": lambda net, a, b: a[:, _POSITIONS],
}


def _placed(a: Tensor, b: Tensor) -> Tensor:
    made = torch.zeros(a.shape[0], a.shape[1], 2, dtype=a.dtype)
    made[:, :, 0] = a.mean((2, 3))
    made[:, :, 1] = b.mean((2, 3))
    return made


def _response(net: Between, a: Tensor) -> Tensor:
    size = torch.linalg.vector_norm(a, dim=(2, 3), keepdim=True)
    return a + net.factor[:, None, None] * a * size / (size.mean(1, keepdim=True) + 1e-6)


def _marked(a: Tensor) -> Tensor:
    made = a.new_zeros(a.shape[1], 1, 1)
    made[3] = 5.0
    return made


@pytest.mark.parametrize("name", [*_FREE, *_HELD])
@torch.no_grad()
def test_what_lies_between_layers_keeps_its_output(name: str) -> None:
    torch.manual_seed(0)
    body = (_FREE | _HELD)[name]
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    network = Between(body, x).double()
    structure = trace(network, x)
    classes = some_classes(structure)
    gone = {layer: list(units_of(structure, layer, classes)) for layer in ("a", "b")}
    for layer, units in gone.items():
        network.get_parameter(f"{layer}.weight")[units] = 0
        network.get_parameter(f"{layer}.bias")[units] = 0
    network.token[:, gone["a"]] = 0
    network.table.weight[:, gone["a"]] = 0
    before = measure(network, x)
    receipt = apply(network, None, removals(structure, classes), x)
    assert max(change(before, measure(network, x))) <= _EXACT
    group = structure.group("a")
    if name in _FREE:
        assert (group.refused, receipt.refused) == (None, None)
        assert receipt.removed["a"] >= 2
    else:
        assert group.refused or receipt.refused


class Literal(nn.Module):
    """Layers that are split at sizes that stand in the code, each behind one that is not."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.plain = nn.ModuleList(nn.Linear(4, 6) for _ in range(count))
        self.split = nn.ModuleList(nn.Linear(6, 8) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        for plain, split in zip(self.plain, self.split, strict=True):
            value, gate = split(plain(x).relu()).split([4, 4], 1)
            x = value * gate.sigmoid()
        return x


def test_many_layers_of_literal_sizes_do_not_cost_the_others_their_units() -> None:
    torch.manual_seed(0)
    structure = trace(Literal(24), torch.randn(3, 4))
    for number in range(23):
        assert structure.group(f"plain.{number}").refused is None
        assert structure.group(f"split.{number}").removable == 0
