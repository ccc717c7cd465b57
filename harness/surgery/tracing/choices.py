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

Flags = npt.NDArray[np.bool_]

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
    summed over in a product of two signals, then one that is the only such in some place, then the one that is
    met most often, then the last of its neighbours.

    Args:
        summed: labels that products of two signals sum over.
        avoided: numbers of choices of which the axis must not be cut that would be preferred.
    """
    summed = list(summed)
    contracted = _roots(coupling, summed)
    for number in avoided:
        for option in choices[number].options:
            if not np.isin(coupling.roots(option.labels), contracted).any():
                coupling.freeze(option.labels, _STIFF)
    waiting = [choice for choice in choices if choice.chosen is None]
    if not waiting:
        return
    directions = _directions(coupling, waiting)
    of_products = _flags(coupling, contracted)
    while waiting:
        frozen = _flags(coupling, np.array(list(coupling.frozen()), dtype=np.int64))
        found: dict[int, list[tuple[int, int]]] = {}
        for number, choice in enumerate(waiting):
            for place in range(len(choice.options)):
                found.setdefault(directions[id(choice.options[place])], []).append((number, place))

        state = {
            id(option): _state(coupling, option, frozen, of_products)
            for choice in waiting
            for option in choice.options
        }

        def rank(
            direction: int,
            found: dict[int, list[tuple[int, int]]] = found,
            state: dict[int, tuple[bool, bool]] = state,
        ) -> tuple[int, ...]:
            met = [(waiting[number], place) for number, place in found[direction]]
            worst = [max(state[id(choice.options[place])][k] for choice, place in met) for k in (0, 1)]
            forced = any(
                all(any(state[id(own)]) for own in choice.options if own is not choice.options[place])
                for choice, place in met
            )
            first, place = found[direction][0]
            return *worst, not forced, -len(met), -place, first

        best = min(found, key=rank)
        taken = dict(found[best])
        for number, place in taken.items():
            states = [state[id(own)] for own in waiting[number].options]
            others = [own for other, own in enumerate(states) if other != place]
            waiting[number].contested = not any(states[place]) and (False, True) in others
            _choose(coupling, waiting[number], place)
        waiting = [choice for number, choice in enumerate(waiting) if number not in taken]


def _flags(coupling: Coupling, roots: Labels) -> Flags:
    """[labels]: whether each is one of some roots; quicker to ask than the roots themselves."""
    flags = np.zeros(len(coupling), dtype=np.bool_)
    flags[roots] = True
    return flags


def _state(coupling: Coupling, option: Option, frozen: Flags, contracted: Flags) -> tuple[bool, bool]:
    """Whether an axis cannot be cut at all, and whether a product of two signals sums over it."""
    roots = coupling.roots(option.labels)
    return bool(frozen[roots].all()), bool(contracted[roots].any())


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
