"""The network of the sine in *Optimal Lobotomy* (Lee): 1-20-20-1 with tanh, 481 weights.

Its size is the paper's, and so is the count: 1*20+20 + 20*20+20 + 20*1+1 = 40 + 420 + 21. The paper has "tanh
after each layer" and does not say whether that means the output too. Linear is what a regression usually
ends in, and what is done here unless a study says `output: tanh`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.architectures.base import Architecture
from harness.architectures.initialisation import Initialisation
from harness.architectures.mlp import MLP

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class SineMLP(Architecture):
    """Two hidden layers with tanh, for regression; with 20 units each on one number it is the paper's.

    output: what is done to the last layer's sum. initialisation: see `harness.architectures.initialisation`.
    """

    output: Literal["linear", "tanh"] = "linear"
    initialisation: Initialisation = "pytorch"

    @property
    def sized_layers(self) -> tuple[str, ...]:
        return self._mlp.sized_layers

    @property
    def published(self) -> dict[str, int]:
        """Sized layer -> units, as published."""
        return dict.fromkeys(self.sized_layers, 20)

    def build(self, example_shape: tuple[int, ...], outputs: int, sizes: Mapping[str, int]) -> "nn.Module":
        from torch import nn

        network = self._mlp.build(example_shape, outputs, sizes)
        if self.output == "tanh":
            network.add_module("tanh_output", nn.Tanh())
        return network

    @property
    def _mlp(self) -> MLP:
        return MLP(2, "tanh", self.initialisation)
