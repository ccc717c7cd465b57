"""Methods that add units: what they reach, what they leave unchanged, what they are refused."""

import copy

import pytest
import torch
from torch import nn

from harness.search.space import Choice, Float
from harness.sizing.base import Schedule
from harness.sizing.criteria.joints import growable
from harness.sizing.growing import Growing, stretches
from harness.sizing.methods.net2net import Net2Net
from harness.surgery import apply
from harness.surgery.edits import NextPhase, Note, Stop
from tests.sizing.growing_cases import FAMILIES, cell_of, examples, network_of, situation


def grown(family: str, method: Growing, seed: int = 0) -> tuple[nn.Module, nn.Module]:
    """A network before and after a method's last round."""
    network = network_of(family, seed)
    now = situation(family, network, {"share": 1.0}, phase=method.rounds - 1, seed=seed)
    _, edits = method.edits(now)
    after = copy.deepcopy(network)
    kept = [edit for edit in edits if not isinstance(edit, NextPhase | Note | Stop)]
    apply(after, None, kept, now.probe.part.x[:2])
    return network, after


def test_layers_on_a_residual_sum_do_not_grow() -> None:
    for family, (architecture, _) in FAMILIES.items():
        inner = [layer for layer in architecture.sized_layers if family != "resnet" or "0.conv1" in layer]
        assert list(growable(cell_of(family))) == inner


@pytest.mark.parametrize("family", FAMILIES)
def test_splits_leave_the_output_as_it_is(family: str) -> None:
    before, after = grown(family, Net2Net(noise=0))
    x, _ = examples(family)
    for mode in (False, True):
        outputs = []
        for network in (before, after):
            network.train(mode)
            for module in network.modules():
                if isinstance(module, nn.Dropout):
                    module.eval()
            with torch.no_grad():
                outputs.append(network(x))
        assert (outputs[0] - outputs[1]).abs().max() < 1e-10
    for layer in growable(cell_of(family)):
        assert len(after.get_parameter(f"{layer}.weight")) == 9


def test_noise_is_what_parts_copies() -> None:
    for noise in (0.0, 0.1):
        _, after = grown("mlp", Net2Net(noise=noise))
        rows = after.get_parameter("hidden1.weight").detach()
        assert len(rows.unique(dim=0)) == (3 if noise == 0 else 9)


def test_growth_ends_where_it_was_to_end() -> None:
    cell = cell_of("resnet", 2, 12)
    reach = Net2Net().reach(cell, {"share": Choice((0.5, 0.2))})
    assert reach["stage1.0.conv1"] == (4, 7)
    assert reach["conv1"] == (12, 12), "it cannot grow, so it starts at the size that the cell starts with"
    assert Net2Net().start_sizes(cell, {})["stage1.0.conv1"] == 2


def test_the_last_stretch_trains_and_alone_is_selected() -> None:
    for epochs in range(1, 9):
        phases = stretches(Schedule(epochs, 0.1), 3, 0.0)
        assert sum(phase.epochs for phase in phases if phase.steps_per_epoch is None) == epochs
        assert [phase.selectable for phase in phases] == [False] * 3 + [True]
        assert phases[-1].steps_per_epoch is None


def test_no_growth_beyond_bounds_or_without_room() -> None:
    method = Net2Net()
    for space in (Float(0.5, 1.5), Float(-0.1, 0.5), Choice((0.5, 2))):
        with pytest.raises(ValueError, match="not beyond, found"):
            method.check(cell_of("mlp"), {"share": space})
    with pytest.raises(ValueError, match="of hidden1 both are 4"):
        method.check(cell_of("mlp", 4, 4), {"share": Float(0, 1)})
    with pytest.raises(ValueError, match="rounds must be at least 1"):
        Net2Net(rounds=0)
    with pytest.raises(ValueError, match="noise must be"):
        Net2Net(noise=-1)
