"""Units that do nothing any more are found, and nothing else is."""

import copy

import torch
from torch import nn

from harness.surgery import Mask, Remove, apply
from harness.surgery.idle import idle_units


def masked(network: nn.Module, example: torch.Tensor, **gone: list[tuple[int, ...]]) -> nn.Module:
    """The network with entries masked; names have `_` for dots."""
    edits = []
    for name, entries in gone.items():
        path = name.replace("_", ".")
        keep = torch.ones_like(network.get_parameter(path), dtype=torch.bool)
        for entry in entries:
            keep[entry] = False
        edits.append(Mask(path, keep))
    apply(network, None, edits, example)
    return network


def mlp() -> tuple[nn.Sequential, torch.Tensor]:
    torch.manual_seed(0)
    layers = [nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)]
    return nn.Sequential(*layers), torch.randn(5, 3)


def test_in_a_whole_network_nothing_is_idle() -> None:
    network, x = mlp()
    assert idle_units(network, x) == {}


def test_no_live_input_and_no_live_output_and_what_follows_from_them() -> None:
    network, x = mlp()
    # Unit 1 of the first layer has no input, unit 2 no output; unit 3 is heard only by unit 3 of the second
    # layer, which nobody hears. Unit 0 of that hears unit 1 alone, whose constant is folded into it first.
    gone = {
        "0_weight": [(1,)],
        "2_weight": [(slice(None), 2), (0, 0), (0, 3), (1, 3), (2, 3)],
        "4_weight": [(slice(None), 3)],
    }
    masked(network, x, **gone)  # type: ignore[arg-type]
    before = network(x)
    assert idle_units(network, x) == {"0": (1, 2, 3), "2": (3,)}
    removals = [Remove(layer, units, exact=True) for layer, units in idle_units(network, x).items()]
    receipt = apply(network, None, removals, x)
    assert receipt.removed == {"0": 3, "2": 1}
    assert not receipt.refused
    torch.testing.assert_close(network(x), before)
    assert idle_units(network, x) == {"2": (0,)}
    apply(network, None, [Remove("2", (0,), exact=True)], x)
    torch.testing.assert_close(network(x), before)
    assert idle_units(network, x) == {}


def test_of_a_layer_that_is_idle_as_a_whole_one_unit_stays() -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.outer = nn.Linear(3, 4), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = x + self.outer(torch.tanh(self.inner(x)))
            return made

    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Linear(3, 3), Around(), nn.Linear(3, 2)), torch.randn(5, 3)
    masked(network, x, **{"1_outer_weight": [(slice(None),)]})  # type: ignore[arg-type]
    assert idle_units(network, x) == {"1.inner": (1, 2, 3)}


def test_a_channel_is_idle_when_all_that_is_flattened_of_it_is_unheard() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    x = torch.randn(4, 1, 4, 4)
    network.eval()
    some = masked(copy.deepcopy(network), x, **{"4_weight": [(slice(None), slice(4, 7))]})  # type: ignore[arg-type]
    assert idle_units(some, x) == {}
    every = masked(copy.deepcopy(network), x, **{"4_weight": [(slice(None), slice(4, 8))]})  # type: ignore[arg-type]
    assert idle_units(every, x) == {"0": (1,)}
