"""Layers whose weights are buffers and not trained: a shortcut filled up with zeros, a fixed filter."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.surgery import Remove, apply, trace


class Filled(nn.Module):
    """x + branch, where the branch has more channels than x: the rest is filled up by a fixed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.branch = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.register_buffer("weight", torch.eye(6, 4)[:, :, None, None])
        self.last = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        filled = functional.conv2d(x, self.get_buffer("weight")) + self.branch(x)
        made: Tensor = self.last(filled.relu().mean((2, 3)))
        return made


def test_a_unit_that_varies_goes_as_if_it_were_zero() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 3, 6, 6, dtype=torch.float64)
    for layer, unit in (("first", 1), ("branch", 1), ("branch", 5)):
        network, whole = Filled().double(), Filled().double()
        whole.load_state_dict(network.state_dict())
        assert trace(network, x).group(layer).refused is None
        with torch.no_grad():
            module = whole.get_submodule(layer)
            module.get_parameter("weight")[unit] = 0
            module.get_parameter("bias")[unit] = 0
            if layer == "branch":
                whole.get_buffer("weight")[unit] = 0
        assert apply(network, None, [Remove(layer, (unit,))], x).removed[layer] == 1
        torch.testing.assert_close(network(x), whole(x), rtol=0, atol=1e-12)
