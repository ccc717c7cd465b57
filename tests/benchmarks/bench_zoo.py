"""What surgery makes of networks that it was not developed on (`tests/surgery/zoo`), one line each.

After five training steps a quarter of every group that may lose units (half where there are two) is
silenced and taken out. Asked, in double precision: outputs change by at most 1e-10 of their scale in
evaluation and in training mode; no more than 5 % of the parameters are out of reach on 50 of 60 networks,
20 % on 58 of 60; gates attach to every layer that may be cut, and folded networks compute what gated ones
did; training goes on as with masks, to 1e-6 or to what a perturbation of 1e-15 comes to; tracing and applying
take at most five training steps each where a step takes ten milliseconds or more. In single precision,
training mode: at most twice what the network differs from itself in double precision. Beside it: what
Torch-Pruning's graph does, if installed.

`python -m tests.benchmarks.bench_zoo NAME...` prints some of the lines, with all reasons for refusals.
"""

import copy
import gc
import logging
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from harness.sizing.gates import attach_gates, fold_gates, gates, places_for_gates
from harness.surgery import Structure, SurgeryError, apply, trace
from tests.benchmarks.pruned_elsewhere import verdict
from tests.benchmarks.timing import machine
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
from tests.surgery.zoo import ENTRIES, Entry, Example, in_type

_EXACT, _ALONG = 1e-10, 1e-6
#: Changes in single precision below this are a few roundings, whatever the network's own error.
_SINGLE = 1e-6
_STEPS = 5
#: Milliseconds: shorter training steps are those of tiny networks.
_TINY = 10.0
_OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
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
        return evaluation > _EXACT or (training > _EXACT and not self.differs)


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
    for name, optimizer in _OPTIMIZERS.items():
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
    done = cut(network, _OPTIMIZERS["sgd"], example, steps=_STEPS)
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
    own = _OPTIMIZERS["sgd"](network.parameters())
    batch = in_type(line.entry.example(8), torch.float64)
    small = in_type(line.entry.example(2), torch.float64)
    train(network, own, batch, 1)
    step = statistics.median(_seconds(partial(train, network, own, batch, 1)) for _ in range(5))
    traced = min(_seconds(partial(trace, network, small)) for _ in range(3))
    done = cut(network, _OPTIMIZERS["sgd"], example, steps=1)
    taken = []
    for _ in range(3):
        full, full_own = clone(done.full, done.full_optimizer, _OPTIMIZERS["sgd"])
        edits = removals(done.structure, done.classes)
        taken.append(_seconds(partial(apply, full, full_own, edits, small)))
    line.steps = traced / step, min(taken) / step, 1e3 * step


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _print(line: Line, every_reason: bool = False) -> None:
    parts = [f"{line.entry.name:22s} {100 * line.share:5.1f} %"]
    if line.change is not None:
        note = "SILENT" if line.silent else "by mode" if line.differs else ""
        parts.append(f"{line.change[0]:7.0e} {line.change[1]:7.0e} {note:7s}")
    if line.gated is not None:
        parts.append(f"gates {line.gated[1]:3d}/{line.gated[0]:3d} {line.gated[2]:7.0e}")
    parts += [f"{name} {own:7.0e} ({moved:.0e})" for name, (own, moved) in line.along.items()]
    if line.single is not None:
        parts.append(f"float32 {line.single[0]:.0e} ({line.single[1]:.0e})")
    if line.steps is not None:
        parts.append(f"trace {line.steps[0]:4.1f} apply {line.steps[1]:4.1f} x {line.steps[2]:.0f} ms")
    print("  " + "  ".join(parts), f" Torch-Pruning: {line.theirs}" if line.theirs else "", flush=True)
    if line.said:
        print(f"      refused: {line.said}")
    for broken in line.broken:
        print(f"      BROKEN {broken}")
    if line.share > 0.05 or every_reason:
        for share, reason in line.why[: None if every_reason else 3]:
            print(f"      {100 * share:5.1f} % {reason}")
    for layer, reason in list((line.left | line.ungated).items())[: None if every_reason else 2]:
        print(f"      {layer}: {reason}")


@dataclass(frozen=True, slots=True)
class _Bar:
    what: str
    asked: str
    seen: str
    kept: bool


def _bars(lines: list[Line]) -> list[_Bar]:
    """Every bar: what is asked and what was seen."""
    count = len(lines)
    bars = []

    def bar(what: str, wrong: list[str], allowed: int = 0, of: int = count) -> None:
        names = f": {', '.join(wrong[:8])}{' ...' if len(wrong) > 8 else ''}" if wrong else ""
        bars.append(_Bar(what, f"{of - allowed} of {of}", f"{of - len(wrong)}{names}", len(wrong) <= allowed))

    families = {line.entry.family for line in lines}
    others = sum(line.entry.source in ("timm", "transformers") for line in lines)
    bars.append(
        _Bar(
            "networks, families, of timm and transformers",
            "60, 40, a third",
            f"{count}, {len(families)}, {others}",
            count >= 60 and len(families) >= 40 and 3 * others >= count,
        )
    )
    bar("no traceback", [line.entry.name for line in lines if line.broken])
    bar("changed by at most 1e-10 or refused", [line.entry.name for line in lines if line.silent])
    bar("refused at most 5 %", [line.entry.name for line in lines if line.share > 0.05], count // 6)
    bar("refused at most 20 %", [line.entry.name for line in lines if line.share > 0.2], count // 30)
    gated = [line for line in lines if line.gated is not None]
    bar(
        "gates attach",
        [line.entry.name for line in gated if line.gated and line.gated[1] < line.gated[0]],
        of=len(gated),
    )
    bar(
        "folded is gated",
        [line.entry.name for line in gated if line.gated and line.gated[2] > _EXACT],
        of=len(gated),
    )
    for name in _OPTIMIZERS:
        along = [line for line in lines if name in line.along]
        strayed = [
            line.entry.name for line in along if line.along[name][0] > max(_ALONG, 10 * line.along[name][1])
        ]
        bar(f"trains on as masked ({name})", strayed, of=len(along))
    single = [(line.entry.name, line.single) for line in lines if line.single is not None]
    bar(
        "float32 within twice its own error",
        [name for name, (own, error) in single if own > max(2 * error, _SINGLE)],
        of=len(single),
    )
    timed = [
        (line.entry.name, line.steps) for line in lines if line.steps is not None and line.steps[2] >= _TINY
    ]
    bar("tracing at most 5 steps", [name for name, steps in timed if steps[0] > 5], of=len(timed))
    bar("applying at most 5 steps", [name for name, steps in timed if steps[1] > 5], of=len(timed))
    return bars


def _lines(names: list[str]) -> list[Line]:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    absent: dict[str, list[str]] = {}
    lines = []
    for name, entry in ENTRIES.items():
        if names and name not in names:
            continue
        try:
            lines.append(look(entry))
        except ImportError:
            absent.setdefault(entry.source, []).append(name)
            continue
        _print(lines[-1], bool(names))
    for source, missing in absent.items():
        print(f"  SKIPPED, {source} is not installed (make test-integrations): {', '.join(missing)}")
    return lines


def main() -> bool:
    """Print the table and its bars; whether all are kept."""
    torch.set_num_threads(1)
    print(machine())
    print(
        "  network, refused, change in both modes, gates attached and change by folding, beside masks "
        "(perturbed),\n  float32 in training mode (own error), tracing and applying in steps"
    )
    lines = _lines([])
    bars = _bars(lines)
    for own in bars:
        print(f"  {'kept  ' if own.kept else 'MISSED'} {own.what}: asked {own.asked}, seen {own.seen}")
    theirs = [line.theirs for line in lines if line.theirs is not None]
    if theirs:
        counts = {kind: theirs.count(kind) for kind in dict.fromkeys(theirs)}
        ours = sum(line.change is not None and not line.silent for line in lines)
        silent = sum(line.silent for line in lines)
        print(f"  Torch-Pruning on the same: {counts}; ours: {ours} exact, {silent} silent")
    else:
        print("  Torch-Pruning: NOT MEASURED, it is not installed")
    return all(own.kept for own in bars)


if __name__ == "__main__":
    torch.set_num_threads(1)
    _lines(sys.argv[1:])
