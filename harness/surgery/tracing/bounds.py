"""Stretches of unequal length that code takes an axis apart into, and the numbers that say how long they are.

A number is looked for in the modules whose code is running when an axis is taken apart, from within outwards:
in a tuple or list of all the lengths, or alone. One that is found must follow when units of its stretch go;
where none is found, the stretch must stay as long as it is. Whether the number that was found is the one that
the code goes by, trials say afterwards (`Tracer.stretches`).
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from harness.surgery.tracing.labels import Labels

if TYPE_CHECKING:
    from harness.surgery.tracing.tracer import Tracer


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A number that says how many positions a stretch of an axis has.

    layer: path of the module that holds it. name: of its attribute. place: in the tuple or list that the
    attribute is, None where it is the number itself. labels: of the stretch.
    """

    layer: str
    name: str
    place: int | None
    labels: Labels


def found_together(tracer: "Tracer", stretches: Sequence[Labels]) -> bool:
    """Whether one tuple or list holds the lengths of the stretches that an axis was just taken apart into."""
    sizes = [len(labels) for labels in stretches]
    for layer, module in _running(tracer):
        names = [name for name, value in vars(module).items() if _are(value, sizes)]
        if names:
            for place, labels in enumerate(stretches if len(names) == 1 else ()):
                _bind(tracer, Bound(layer, names[0], place, labels))
            return len(names) == 1
    return False


def _are(value: object, sizes: list[int]) -> bool:
    if not isinstance(value, tuple | list) or type(value) not in (tuple, list):
        return False
    return len(value) > 1 and all(type(each) is int for each in value) and list(value) == sizes


def found_alone(tracer: "Tracer", stretches: Sequence[Labels]) -> list[bool]:
    """For each of some stretches: whether a number of its own was found that is its length."""
    running = list(_running(tracer))
    names = [_number(running, len(labels)) for labels in stretches]
    known = [name is not None and names.count(name) == 1 for name in names]
    for name, labels, is_known in zip(names, stretches, known, strict=True):
        if name is not None and is_known:
            _bind(tracer, Bound(*name, None, labels))
    return known


def _running(tracer: "Tracer") -> Iterator[tuple[str, nn.Module]]:
    """Paths of the network's modules whose code is running, and the modules, from within outwards."""
    paths = {id(module): path for path, module in reversed(tracer.modules.items())}
    frame = sys._getframe(1)
    before: nn.Module | None = None
    while frame.f_back is not None:
        frame = frame.f_back
        code = frame.f_code
        own = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        if isinstance(own, nn.Module) and own is not before and id(own) in paths:
            before = own
            yield paths[id(own)], own


def _number(running: Sequence[tuple[str, nn.Module]], size: int) -> tuple[str, str] | None:
    """The one number of this size that the innermost module holds that holds any."""
    for layer, module in running:
        names = [name for name, value in vars(module).items() if type(value) is int and value == size > 1]
        if names:
            return (layer, names[0]) if len(names) == 1 else None
    return None


def _bind(tracer: "Tracer", bound: Bound) -> None:
    """Note a number; a stretch that goes by it elsewhere must stay as long as this one."""
    for other in tracer.bounds:
        if (other.layer, other.name, other.place) == (bound.layer, bound.name, bound.place):
            tracer.coupling.unite(other.labels, bound.labels)
            return
    tracer.bounds.append(bound)
