"""Networks for graphs, sets and clouds of points."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.surgery.zoo.entry import Entry, rows, together


def adjacency(nodes: int):  # type: ignore[no-untyped-def]
    """[batch, nodes, nodes], rows that sum to one."""
    return lambda batch: torch.rand(batch, nodes, nodes, dtype=torch.float64).softmax(-1)


class GraphConvolutions(nn.Module):
    """Means over neighbours between linear layers (GCN)."""

    def __init__(self, inputs: int = 6, width: int = 24) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, width)
        self.norm, self.head = nn.BatchNorm1d(width), nn.Linear(width, 4)

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        h = F.relu(neighbours @ self.first(x))
        h = F.relu(self.norm((neighbours @ self.second(h)).transpose(1, 2)).transpose(1, 2))
        return self.head(h.mean(1))


class Messages(nn.Module):
    """Messages along edges are summed where they arrive; nodes are a batch (GraphSAGE)."""

    def __init__(self, inputs: int = 6, width: int = 24) -> None:
        super().__init__()
        self.encode = nn.Linear(inputs, width)
        self.message = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(2))
        self.update = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(2))
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        source, target = edges.unbind(1)
        h = F.relu(self.encode(x))
        for message, update in zip(self.message, self.update, strict=True):
            sent = F.relu(message(torch.cat([h[source], h[target]], dim=-1)))
            summed = torch.zeros_like(h).index_add(0, target, sent)
            h = h + F.relu(update(torch.cat([h, summed], dim=-1)))
        return self.head(h)


class GraphAttention(nn.Module):
    """Neighbours are weighed by attention with several heads (GAT)."""

    def __init__(self, inputs: int = 6, heads: int = 4, size: int = 6) -> None:
        super().__init__()
        self.heads, self.size = heads, size
        self.project = nn.Linear(inputs, heads * size, bias=False)
        self.left = nn.Parameter(torch.randn(heads, size) / size**0.5)
        self.right = nn.Parameter(torch.randn(heads, size) / size**0.5)
        self.hidden, self.head = nn.Linear(heads * size, 20), nn.Linear(20, 3)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        h = self.project(x).unflatten(-1, (self.heads, self.size))
        left, right = (h * self.left).sum(-1), (h * self.right).sum(-1)
        scores = F.leaky_relu(left.unsqueeze(2) + right.unsqueeze(1), 0.2)
        scores = scores.masked_fill((weights < 0.05).unsqueeze(-1), float("-inf"))
        attention = torch.softmax(scores, dim=2)
        mixed = torch.einsum("bijh,bjhd->bihd", attention, h).flatten(2)
        return self.head(F.elu(self.hidden(F.elu(mixed))))


class DeepSet(nn.Module):
    """What is summed over a set does not know its order."""

    def __init__(self, inputs: int = 4, width: int = 32) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.all = nn.Sequential(nn.Linear(2 * width, 24), nn.ReLU(), nn.Linear(24, 2))

    def forward(self, x: Tensor) -> Tensor:
        h = self.each(x)
        return self.all(torch.cat([h.sum(1), h.max(1)[0]], dim=-1))


class PointCloud(nn.Module):
    """Points are turned by a learned matrix, and the largest of each feature is kept (PointNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = nn.Sequential(nn.Conv1d(3, 16, 1), nn.BatchNorm1d(16), nn.ReLU())
        self.matrix = nn.Linear(16, 9)
        self.points = nn.Sequential(
            nn.Conv1d(3, 24, 1),
            nn.BatchNorm1d(24),
            nn.ReLU(),
            nn.Conv1d(24, 40, 1),
            nn.BatchNorm1d(40),
            nn.ReLU(),
        )
        self.parts = nn.Sequential(nn.Conv1d(64, 24, 1), nn.ReLU(), nn.Conv1d(24, 4, 1))
        self.global_ = nn.Conv1d(40, 40, 1)

    def forward(self, x: Tensor) -> Tensor:
        turn = self.matrix(self.turn(x).amax(2)).view(-1, 3, 3)
        turn = turn + torch.eye(3, dtype=x.dtype, device=x.device)
        local = self.points(torch.bmm(turn, x))
        whole = torch.max(self.global_(local), 2, keepdim=True)[0]
        head = torch.cat([local[:, :24], whole.expand(-1, -1, x.shape[2])], dim=1)
        return self.parts(head)


class EdgeConvolution(nn.Module):
    """Differences to the nearest points (DGCNN)."""

    def __init__(self, width: int = 24, neighbours: int = 4) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.edges = nn.Sequential(
            nn.Conv2d(6, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 32, 1),
        )
        self.head = nn.Sequential(nn.Linear(64, 24), nn.LeakyReLU(0.2), nn.Linear(24, 4))

    def forward(self, x: Tensor) -> Tensor:
        near = torch.cdist(x, x).topk(self.neighbours, largest=False).indices
        batch = torch.arange(len(x), device=x.device).view(-1, 1, 1)
        there = x[batch, near]
        here = x.unsqueeze(2).expand_as(there)
        h = self.edges(torch.cat([here, there - here], dim=-1).permute(0, 3, 1, 2)).amax(-1)
        return self.head(torch.cat([h.amax(-1), h.mean(-1)], dim=1))


def _edges(batch: int) -> Tensor:
    """[edges, 2]: a ring, and as many edges again at random; the batch is the nodes."""
    ring = torch.stack([torch.arange(batch), torch.arange(batch).roll(1)], dim=1)
    return torch.cat([ring, torch.randint(0, batch, (batch, 2))])


ENTRIES = (
    Entry("graph_convolutions", "graph convolution", GraphConvolutions, together(rows(5, 6), adjacency(5))),
    Entry("messages", "message passing", Messages, together(rows(6), _edges)),
    Entry("graph_attention", "graph attention", GraphAttention, together(rows(5, 6), adjacency(5))),
    Entry("deep_set", "set", DeepSet, rows(6, 4)),
    Entry("point_cloud", "point cloud", PointCloud, rows(3, 12)),
    Entry("edge_convolution", "edge convolution", EdgeConvolution, rows(8, 3)),
)
