"""Finding the numbers in a network's own code that must follow when units go.

Code that writes attention out by hand reshapes by numbers its modules hold: heads, widths of projections. An
attribute that could be such a number is changed on trial, and only if the network then computes what it did
with the units silent, in both modes, is it one (`harness.surgery.trial`). Nothing is done where no change is
needed, and where none helps, the units stay.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations, islice
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from torch import nn

from harness.surgery.operations.resize import own_sizes
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.fits import Fit
from harness.surgery.tracing.follow import follow
from harness.surgery.tracing.labels import Labels
from harness.surgery.tracing.numbers import numbers_read
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.trial import trial


class _Kind(NamedTuple):
    """An attribute of modules of one class, which are written by the same code.

    parameter, axis: of the module itself, whose size it is; no name where it is of a module within. likely:
    whether that is an axis along which the module makes units.
    """

    owner: str
    name: str
    parameter: str
    axis: int
    likely: bool


#: Kinds of attributes of one set of units that are tried in all their combinations, and combinations.
_KINDS, _COMBINATIONS = 8, 64


def settle(tracer: Tracer, network: nn.Module, example: Example) -> Tracer:
    """See whether the code of a network that was followed lets whole heads go.

    Where it does not, but features of heads could go instead, it is followed again with that in mind.
    """
    roots = contested(tracer)
    if not roots:
        return tracer
    with trial(tracer, network, example, _array(roots)) as state:
        failed = fit(tracer, network, roots, state) if state.fails(_array(roots)) is not None else []
    return followed_without(tracer, network, example, failed) if failed else tracer


def contested(tracer: Tracer) -> list[int]:
    """One class of each axis that was preferred to one that a product of two signals sums over."""
    stuck = tracer.coupling.stuck()
    found = []
    for choice in tracer.choices:
        if choice.contested:
            roots = np.unique(tracer.coupling.roots(choice.own))
            free = roots[~stuck[roots]]
            if len(free) > 1:
                found.append(int(free[0]))
    return list(dict.fromkeys(found))


def followed_without(tracer: Tracer, network: nn.Module, example: Example, failed: list[int]) -> Tracer:
    """Follow a network again, and cut no axis that was preferred and has some classes."""
    members = tracer.coupling.members(_array(failed))
    avoided = [
        number
        for number, choice in enumerate(tracer.choices)
        if choice.contested and members[choice.own].any()
    ]
    return follow(network, example, avoided=avoided)


def fit_to(tracer: Tracer, network: nn.Module, example: Example, roots: Iterable[int]) -> None:
    """Find the numbers that must follow when some classes of units go, if code holds any that could."""
    roots = [root for root in roots if _kinds(tracer, network, root)]
    read = numbers_read(network, example) if roots else set()
    roots = [root for root in roots if _kinds(tracer, network, root, read)]
    if not roots:
        return
    with trial(tracer, network, example, _array(roots)) as state:
        if state.fails(_array(roots)) is not None:
            fit(tracer, network, roots, state)


class Standing(Protocol):
    """What says whether a network stands it that classes of units go, with the numbers that follow by now."""

    @property
    def example(self) -> Example:
        """That the network runs on."""
        ...

    def fails(self, roots: Labels) -> str | None:
        """Why it does not, None if it does."""
        ...


def fit(
    tracer: Tracer,
    network: nn.Module,
    roots: Iterable[int],
    state: Standing,
    order: Callable[[tuple[_Kind, ...]], Iterator[tuple[_Kind, ...]]] | None = None,
) -> list[int]:
    """The same, for classes not all of which can go yet, which are silent in a trial; those that cannot.

    Args:
        order: of the sets of numbers that are tried; the likely ones first unless said.
    """
    order = order or _likely_first
    together: dict[tuple[tuple[_Kind, tuple[tuple[str, int], ...]], ...], list[int]] = {}
    found: dict[int, Mapping[_Kind, list[Fit]]] = {}
    read = numbers_read(network, state.example)
    for root in roots:
        found[root] = _kinds(tracer, network, root, read)
        alike = tuple(sorted((kind, _axes(own)) for kind, own in found[root].items()))
        together.setdefault(alike, []).append(root)
    left: list[int] = []
    for alike, own in together.items():
        kinds = tuple(kind for kind, _ in alike)
        if _suits(tracer, found, own, order(kinds), state):
            continue
        # A number that is as large as two axes may be taken for both; what stands a cut as it is needs none.
        stuck = [root for root in own if state.fails(_array([root])) is not None] if kinds else own
        if len(stuck) == len(own) or not _suits(tracer, found, stuck, order(kinds), state):
            left += stuck
    return left


def _suits(
    tracer: Tracer,
    found: Mapping[int, Mapping[_Kind, list[Fit]]],
    roots: list[int],
    sets: Iterable[tuple[_Kind, ...]],
    state: Standing,
) -> bool:
    """Whether classes can go with one of some sets of numbers; the first such set follows from then on."""
    before = tracer.fits
    for chosen in sets:
        more = [each for root in roots for kind in chosen for each in found[root][kind]]
        tracer.fits = list(dict.fromkeys([*before, *more]))
        if state.fails(_array(roots)) is None:
            return True
    tracer.fits = before
    return False


def _axes(fits: Iterable[Fit]) -> tuple[tuple[str, int], ...]:
    """Whose sizes some numbers are, in the same words for blocks that are written by the same code: a number
    cannot be that of two axes that are cut to different sizes."""
    inside = {(fit.path.removeprefix(f"{fit.layer}."), fit.axis) for fit in fits}
    return tuple(sorted((re.sub(r"\d+", "", path), axis) for path, axis in inside))


def _likely_first(kinds: tuple[_Kind, ...]) -> Iterator[tuple[_Kind, ...]]:
    """None, all that are likely, and then the fewest first."""
    likely = tuple(kind for kind in kinds if kind.likely)
    yield ()
    if likely:
        yield likely
    yield from (own for own in fewest_first(kinds) if own and own != likely)


def fewest_first(kinds: tuple[_Kind, ...]) -> Iterator[tuple[_Kind, ...]]:
    """Sets of attributes, the smallest first: for those who could not tell that one too many follows."""
    every = (own for count in range(_KINDS + 1) for own in combinations(kinds[:_KINDS], count))
    yield from islice(every, _COMBINATIONS + 1)


def _kinds(
    tracer: Tracer, network: nn.Module, root: int, read: set[tuple[str, str]] | None = None
) -> Mapping[_Kind, list[Fit]]:
    """Attributes that may follow when a class goes: of the modules whose parameters it is in, and of those
    around them up to the one that holds them all; read: those to look at, by path and name, or all."""
    members = tracer.coupling.members(_array([root]))
    counts = {len(choice.own) for choice in tracer.choices if members[choice.own].any()}
    made = set(tracer.producers.values())
    axes: dict[str, list[tuple[str, int, int]]] = {}
    for path, starts in tracer.starts.items():
        tensor = tracer.tensors[path]
        for axis, start in enumerate(starts if isinstance(tensor, nn.Parameter) else ()):
            size = tensor.shape[axis]
            if members[start : start + size].any():
                axes.setdefault(path.rpartition(".")[0], []).append((path, axis, size))
    top = _common(list(axes))
    bound = {(own.layer, own.name) for own in tracer.bounds}
    kinds: dict[_Kind, dict[str, Fit]] = {}
    for layer, own in axes.items():
        for holder in _upwards(layer, top):
            module = network.get_submodule(holder)
            known = own_sizes(module)
            for name, value in vars(module).items():
                if type(value) is not int or name in known or value < 2 or (holder, name) in bound:
                    continue
                if read is not None and (holder, name) not in read:
                    continue
                for path, axis, size in own:
                    parts = {size} if holder == layer else {size, size / 2, size / 3, *counts}
                    if value in parts and size % value == 0:
                        within = path.rpartition(".")[2] if holder == layer else ""
                        likely = holder != layer or (path, axis) in made
                        kind = _Kind(type(module).__qualname__, name, within, axis if within else 0, likely)
                        kinds.setdefault(kind, {}).setdefault(holder, Fit(holder, name, path, axis))
                        break
    return {kind: list(found.values()) for kind, found in kinds.items()}


def _common(layers: list[str]) -> list[str]:
    """The path, by its parts, of the module that holds some modules, or is the only one."""
    first, *others = (layer.split(".") if layer else [] for layer in layers)
    for other in others:
        length = next(
            (k for k, (one, two) in enumerate(zip(first, other, strict=False)) if one != two),
            min(len(first), len(other)),
        )
        first = first[:length]
    return first


def _upwards(layer: str, top: list[str]) -> Iterator[str]:
    parts = layer.split(".") if layer else []
    for length in range(len(parts), len(top) - 1, -1):
        yield ".".join(parts[:length])


def _array(roots: Iterable[int]) -> npt.NDArray[np.int64]:
    return np.unique(np.array(list(roots), dtype=np.int64))
