"""Finding the numbers in a network's own code that must follow when units go.

Code that writes attention out by hand reshapes by numbers its modules hold: heads, widths of projections. An
attribute that could be such a number is changed on trial, and only if the network then computes what it did
with the units silent, in both modes, is it one (`harness.surgery.trial`). Nothing is done where no change is
needed, and where none helps, the units stay.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from harness.surgery.operations.resize import own_sizes
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.fits import Fit
from harness.surgery.tracing.follow import follow
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.trial import Trial, trial

#: Class of a module and name of its attribute: modules of one class are written by the same code.
_Kind = tuple[str, str]
#: Kinds of attributes of one set of units that are tried in all their combinations, and combinations.
_KINDS, _COMBINATIONS = 8, 64


@torch.no_grad()
def settled(network: nn.Module, example: Example) -> Tracer:
    """Follow a network (`harness.surgery.tracing.follow`), and see whether its code lets whole heads go.

    Where it does not, but features of heads could go instead, it is followed again with that in mind.

    Raises:
        SurgeryError: as `follow`.
    """
    tracer = follow(network, example)
    contested = {
        int(np.min(free)): number
        for number, choice in enumerate(tracer.choices)
        if choice.contested and len(free := _free(tracer, choice.own)) > 1
    }
    if not contested:
        return tracer
    with trial(tracer, network, example, _array(contested)) as state:
        if state.fails(_array(contested)) is None:
            return tracer
        fit(tracer, network, contested, state)
        failed = [root for root in contested if state.fails(_array([root])) is not None]
    if not failed:
        return tracer
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
    if not roots:
        return
    with trial(tracer, network, example, _array(roots)) as state:
        if state.fails(_array(roots)) is not None:
            fit(tracer, network, roots, state)


def stands(tracer: Tracer, network: nn.Module, example: Example, roots: npt.NDArray[np.int64]) -> bool:
    """Whether a network without some classes computes what it did with their units silent."""
    with trial(tracer, network, example, roots) as state:
        return state.fails(roots) is None


def fit(tracer: Tracer, network: nn.Module, roots: Iterable[int], state: Trial) -> bool:
    """The same, for classes that are silent in a trial and not all of which can go yet; whether it helped."""
    together: dict[frozenset[_Kind], list[int]] = {}
    found: dict[int, Mapping[_Kind, list[Fit]]] = {}
    for root in roots:
        found[root] = _kinds(tracer, network, root)
        together.setdefault(frozenset(found[root]), []).append(root)
    helped = False
    for kinds, own in together.items():
        before = list(tracer.fits)
        for chosen in _combinations(kinds):
            more = [each for root in own for kind in chosen for each in found[root][kind]]
            tracer.fits = list(dict.fromkeys([*before, *more]))
            if state.fails(_array(own)) is None:
                helped = helped or bool(chosen)
                break
        else:
            tracer.fits = before
    return helped


def _combinations(kinds: frozenset[_Kind]) -> Iterator[tuple[_Kind, ...]]:
    """The fewest attributes first."""
    ordered = sorted(kinds)[:_KINDS]
    every = (own for count in range(len(ordered) + 1) for own in combinations(ordered, count))
    for _, own in zip(range(_COMBINATIONS), every, strict=False):
        yield own


def _kinds(tracer: Tracer, network: nn.Module, root: int) -> Mapping[_Kind, list[Fit]]:
    """Attributes that may follow when a class goes: of the modules whose parameters it is in, and of those
    around them up to the one that holds them all."""
    members = tracer.coupling.members(_array([root]))
    axes: dict[str, list[tuple[str, int, int, int]]] = {}
    for path, starts in tracer.starts.items():
        tensor = tracer.tensors[path]
        for axis, start in enumerate(starts if isinstance(tensor, nn.Parameter) else ()):
            lost = int(members[start : start + tensor.shape[axis]].sum())
            if lost:
                layer = path.rpartition(".")[0]
                axes.setdefault(layer, []).append((path, axis, tensor.shape[axis], lost))
    top = _common(list(axes))
    kinds: dict[_Kind, list[Fit]] = {}
    for layer, own in axes.items():
        for holder in _upwards(layer, top):
            module = network.get_submodule(holder)
            known = own_sizes(module)
            for name, value in vars(module).items():
                if type(value) is not int or name in known or value < 2:
                    continue
                for path, axis, size, lost in own:
                    if size % value == 0 and value * lost % size == 0:
                        kind = (type(module).__qualname__, name)
                        kinds.setdefault(kind, []).append(Fit(holder, name, path, axis))
                        break
    return {
        kind: list({(each.layer, each.name): each for each in own}.values()) for kind, own in kinds.items()
    }


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


def _free(tracer: Tracer, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    roots = np.unique(tracer.coupling.roots(labels))
    return roots[~np.isin(roots, list(tracer.coupling.frozen()))]


def _array(roots: Iterable[int]) -> npt.NDArray[np.int64]:
    return np.unique(np.array(list(roots), dtype=np.int64))
