"""The loop against the same training written by hand, in the same process, by turns; median of five.

Timed is the processor's time of the process and not the clock's, because machines are shared; one thread.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.architectures.base import Architecture
from harness.architectures.lenet5 import LeNet5
from harness.architectures.mlp import MLP
from harness.datasets import load_split
from harness.datasets.base import DatasetFacts, DatasetSpec, Normalisation, Part, Split
from harness.objectives.classification import Classification
from harness.search.space import Int
from harness.sizing.base import Cell, Params, Schedule, SizingMethod
from harness.sizing.gates.units import attach_gates
from harness.sizing.methods.l2 import L2
from harness.sizing.methods.shrinknets import ShrinkNets
from harness.training.journal import Journal
from harness.training.loop import Job, train
from harness.training.step import StepSettings

RATE, PENALTY, REPEATS = 1e-3, 1e-4, 5


@dataclass(frozen=True)
class Setting:
    """One comparison. bar: of the ratio of the two medians."""

    name: str
    architecture: Architecture
    width: int
    split: Split
    batch_size: int
    epochs: int
    bar: float
    gated: bool = False


def main() -> bool:
    """Print a row a setting; whether every bar holds."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    digits = load_split(
        DatasetSpec("digits", "digits"), None, validation_fraction=0.2, split_seed=0, device="cpu"
    )
    pictures = _pictures(640)
    settings = [
        Setting("mlp, width 16, digits", MLP(2), 16, digits, 64, 40, 1.10),
        Setting("mlp, width 64, digits", MLP(2), 64, digits, 64, 40, 1.10),
        Setting("mlp, width 256, digits", MLP(2), 256, digits, 64, 20, 1.02),
        Setting("mlp, width 1024, digits", MLP(2), 1024, digits, 64, 3, 1.02),
        Setting("lenet5, width 32, 28 x 28", LeNet5(), 32, pictures, 64, 3, 1.02),
        Setting("shrinknets on mlp, width 64, digits", MLP(2), 64, digits, 64, 40, 1.10, gated=True),
    ]
    held = True
    print(f"{'':38}{'ours, s':>10}{'by hand, s':>12}{'ratio':>8}{'bar':>6}")
    for setting in settings:
        ours, hand = [], []
        for _ in range(REPEATS + 1):  # the first warms up
            ours.append(_timed(_by_harness, setting))
            hand.append(_timed(_by_hand, setting))
        first, second = median(ours[1:]), median(hand[1:])
        ratio = first / second
        held = held and ratio <= setting.bar
        print(f"{setting.name:38}{first:10.3f}{second:12.3f}{ratio:8.3f}{setting.bar:6.2f}", flush=True)
    return held


def _timed(run: Callable[[Setting], None], setting: Setting) -> float:
    start = time.process_time()
    run(setting)
    return time.process_time() - start


def _pictures(examples: int) -> Split:
    def part(count: int) -> Part:
        return Part(torch.randn(count, 1, 28, 28), torch.randint(0, 10, (count,)))

    facts = DatasetFacts("pictures", (1, 28, 28), 10, examples + 64, 64, "f")
    return Split(facts, Normalisation((0.0,), (1.0,)), part(examples), part(64), part(64))


def _cell(setting: Setting) -> Cell:
    layers = setting.architecture.sized_layers
    bounds = {layer: Int(1, setting.width) for layer in layers}
    shape = setting.split.facts.example_shape
    return Cell(setting.architecture, shape, 10, bounds, dict.fromkeys(layers, setting.width))


def _by_harness(setting: Setting) -> None:
    cell = _cell(setting)
    method: SizingMethod = ShrinkNets() if setting.gated else L2()
    params: Params = {"lambda": PENALTY} if setting.gated else _sizes(setting) | {"weight_decay": 1e-4}
    torch.manual_seed(0)
    network, state = method.build(cell, params)
    job = Job(
        method=method,
        params=params,
        cell=cell,
        phases=method.phases(params, Schedule(setting.epochs, RATE)),
        split=setting.split,
        objective=Classification(),
        batch_size=setting.batch_size,
        step=StepSettings("Adam", {}),
        seeds={"init": 0, "order": 1, "method": 2},
        limit_seconds=3600.0,
    )
    train(job, network, state, Journal(), lambda epoch: None)


def _sizes(setting: Setting) -> dict[str, int]:
    return dict.fromkeys(setting.architecture.sized_layers, setting.width)


def _by_hand(setting: Setting) -> None:
    """What a careful user would write: the same steps, the same scores, the best network kept."""
    torch.manual_seed(0)
    network = setting.architecture.build(setting.split.facts.example_shape, 10, _sizes(setting))
    gates: list[nn.Parameter] = []
    if setting.gated:
        attach_gates(network, setting.architecture.sized_layers)
        gates = [p for name, p in network.named_parameters() if name.endswith("gate")]
    others = [p for p in network.parameters() if not any(p is gate for gate in gates)]
    groups: list[dict[str, Any]] = [{"params": others, "weight_decay": 0.0 if gates else 1e-4}]
    groups += [{"params": gates}] if gates else []
    optimizer = torch.optim.Adam(groups, lr=RATE, fused=True)
    generator = torch.Generator().manual_seed(1)
    data, best, kept = setting.split.train, -1.0, {}
    for _ in range(setting.epochs):
        network.train()
        order = torch.randperm(len(data), generator=generator)
        total = torch.zeros(())
        for chosen in order.split(setting.batch_size):
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(data.x[chosen]), data.y[chosen])
            total += loss.detach() * len(chosen)
            if gates:
                loss = loss + PENALTY * sum(gate.clamp(min=0).sum() for gate in gates)
            loss.backward()
            optimizer.step()
        score = _score(network, setting.split.validation)
        if score > best:
            best, kept = score, _copied(network.state_dict())
    network.load_state_dict(kept)
    _score(network, setting.split.test)


@torch.no_grad()
def _score(network: nn.Module, part: Part) -> float:
    network.eval()
    outputs = network(part.x)
    functional.cross_entropy(outputs, part.y).item()
    return float((outputs.argmax(1) == part.y).float().mean())


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}
