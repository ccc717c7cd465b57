"""Fully connected networks with any number of hidden layers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.architectures.base import MOST_LAYERS, Architecture
from harness.architectures.initialisation import Initialisation, initialise

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class MLP(Architecture):
    """Fully connected layers with a nonlinearity between them.

    hidden_layers: number of hidden layers, 1 to 1,000; they are called hidden1, hidden2, ...
    activation: the nonlinearity after each. initialisation: see `harness.architectures.initialisation`.
    """

    hidden_layers: int = 3
    activation: Literal["relu", "tanh"] = "relu"
    initialisation: Initialisation = "pytorch"

    def __post_init__(self) -> None:
        if not 1 <= self.hidden_layers <= MOST_LAYERS:
            raise ValueError(
                f"hidden_layers must be at least 1 and at most {MOST_LAYERS:,}, found {self.hidden_layers}"
            )

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return tuple(f"hidden{i}" for i in range(1, self.hidden_layers + 1))

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> "nn.Module":
        from torch import nn

        make_activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[self.activation]
        network = nn.Sequential()
        network.add_module("flatten", nn.Flatten())
        inputs = math.prod(example_shape)
        for i, layer in enumerate(self.sized_layers, 1):
            network.add_module(layer, nn.Linear(inputs, sizes[layer]))
            network.add_module(f"{self.activation}{i}", make_activation())
            inputs = sizes[layer]
        network.add_module("output", nn.Linear(inputs, outputs))
        initialise(network, self.initialisation)
        return network
