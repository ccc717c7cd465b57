"""Which of several axes the units of an axis belong to, where code takes an axis apart or puts axes together.

An axis [heads * features] that is split into [heads, features] can lose heads, or the same feature of every
head; which of them is seen only by what comes after. So both axes are followed, each with labels of its own,
and at the end one of them is chosen: its labels are put into the classes of the axis they came from, and the
other axis may not be changed any more. A wrong choice forbids too much; it never changes a network.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.surgery.tracing.labels import Coupling, Labels

_STIFF = "reshaped in code that was written for fixed sizes"
_BESIDE = "lies on an axis whose neighbour is what can be cut"


@dataclass(slots=True)
class Option:
    """An axis that could be the one. labels: of its positions. bound: pairs of labels to unite if it is."""

    labels: Labels
    bound: tuple[Labels, Labels]


@dataclass(slots=True)
class Choice:
    """Axes of which one is to be chosen, in the order in which they lie.

    chosen: index, None until then. contested: whether another one could have been, at the price of what a
    product of two signals sums over.
    """

    options: tuple[Option, ...]
    chosen: int | None = None
    contested: bool = False

    @property
    def own(self) -> Labels:
        """Labels of the axis that was chosen."""
        assert self.chosen is not None
        return self.options[self.chosen].labels


def decide(
    coupling: Coupling, choices: Sequence[Choice], summed: Iterable[Labels], avoided: Iterable[int] = ()
) -> None:
    """Choose an axis for every split and every merger that was met.

    The same axis is chosen wherever it is met. Preferred is one that may be cut at all, then one that is not
    summed over in a product of two signals, then one that is the only such in some place, then the one that
    is met most often, then the last of its neighbours.

    Args:
        summed: labels that products of two signals sum over.
        avoided: numbers of choices of which the axis must not be cut that would be preferred.
    """
    contracted = _marked(coupling, summed)
    for number in avoided:
        # A part that is one position long since is no choice any more.
        if number >= len(choices):
            break
        for option in choices[number].options:
            if not contracted[coupling.roots(option.labels)].any():
                coupling.freeze(option.labels, _STIFF)
    waiting = [choice for choice in choices if choice.chosen is None]
    if not waiting:
        return
    directions = _directions(coupling, waiting)
    groups = _groups(waiting, directions)
    while groups:
        stuck = coupling.stuck()
        groups = [left for own in groups if (left := _step(coupling, own, directions, stuck, contracted))]


def _step(
    coupling: Coupling,
    choices: list[Choice],
    directions: dict[int, int],
    stuck: npt.NDArray[np.bool_],
    contracted: npt.NDArray[np.bool_],
) -> list[Choice]:
    """Choose the best direction wherever it is met; the choices that are left."""
    found: dict[int, list[tuple[Choice, int]]] = {}
    for choice in choices:
        for place, option in enumerate(choice.options):
            found.setdefault(directions[id(option)], []).append((choice, place))
    states = {id(choice): _states(coupling, choice, stuck, contracted) for choice in choices}
    order = {id(choice): number for number, choice in enumerate(choices)}

    def rank(direction: int) -> tuple[int, ...]:
        met = found[direction]
        worst = [max(states[id(choice)][place][k] for choice, place in met) for k in (0, 1)]
        forced = any(
            all(any(own) for other, own in enumerate(states[id(choice)]) if other != place)
            for choice, place in met
        )
        first, place = met[0]
        return *worst, not forced, -len(met), -place, order[id(first)]

    taken = found[min(found, key=rank)]
    for choice, place in taken:
        own = states[id(choice)]
        others = [state for other, state in enumerate(own) if other != place]
        choice.contested = not any(own[place]) and (False, True) in others
        _choose(coupling, choice, place)
    return [choice for choice in choices if choice.chosen is None]


def _states(
    coupling: Coupling, choice: Choice, stuck: npt.NDArray[np.bool_], contracted: npt.NDArray[np.bool_]
) -> list[tuple[bool, bool]]:
    """For every option: whether it cannot be cut, and whether a product of two signals sums over it."""
    found = [coupling.roots(option.labels) for option in choice.options]
    return [(bool(stuck[roots].all()), bool(contracted[roots].any())) for roots in found]


def _choose(coupling: Coupling, choice: Choice, place: int) -> None:
    choice.chosen = place
    coupling.unite(*choice.options[place].bound)
    for other, option in enumerate(choice.options):
        if other != place:
            coupling.freeze(option.labels, _BESIDE)


def _marked(coupling: Coupling, labels: Iterable[Labels]) -> npt.NDArray[np.bool_]:
    """[labels]: True at the roots of some."""
    marked = np.zeros(len(coupling), dtype=np.bool_)
    marked[coupling.roots(np.concatenate([np.empty(0, dtype=np.int64), *labels]))] = True
    return marked


def _directions(coupling: Coupling, choices: Iterable[Choice]) -> dict[int, int]:
    """The number of each option's direction (by the option's id): options that share units have one."""
    options = [option for choice in choices for option in choice.options]
    parent = list(range(len(options)))

    def top(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    owners = np.repeat(np.arange(len(options)), [len(option.labels) for option in options])
    roots = coupling.roots(np.concatenate([option.labels for option in options]))
    order = np.argsort(roots, kind="stable")
    roots, owners = roots[order], owners[order]
    met = (roots[1:] == roots[:-1]) & (owners[1:] != owners[:-1])
    # Which options share a root, each pair once.
    pairs = np.unique(owners[:-1][met] * len(options) + owners[1:][met])
    for pair in pairs.tolist():
        low, high = sorted(top(index) for index in divmod(pair, len(options)))
        parent[high] = low
    return {id(option): top(index) for index, option in enumerate(options)}


def _groups(choices: Iterable[Choice], directions: dict[int, int]) -> list[list[Choice]]:
    """Choices that have directions in common, together."""
    groups: list[tuple[set[int], list[Choice]]] = []
    for choice in choices:
        own, inside = {directions[id(option)] for option in choice.options}, [choice]
        for group in [group for group in groups if not own.isdisjoint(group[0])]:
            groups.remove(group)
            own, inside = own | group[0], group[1] + inside
        groups.append((own, inside))
    return [inside for _, inside in groups]
