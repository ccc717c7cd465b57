"""Networks of linear layers: gates, experts, coordinates, operators, control."""

import torch
from torch import Tensor, nn

from tests.surgery.zoo.entry import Entry, rows, together


class Highway(nn.Module):
    """Layers that pass part of their input on (Srivastava et al. 2015)."""

    def __init__(self, inputs: int = 12, width: int = 32, depth: int = 3, classes: int = 5) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.carry = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.turn = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.enter(x))
        for turn, carry in zip(self.turn, self.carry, strict=True):
            gate = torch.sigmoid(carry(h))
            h = gate * torch.relu(turn(h)) + (1 - gate) * h
        return self.head(h)


class SoftExperts(nn.Module):
    """All experts answer, a gate weighs their answers."""

    def __init__(self, inputs: int = 16, width: int = 24, experts: int = 4, classes: int = 6) -> None:
        super().__init__()
        self.gate = nn.Linear(inputs, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, 20)) for _ in range(experts)
        )
        self.head = nn.Linear(20, classes)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x).softmax(dim=-1)
        answers = torch.stack([expert(x) for expert in self.experts], dim=1)
        return self.head(torch.tanh((weights.unsqueeze(-1) * answers).sum(1)))


class Maxout(nn.Module):
    """Every unit is the largest of some linear pieces (Goodfellow et al. 2013)."""

    def __init__(self, inputs: int = 20, width: int = 24, pieces: int = 3, classes: int = 5) -> None:
        super().__init__()
        self.width, self.pieces = width, pieces
        self.first = nn.Linear(inputs, width * pieces)
        self.second = nn.Linear(width, 32)
        self.head = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).unflatten(-1, (-1, self.pieces)).amax(-1)
        return self.head(torch.relu(self.second(h)))


class Sine(nn.Module):
    """A field of coordinates with sine activations (SIREN)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, width), nn.Linear(width, width), nn.Linear(width, width)])
        self.colour = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sin(3.0 * layer(x))
        return self.colour(x)


class RadianceField(nn.Module):
    """Positions are encoded, read again in the middle, and give density and colour."""

    scales: Tensor

    def __init__(self, width: int = 32, octaves: int = 4) -> None:
        super().__init__()
        self.register_buffer("scales", 2.0 ** torch.arange(octaves))
        encoded = 3 + 6 * octaves
        self.before = nn.Sequential(nn.Linear(encoded, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.behind = nn.Sequential(
            nn.Linear(width + encoded, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.density = nn.Linear(width, 1)
        self.feature = nn.Linear(width, width)
        self.colour = nn.Sequential(nn.Linear(width + 3, width // 2), nn.ReLU(), nn.Linear(width // 2, 3))

    def encode(self, x: Tensor) -> Tensor:
        angles = (x.unsqueeze(-1) * self.scales).flatten(-2)
        return torch.cat([x, angles.sin(), angles.cos()], dim=-1)

    def forward(self, position: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        encoded = self.encode(position)
        h = self.behind(torch.cat([self.before(encoded), encoded], dim=-1))
        colour = self.colour(torch.cat([self.feature(h), direction], dim=-1))
        return torch.relu(self.density(h)), torch.sigmoid(colour)


class OperatorNetwork(nn.Module):
    """Branch and trunk meet in a scalar product (DeepONet)."""

    def __init__(self, sensors: int = 20, width: int = 32, modes: int = 16) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(sensors, width), nn.Tanh(), nn.Linear(width, modes))
        self.trunk = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, modes), nn.Tanh())
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, field: Tensor, places: Tensor) -> Tensor:
        return torch.einsum("bm,bpm->bp", self.branch(field), self.trunk(places)) + self.shift


class ActorCritic(nn.Module):
    """A shared body, a policy, a value, and advantages whose mean is taken out (duelling)."""

    def __init__(self, observed: int = 10, width: int = 32, actions: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(observed, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.mean = nn.Linear(width, actions)
        self.log_spread = nn.Parameter(torch.zeros(actions))
        self.value = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.advantage = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, actions))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.body(x)
        value, advantage = self.value(h), self.advantage(h)
        q = value + advantage - advantage.mean(dim=-1, keepdim=True)
        return {"mean": self.mean(h), "spread": self.log_spread.exp().expand_as(q), "q": q}


class Twins(nn.Module):
    """One encoder looks at two things; what differs is judged."""

    def __init__(self, inputs: int = 16, width: int = 32) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 24), nn.ReLU()
        )
        self.judge = nn.Sequential(nn.Linear(48, 20), nn.ReLU(), nn.Linear(20, 1))

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        a, b = self.encoder(left), self.encoder(right)
        return self.judge(torch.cat([(a - b).abs(), a * b], dim=1))


class UnrolledField(nn.Module):
    """A vector field followed for some steps of Runge and Kutta: the same layers again and again."""

    def __init__(self, size: int = 6, width: int = 32, steps: int = 3) -> None:
        super().__init__()
        self.field = nn.Sequential(
            nn.Linear(size + 1, width), nn.Softplus(), nn.Linear(width, width), nn.Tanh()
        )
        self.slope = nn.Linear(width, size)
        self.steps = steps

    def rate(self, t: float, x: Tensor) -> Tensor:
        return self.slope(self.field(torch.cat([x, torch.full_like(x[:, :1], t)], dim=1)))

    def forward(self, x: Tensor) -> Tensor:
        step = 1.0 / self.steps
        for index in range(self.steps):
            half = x + 0.5 * step * self.rate(index * step, x)
            x = x + step * self.rate((index + 0.5) * step, half)
        return x


class BilinearPair(nn.Module):
    """Two things are related by a bilinear form beside a linear one (neural tensor network)."""

    def __init__(self, left: int = 12, right: int = 10, width: int = 16, relations: int = 8) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(left, width), nn.Linear(right, width)
        self.form = nn.Bilinear(width, width, relations)
        self.line = nn.Linear(2 * width, relations, bias=False)
        self.score = nn.Linear(relations, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = torch.relu(self.left(a)), torch.relu(self.right(b))
        return self.score(torch.tanh(self.form(a, b) + self.line(torch.cat([a, b], dim=-1))))


ENTRIES = (
    Entry("highway", "highway", Highway, rows(12)),
    Entry("soft_experts", "mixture of experts", SoftExperts, rows(16)),
    Entry("maxout", "maxout", Maxout, rows(20)),
    Entry("siren", "coordinate network", Sine, rows(2)),
    Entry("radiance_field", "radiance field", RadianceField, together(rows(3), rows(3))),
    Entry("deeponet", "operator network", OperatorNetwork, together(rows(20), rows(5, 2))),
    Entry("actor_critic", "actor-critic", ActorCritic, rows(10)),
    Entry("twins", "siamese", Twins, together(rows(16), rows(16))),
    Entry("unrolled_field", "neural ODE", UnrolledField, rows(6)),
    Entry("bilinear_pair", "bilinear", BilinearPair, together(rows(12), rows(10))),
)
