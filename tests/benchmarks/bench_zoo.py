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

import logging
import os
import sys
import warnings
from dataclasses import dataclass

import torch

from tests.benchmarks.timing import machine
from tests.benchmarks.zoo_line import EXACT, OPTIMIZERS, Line, look
from tests.surgery.zoo import ENTRIES

_ALONG = 1e-6
#: Changes in single precision below this are a few roundings, whatever the network's own error.
_SINGLE = 1e-6
#: Milliseconds: shorter training steps are those of tiny networks.
_TINY = 10.0


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
        [line.entry.name for line in gated if line.gated and line.gated[2] > EXACT],
        of=len(gated),
    )
    for name in OPTIMIZERS:
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
        ours = sum(line.share < 1 and line.change is not None and not line.silent for line in lines)
        silent = sum(line.silent for line in lines)
        print(f"  Torch-Pruning on the same: {counts}; ours: {ours} exact, {silent} silent")
    else:
        print("  Torch-Pruning: NOT MEASURED, it is not installed")
    return all(own.kept for own in bars)


if __name__ == "__main__":
    torch.set_num_threads(1)
    _lines(sys.argv[1:])
