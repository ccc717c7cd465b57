"""Trying all of surgery on one network of the zoo: a line of the table."""

import copy
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from harness.sizing.gates import attach_gates, fold_gates, gates, places_for_gates
from harness.surgery import Structure, SurgeryError, apply, trace
from tests.benchmarks.pruned_elsewhere import verdict
from tests.surgery.helpers import removals
from tests.surgery.trial import (
    Cut,
    both_modes,
    change,
    clone,
    cut,
    hold,
    is_normalised,
    perturbed,
    reasons,
    train,
)
from tests.surgery.zoo import Entry, Example, in_type

EXACT = 1e-10
_STEPS = 5
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": partial(torch.optim.SGD, lr=1e-3, momentum=0.9),
    "adam": partial(torch.optim.Adam, lr=1e-3),
}
_OUTPUT = "belongs to the network's output"


@dataclass(slots=True)
class Line:
    """What was seen of a network; None where it was not come to.

    said: why it is refused as a whole. broken: what was raised that is no refusal, and where. share: of its
    parameters, out of reach. change: of its outputs, evaluation and training mode. differs: whether a
    constant is another one in training mode. left: layer -> why units stayed when it came to cutting. why:
    (share, reason) of groups that may not be cut. gated: layers that may be cut, that took gates; change by
    folding. ungated: layer -> why it took none. along: optimizer -> (distance from the masked network,
    distance of a perturbed one). single: (change, own error) in float32. steps: (tracing, applying), in
    training steps of so many milliseconds. theirs: Torch-Pruning's.
    """

    entry: Entry
    said: str = ""
    broken: list[str] = field(default_factory=list)
    share: float = 1.0
    change: tuple[float, float] | None = None
    differs: bool = False
    left: dict[str, str] = field(default_factory=dict)
    why: list[tuple[float, str]] = field(default_factory=list)
    gated: tuple[int, int, float] | None = None
    ungated: dict[str, str] = field(default_factory=dict)
    along: dict[str, tuple[float, float]] = field(default_factory=dict)
    single: tuple[float, float] | None = None
    steps: tuple[float, float, float] | None = None
    theirs: str | None = None

    @property
    def silent(self) -> bool:
        """Whether outputs changed although nothing was said; a constant that differs by mode is told."""
        if self.change is None:
            return False
        evaluation, training = self.change
        return evaluation > EXACT or (training > EXACT and not self.differs)


def look(entry: Entry) -> Line:
    """Try all of it on one network.

    Raises:
        ImportError: if the package that has it is absent.
    """
    entry.build()
    line = Line(entry)
    structure: Structure | None = None
    for part in (_exact, _single, _gates, _times):
        try:
            structure = part(line) or structure
        except SurgeryError as error:
            line.said = line.said or str(error)
        except Exception as error:  # noqa: BLE001 the table tells it, and the bar is missed
            line.broken.append(f"{part.__name__.strip('_')}: {type(error).__name__}: {error}")
        gc.collect()
    network, example = _made(entry)
    line.theirs = verdict(network, example, _outputs(network, structure))
    return line


def _made(entry: Entry, dtype: torch.dtype = torch.float64, batch: int = 4) -> tuple[nn.Module, Example]:
    torch.manual_seed(0)
    return entry.build().to(dtype), in_type(entry.example(batch), dtype)


def _outputs(network: nn.Module, structure: Structure | None) -> set[str]:
    """Layers that make the output: as we see it, or else the last."""
    known = {path for path, _ in network.named_modules()}
    found = (
        [layer for group in structure.groups if group.refused == _OUTPUT for layer in group.layers]
        if structure
        else []
    )
    last = [
        path
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
    ]
    return set(found).intersection(known) or set(last[-1:])


def _exact(line: Line) -> Structure:
    """Cut, and go on training beside the network that is masked instead."""
    done: Cut | None = None
    for name, optimizer in OPTIMIZERS.items():
        done = cut(*_made(line.entry)[:1], optimizer, _made(line.entry)[1], steps=_STEPS)
        if line.change is None:
            line.share, line.why = done.structure.refused_share, reasons(done.structure)
            line.change, line.left = done.change, done.refused
            line.differs = bool(done.receipt.exact_in_evaluation_only)
        if done.classes and not done.receipt.folded and not is_normalised(done.small):
            line.along[name] = _along(done, optimizer, _made(line.entry)[1])
    assert done is not None
    return done.structure


def _along(
    done: Cut, optimizer: Callable[[Any], torch.optim.Optimizer], example: Example
) -> tuple[float, float]:
    moved, moved_own = clone(done.full, done.full_optimizer, optimizer)
    perturbed(moved, 1e-15)
    for network, own, zeroed in (
        (done.full, done.full_optimizer, done.zeroed),
        (moved, moved_own, done.zeroed),
        (done.small, done.small_optimizer, {}),
    ):
        train(network, own, example, _STEPS, partial(hold, network, zeroed))
    masked = both_modes(done.full, example)
    return max(change(masked, both_modes(done.small, example))), max(
        change(masked, both_modes(moved, example))
    )


def _single(line: Line) -> None:
    network, example = _made(line.entry, torch.float32)
    done = cut(network, OPTIMIZERS["sgd"], example, steps=_STEPS)
    own = both_modes(copy.deepcopy(done.full).double(), in_type(example, torch.float64))
    line.single = done.change[1], change(own, both_modes(done.full, example))[1]


def _gates(line: Line) -> None:
    """Gates on all that may be cut, a few steps of training, and what folding changes."""
    network, example = _made(line.entry)
    structure = trace(network, example)
    free = [layer for group in structure.groups if group.refused is None for layer in group.layers]
    taken = 0
    for layer in free:
        for place in places_for_gates([layer], structure.norms):
            if place in gates(network):
                taken += 1
                continue
            try:
                attach_gates(network, [place])
                taken += 1
            except ValueError as error:
                line.ungated[layer] = str(error)
    train(network, torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9), example, 3)
    before = both_modes(network, example)
    fold_gates(network)
    line.gated = len(free), taken, max(change(before, both_modes(network, example)))


def _times(line: Line) -> None:
    network, example = _made(line.entry)
    own = OPTIMIZERS["sgd"](network.parameters())
    batch = in_type(line.entry.example(8), torch.float64)
    small = in_type(line.entry.example(2), torch.float64)
    train(network, own, batch, 1)
    step = statistics.median(_seconds(partial(train, network, own, batch, 1)) for _ in range(5))
    traced = min(_seconds(partial(trace, network, small)) for _ in range(3))
    done = cut(network, OPTIMIZERS["sgd"], example, steps=1)
    taken = []
    for _ in range(3):
        full, full_own = clone(done.full, done.full_optimizer, OPTIMIZERS["sgd"])
        edits = removals(done.structure, done.classes)
        taken.append(_seconds(partial(apply, full, full_own, edits, small)))
    line.steps = traced / step, min(taken) / step, 1e3 * step


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
