"""Networks for tables: numbers and categories, alone and together."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.surgery.zoo.entry import Entry, rows, together, tokens


class ResidualBlock(nn.Module):
    """Normalise, widen, narrow, add."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm, self.wide, self.narrow = (
            nn.BatchNorm1d(width),
            nn.Linear(width, inner),
            nn.Linear(inner, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(F.relu(self.wide(self.norm(x))))


class ResidualTable(nn.Module):
    """The ResNet for tables of Gorishniy et al. (2021)."""

    def __init__(self, inputs: int = 10, width: int = 24, inner: int = 48, depth: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.blocks = nn.Sequential(*[ResidualBlock(width, inner) for _ in range(depth)])
        self.head = nn.Sequential(nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.first(x)))


class FeatureTokens(nn.Module):
    """Each number is a token of its own: a weight and a bias per feature, and a token for the class."""

    def __init__(self, numbers: int, categories: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(numbers, width) / width**0.5)
        self.bias = nn.Parameter(torch.randn(numbers, width) / width**0.5)
        self.words = nn.Embedding(categories, width)
        self.start = nn.Parameter(torch.randn(width) / width**0.5)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        dense = numbers.unsqueeze(-1) * self.weight + self.bias
        start = self.start.expand(len(numbers), 1, -1)
        return torch.cat([start, dense, self.words(categories)], dim=1)


class ReGLU(nn.Module):
    """Half of the units, gated by the other half."""

    def forward(self, x: Tensor) -> Tensor:
        values, gates = x.chunk(2, dim=-1)
        return values * F.relu(gates)


class FeatureLayer(nn.Module):
    """Attention and a gated feed-forward network, normalised before."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.between = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * inner), ReGLU(), nn.Linear(inner, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.before(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.feed(self.between(x))


class FeatureTransformer(nn.Module):
    """The FT-transformer of Gorishniy et al. (2021)."""

    def __init__(self, numbers: int = 6, categories: int = 12, width: int = 16) -> None:
        super().__init__()
        self.tokens = FeatureTokens(numbers, categories, width)
        self.layers = nn.ModuleList(FeatureLayer(width, 4, 32) for _ in range(4))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 2)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        x = self.tokens(numbers, categories)
        for layer in self.layers:
            x = layer(x)
        return self.head(F.relu(self.norm(x[:, 0])))


class DeepCross(nn.Module):
    """Crosses of features beside a deep part; categories are embedded (DCN v2)."""

    def __init__(self, numbers: int = 5, fields: int = 3, words: int = 10, size: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, size)
        width = numbers + fields * size
        self.crosses = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.deep = nn.Sequential(
            nn.Linear(width, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU()
        )
        self.head = nn.Linear(width + 32, 1)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        start = torch.cat([numbers, self.embedding(categories).flatten(1)], dim=1)
        x = start
        for cross in self.crosses:
            x = start * cross(x) + x
        return self.head(torch.cat([x, self.deep(start)], dim=1)).squeeze(-1)


class FactorMachine(nn.Module):
    """Pairs of fields by their vectors' products, beside a deep part (DeepFM)."""

    def __init__(self, fields: int = 4, words: int = 12, size: int = 8) -> None:
        super().__init__()
        self.linear, self.vectors = nn.Embedding(words, 1), nn.Embedding(words, size)
        self.deep = nn.Sequential(
            nn.Linear(fields * size, 64), nn.ReLU(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 1)
        )

    def forward(self, categories: Tensor) -> Tensor:
        vectors = self.vectors(categories)
        pairs = vectors.sum(1).square() - vectors.square().sum(1)
        linear = self.linear(categories).sum((1, 2))
        return linear + 0.5 * pairs.sum(1) + self.deep(vectors.flatten(1)).squeeze(1)


class TwoTowers(nn.Module):
    """Users and items, each with a tower; their scores are all pairs' products."""

    def __init__(self, users: int = 20, items: int = 20, width: int = 16) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(users, width), nn.Embedding(items, width)
        self.user = nn.Sequential(nn.Linear(width, 48), nn.ReLU(), nn.Linear(48, 24))
        self.item = nn.Sequential(nn.Linear(width, 48), nn.ReLU(), nn.Linear(48, 24))
        self.warmth = nn.Parameter(torch.zeros(()))

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        left = F.normalize(self.user(self.users(user)), dim=-1)
        right = F.normalize(self.item(self.items(item)), dim=-1)
        return left @ right.t() * self.warmth.exp()


def _single(words: int):  # type: ignore[no-untyped-def]
    return lambda batch: torch.randint(0, words, (batch,))


ENTRIES = (
    Entry("resnet_table", "residual table", ResidualTable, rows(10)),
    Entry("ft_transformer", "FT-transformer", FeatureTransformer, together(rows(6), tokens(3, 12))),
    Entry("deep_cross", "deep and cross", DeepCross, together(rows(5), tokens(3, 10))),
    Entry("deepfm", "factorisation machine", FactorMachine, tokens(4, 12)),
    Entry("two_towers", "two towers", TwoTowers, together(_single(20), _single(20))),
)
