"""Checks what a study searches beside its methods' own spaces (`beside`), and makes spaces of it.

Where options decide which layers there are (depth), an arm's space holds a size for every layer of the
network that has most, and its reach goes down to 0 for layers that other networks lack. A trial draws all of
these sizes and does not use those of layers that its own network lacks.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness import registry
from harness.datasets.base import DatasetFacts
from harness.design import BATCH_SIZE, LEARNING_RATE, OF_ARCHITECTURE
from harness.nearest import nearest
from harness.search.space import Choice, Domain, Float, Int, Scalar, Space
from harness.study.beside import search_of, with_options
from harness.study.making import make_architecture
from harness.study.parts import StudyError
from harness.study.ranges import Range, domain_like
from harness.study.schema import ArchitectureEntry, Method, Study

#: Whole numbers of a range that are looked at one by one, and combinations of options in all.
_LOOKED_AT, _MOST_COMBINATIONS = 64, 1000


@dataclass(frozen=True, slots=True)
class Choices:
    """What trials of an arm draw beside their method's own space, and which architectures that gives.

    beside: parameter name -> range. widest: the entry of an architecture that has all sized layers.
    entries: all that were looked at: of the ends of long ranges, of every value else. at_times: sized layers
    that some have and others lack.
    """

    beside: Space
    widest: ArchitectureEntry
    entries: tuple[ArchitectureEntry, ...]
    at_times: frozenset[str]


def check_searched(study: Study, source: str) -> None:
    """Raise StudyError, in one sentence, for a name in `search` that nothing goes by."""
    places = {"search": study.search}
    places |= {f"methods.{method.name}.search": method.search for method in study.methods}
    allowed = [LEARNING_RATE, BATCH_SIZE]
    for entry in study.architectures:
        allowed += [OF_ARCHITECTURE + option for option in registry.options_of(_family(entry)) or ()]
    for place, written in places.items():
        for name in written:
            option = name.removeprefix(OF_ARCHITECTURE)
            is_option = option != name and any(_takes(entry, option) for entry in study.architectures)
            if name not in allowed and not is_option:
                raise StudyError(
                    f"{source}: {place}: nothing is called {name!r}{nearest(name, dict.fromkeys(allowed))}"
                )


def _space_beside(study: Study, source: str, method: Method, entry: ArchitectureEntry) -> dict[str, Domain]:
    """What trials of an arm draw beside their method's own space.

    Raises:
        StudyError: in one sentence, if a range does not fit what it is for.
    """
    space: dict[str, Domain] = {}
    for name, written in search_of(study, method).items():
        option = name.removeprefix(OF_ARCHITECTURE)
        try:
            if name == LEARNING_RATE:
                space[name] = domain_like(Float(1, 1), written)
                if not _least(space[name]) > 0:
                    raise ValueError(f"a learning rate lies above 0, found {_least(space[name]):g}")
            elif name == BATCH_SIZE:
                space[name] = domain_like(Int(1, 1), written)
                if not _least(space[name]) >= 1:
                    raise ValueError(f"a batch has at least 1 example, found {_least(space[name]):g}")
            elif _takes(entry, option):
                space[name] = _domain_of_option(entry, option, written)
        except ValueError as error:
            raise StudyError(f"{source}: {_place(method, name)}: {error}") from error
    return space


def joined(source: str, method: Method, own: Space, beside: Space) -> dict[str, Domain]:
    """An arm's whole space. Raises StudyError if its method searches something of the same name."""
    for name in beside:
        if name in own:
            raise StudyError(
                f"{source}: {_place(method, name)}: {method.name} draws a {name!r} of its own; write its "
                f"range under methods.{method.name}.space"
            )
    return {**own, **beside}


def choices(
    study: Study, source: str, method: Method, entry: ArchitectureEntry, facts: DatasetFacts, outputs: int
) -> Choices:
    """What may be drawn in an arm beside its method's own space.

    Raises:
        StudyError: in one sentence, if a range does not fit what it is for, an architecture cannot be made,
            or none has all sized layers.
    """
    beside = _space_beside(study, source, method, entry)
    names = [name for name in beside if name.startswith(OF_ARCHITECTURE)]
    values = [_values(beside[name]) for name in names]
    if (count := math.prod(map(len, values))) > _MOST_COMBINATIONS:
        raise StudyError(
            f"{source}: {_place(method, *names)}: there are {count} combinations of architecture options; at "
            f"most {_MOST_COMBINATIONS} are allowed"
        )
    options = [name.removeprefix(OF_ARCHITECTURE) for name in names]
    entries, layers = [], []
    for point in itertools.product(*values):
        entries.append(with_options(entry, dict(zip(options, point, strict=True))))
        try:
            made = make_architecture(entries[-1], facts.example_shape, outputs)
            layers.append(frozenset(made.sized_layers))
        except ValueError as error:
            where = _place(method, *names) if names else f"architectures.{entry.name}"
            raise StudyError(f"{source}: {where}: {error}") from error
    every = frozenset(layer for some in layers for layer in some)
    if every not in layers:
        raise StudyError(
            f"{source}: {_place(method, *names)}: of the networks that may be drawn none has all sized "
            f"layers ({', '.join(sorted(every))}), so that sizes cannot be drawn for all"
        )
    widest = entries[layers.index(every)]
    return Choices(beside, widest, tuple(entries), every - frozenset.intersection(*layers))


def _place(method: Method, *names: str) -> str:
    """Where in the study file a searched parameter stands, or several of them."""
    section = f"methods.{method.name}.search" if {*names} <= method.search.keys() else "search"
    return f"{section}.{names[0]}" if len(names) == 1 else section


def _family(entry: ArchitectureEntry) -> str:
    return entry.family or entry.name


def _takes(entry: ArchitectureEntry, option: str) -> bool:
    """Whether an architecture has an option; of networks by name only their constructors know."""
    known = registry.options_of(_family(entry))
    return known is None or option in known


def _least(domain: Domain) -> float:
    return min(map(float, domain.options)) if isinstance(domain, Choice) else domain.low


def _domain_of_option(entry: ArchitectureEntry, option: str, written: Any) -> Domain:
    if not isinstance(written, Range):
        return Choice(tuple(written) if isinstance(written, list) else (written,))
    if registry.options_of(_family(entry)) is None:
        raise ValueError(
            f"only {_family(entry)} knows whether it takes whole numbers; write a list of values"
        )
    if written.low == written.high:
        return Choice((int(written.low) if written.low == int(written.low) else written.low,))
    between = written.low + (written.high - written.low) / math.e  # no whole number
    if _accepted(entry, option, [written.low, between, written.high]):
        return Float(written.low, written.high, written.log)
    return domain_like(Int(1, 1), written)


def _accepted(entry: ArchitectureEntry, option: str, values: Sequence[Scalar]) -> bool:
    try:
        for value in values:
            make_architecture(with_options(entry, {option: value}))
    except ValueError:
        return False
    return True


def _values(domain: Domain) -> Sequence[Scalar]:
    if isinstance(domain, Choice):
        return domain.options
    if isinstance(domain, Int) and domain.high - domain.low < _LOOKED_AT:
        return range(domain.low, domain.high + 1)
    return tuple(dict.fromkeys((domain.low, domain.high)))
