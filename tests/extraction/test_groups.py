"""A network that lost whole groups of channels is built again with as many groups as are left."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from harness.extraction.alterations import reshape, shapes_of
from harness.surgery import Remove, apply


@pytest.mark.parametrize(
    ("make", "left"),
    [
        (lambda: nn.GroupNorm(4, 8), 8),
        (lambda: nn.Conv2d(8, 12, 3, groups=4), 12),
        (lambda: nn.ConvTranspose2d(8, 12, 3, groups=4), 12),
    ],
)
def test_groups_that_are_left_are_the_groups_of_the_layer(make: Callable[[], nn.Module], left: int) -> None:
    torch.manual_seed(0)
    trained = nn.Sequential(nn.Conv2d(3, 8, 1), make(), nn.ReLU(), nn.Conv2d(left, 2, 1)).double()
    built, x = copy.deepcopy(trained), torch.randn(2, 3, 4, 4, dtype=torch.float64)
    apply(trained, None, [Remove("0", (0, 1, 2, 3))], x)
    reshape(built, shapes_of(trained, built))
    built.load_state_dict(trained.state_dict())
    assert torch.equal(built(x), trained(x))
