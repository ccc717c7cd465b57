"""Checks of what a method proposes, so that a wrong type is found here and not deep in the engine."""

import operator
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from harness.surgery.edits import (
    Assign,
    Edit,
    InsertBlock,
    Mask,
    NetworkEdit,
    NextPhase,
    Note,
    Recipe,
    Remove,
    RemoveBlock,
    Reset,
    Stop,
    Unmask,
    Widen,
)


def checked_edits(proposed: Iterable[Any]) -> tuple[Edit, ...]:
    """The edits that a method proposed; whether the network allows them is for surgery to say.

    Raises:
        TypeError: in one sentence, if one is no edit, or has fields of wrong types.
    """
    edits = tuple(proposed)
    for edit in edits:
        if not isinstance(edit, NetworkEdit | NextPhase | Stop | Note):
            raise TypeError(f"a method proposed {edit!r:.80}, which is no edit")
        if not _has_right_types(edit):
            raise TypeError(f"a method proposed {edit!r:.80}, with fields of wrong types")
    return edits


def _has_right_types(edit: Edit) -> bool:
    match edit:
        case Remove(layer=str()):
            return _are_indices(edit.units)
        case Reset(layer=str(), weight=Tensor(), bias=None | Tensor()):
            return _are_indices(edit.units)
        case Widen(layer=str(), incoming=Tensor(), incoming_bias=None | Tensor()):
            given = (*edit.outgoing.items(), *edit.passing.items())
            return all(isinstance(path, str) and isinstance(weight, Tensor) for path, weight in given)
        case Mask(parameter=str(), keep=Tensor()) | RemoveBlock(block=str()):
            return True
        case Unmask(parameter=str(), entries=Tensor()):
            return True
        case Assign(parameter=str(), values=Tensor(), entries=None | Tensor(), forget=bool()):
            return True
        case Note(about=str(), numbers=Mapping()):
            return all(isinstance(name, str) for name in edit.numbers) and all(
                isinstance(number, int | float) for number in edit.numbers.values()
            )
        case InsertBlock(place=str(), module=nn.Module(), recipe=None):
            return True
        case InsertBlock(place=str(), module=nn.Module(), recipe=Recipe(make=str(), arguments=Mapping())):
            return True
        case _:
            return isinstance(edit, NextPhase) or (isinstance(edit, Stop) and isinstance(edit.reason, str))


def _are_indices(units: Iterable[Any]) -> bool:
    return all(operator.index(unit) is not None for unit in units)
