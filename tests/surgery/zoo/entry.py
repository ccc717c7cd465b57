"""What the zoo says of a network, and the examples that most of them take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

#: One argument, positional arguments, or arguments by name.
Example = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Entry:
    """A network as somebody would write it, small, without dropout, so that two sizes can be compared.

    build: makes it, in single precision, from torch's global generator; raises ImportError where the package
    that has it is absent. example: a batch of so many entries, floating tensors in double precision.
    source: "own", or the package it is of.
    """

    name: str
    family: str
    build: Callable[[], nn.Module]
    example: Callable[[int], Example]
    source: str = "own"


def pictures(side: int, channels: int = 3) -> Callable[[int], Example]:
    """[batch, channels, side, side]."""
    return lambda batch: torch.randn(batch, channels, side, side, dtype=torch.float64)


def rows(*shape: int) -> Callable[[int], Example]:
    """[batch, *shape]."""
    return lambda batch: torch.randn(batch, *shape, dtype=torch.float64)


def tokens(length: int, words: int) -> Callable[[int], Example]:
    """[batch, length], numbers of words."""
    return lambda batch: torch.randint(0, words, (batch, length))


def together(*parts: Callable[[int], Example]) -> Callable[[int], tuple[Tensor, ...]]:
    """Several arguments."""

    def make(batch: int) -> tuple[Tensor, ...]:
        made = [part(batch) for part in parts]
        return tuple(tensor for tensor in made if isinstance(tensor, Tensor))

    return make


def named(**parts: Callable[[int], Example]) -> Callable[[int], dict[str, Tensor]]:
    """Several arguments by name."""

    def make(batch: int) -> dict[str, Tensor]:
        made = {name: part(batch) for name, part in parts.items()}
        return {name: tensor for name, tensor in made.items() if isinstance(tensor, Tensor)}

    return make


def call(network: nn.Module, example: Example) -> Any:
    """What a network gives for an example."""
    if isinstance(example, Tensor):
        return network(example)
    return network(**example) if isinstance(example, Mapping) else network(*example)


def in_type(example: Example, dtype: torch.dtype) -> Example:
    """An example whose floating tensors are of another type."""

    def turned(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    if isinstance(example, Tensor):
        return turned(example)
    if isinstance(example, Mapping):
        return {name: turned(tensor) for name, tensor in example.items()}
    return tuple(turned(tensor) for tensor in example)
