"""Random networks, each a function of a number: how silent changes are found before a user finds them.

A network is a list of operations, each written as source by what `x` is by then; where an operation does not
fit it is left out. So every part of a list is a network too, and a failure can be cut down to what it takes.
"""

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tests.surgery.grammar import layers, mixing, odd, pointwise, shapes
from tests.surgery.grammar.writer import OPERATIONS, Writer

_IMPORTS = """\
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
import torch.nn.utils.parametrizations as P
from torch import nn
from torch.nn.utils import parametrize, prune
from torch.utils.checkpoint import checkpoint


@dataclass
class Made:
    out: torch.Tensor
    more: object = None


class Doubled(nn.Linear):
    def forward(self, x):
        return super().forward(x) * 2


class Flipped(nn.Linear):
    def forward(self, x):
        return super().forward(x).flip(-1)


class Rectified(nn.Linear):
    def forward(self, x):
        return super().forward(torch.relu(x)) + 0.1


class Symmetric(nn.Module):
    def forward(self, w):
        return w + w.t()


class Scaled(nn.Module):
    def forward(self, w):
        return w * (w.shape[1] / 8) ** 0.5


class Centred(nn.Module):
    def forward(self, w):
        return w - w.mean(0)
"""
#: Kind of input -> (width, places).
_INPUTS: dict[str, tuple[int, tuple[int, ...]]] = {
    "vector": (7, ()),
    "sequence": (6, (5,)),
    "map": (3, (8, 8)),
}
_ENDS = (
    "return x",
    "return {'out': x, 'more': [x.tanh()]}",
    "return x, (x.square(), None)",
    "return Made(x, more={'last': x * 2})",
    "return [Made(x)]",
    "return x, out",
)


@dataclass(frozen=True, slots=True)
class Step:
    """An operation by name, and the number that its choices follow from."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A network before it is written. kind: of its input. steps: what is done to it. number: of all else."""

    kind: str
    steps: tuple[Step, ...]
    number: int

    def without(self, start: int, stop: int) -> "Plan":
        """The same network but for some of its operations."""
        return Plan(self.kind, self.steps[:start] + self.steps[stop:], self.number)


def plan(seed: int) -> Plan:
    """The network of a seed: a layer first, so that there is something to cut."""
    rng = random.Random(seed)
    names = [name for name in OPERATIONS if name != "layer"]
    chosen = ["layer"]
    for _ in range(rng.randint(2, 7)):
        chosen += rng.choices(names, k=1) + rng.choices(
            ["layer", "activation", "batch_norm", ""], (5, 3, 2, 4)
        )
    steps = tuple(Step(name, rng.randrange(2**30)) for name in chosen if name)
    return Plan(rng.choice(tuple(_INPUTS)), steps, rng.randrange(2**30))


def source(own: Plan) -> str:
    """The network as Python source."""
    width, space = _INPUTS[own.kind]
    writer = Writer(own.kind, width, space, random.Random(own.number))
    for step in own.steps:
        kinds, write = OPERATIONS[step.name]
        if writer.kind in kinds:
            writer.rng = random.Random(step.number)
            write(writer)
    writer.rng = random.Random(own.number)
    if writer.rng.random() < 0.8:
        writer.do(f"x = {writer.layer(3)}(x)")
    made = "".join(f"        {line}\n" for line in writer.made)
    done = "".join(f"        {line}\n" for line in (*writer.done, writer.rng.choice((_ENDS[0], *_ENDS))))
    return (
        f"{_IMPORTS}\n\nclass Network(nn.Module):\n"
        f"    def __init__(self):\n        super().__init__()\n{made}\n"
        f"    def forward(self, x):\n        out = []\n{done}"
    )


def build(text: str) -> nn.Module:
    """The network that a source says, in double precision."""
    names: dict[str, Any] = {"__name__": "grammar"}
    exec(compile(text, "<grammar>", "exec"), names)
    return names["Network"]().double()


def example(kind: str, batch: int = 4) -> Tensor:
    """A batch of what a network takes."""
    width, space = _INPUTS[kind]
    shape = (width, *space) if kind == "map" else (*space, width)
    return torch.randn(batch, *shape, dtype=torch.float64)


__all__ = [
    "OPERATIONS",
    "Plan",
    "Step",
    "build",
    "example",
    "layers",
    "mixing",
    "odd",
    "plan",
    "pointwise",
    "shapes",
    "source",
]
