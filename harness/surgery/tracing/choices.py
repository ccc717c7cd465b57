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
    summed = list(summed)
    contracted = _roots(coupling, summed)
    for number in avoided:
        # A part that is one position long since is no choice any more.
        if number >= len(choices):
            break
        for option in choices[number].options:
            if not np.isin(coupling.roots(option.labels), contracted).any():
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
    contracted: Labels,
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
    coupling: Coupling, choice: Choice, stuck: npt.NDArray[np.bool_], contracted: Labels
) -> list[tuple[bool, bool]]:
    """For every option: whether it cannot be cut, and whether a product of two signals sums over it."""
    found = [coupling.roots(option.labels) for option in choice.options]
    return [(bool(stuck[roots].all()), bool(np.isin(roots, contracted).any())) for roots in found]


def _choose(coupling: Coupling, choice: Choice, place: int) -> None:
    choice.chosen = place
    coupling.unite(*choice.options[place].bound)
    for other, option in enumerate(choice.options):
        if other != place:
            coupling.freeze(option.labels, _BESIDE)


def _roots(coupling: Coupling, labels: Iterable[Labels]) -> Labels:
    every = [np.empty(0, dtype=np.int64), *labels]
    return np.unique(coupling.roots(np.concatenate(every)))


def _directions(coupling: Coupling, choices: Iterable[Choice]) -> dict[int, int]:
    """The number of each option's direction (by the option's id): options that share units have one."""
    options = [option for choice in choices for option in choice.options]
    of_root: dict[int, int] = {}
    parent = list(range(len(options)))

    def top(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    for index, option in enumerate(options):
        for root in np.unique(coupling.roots(option.labels)).tolist():
            other = top(of_root.setdefault(root, index))
            low, high = sorted((other, top(index)))
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
