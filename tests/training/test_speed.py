"""Timing: turns, repeats and their limit; never how long anything takes."""

import pytest
import torch
from torch import Tensor, nn

from harness.sizing.gates.units import attach_gates
from harness.training import speed
from harness.training.speed import latencies_ms, measure_speed


class _Noting(nn.Module):
    """Notes each batch it is given, and in which mode."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []
        self.modes: set[tuple[bool, bool]] = set()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape))
        self.modes.add((self.training, torch.is_inference_mode_enabled()))
        return x


def test_networks_are_timed_in_evaluation_mode_on_every_batch_size() -> None:
    network = _Noting().train()
    speeds = measure_speed({"one": network}, (3, 2), torch.device("cpu"), batch_sizes=(2, 5), repeats=3)
    assert [(speed.batch_size, speed.repeats) for speed in speeds] == [(2, 3), (5, 3)]
    assert set(network.seen) == {(2, 3, 2), (5, 3, 2)}
    assert network.modes == {(False, True)}


def test_a_slow_network_gets_fewer_repeats_and_no_fewer_than_five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.training.speed._PATIENCE_SECONDS", 0.0)
    networks = {"one": nn.Identity(), "other": nn.Identity()}
    speeds = measure_speed(networks, (3,), torch.device("cpu"), repeats=31)
    assert [speed.repeats for speed in speeds] == [5, 5, 5, 5]


def test_a_trained_network_is_timed_without_its_gates_and_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).train()
    attach_gates(network, ["0"])
    timed: list[list[type]] = []

    def noted(network: nn.Module, x: Tensor, calls: int) -> float:
        timed.append([type(module) for module in network.children()])
        return 1.0

    monkeypatch.setattr(speed, "_seconds", noted)
    found = dict(latencies_ms(network, (3,), torch.device("cpu")))
    assert found == {1: 1000.0, 256: 1000.0}
    assert {tuple(types) for types in timed} == {(nn.Linear, nn.ReLU, nn.Linear)}
    assert network.training
    assert type(network[0]) is not nn.Linear


def test_timing_draws_from_no_global_generator() -> None:
    before = torch.get_rng_state()
    measure_speed({"one": nn.Identity()}, (3,), torch.device("cpu"), batch_sizes=(2,), repeats=1)
    assert torch.equal(torch.get_rng_state(), before)
