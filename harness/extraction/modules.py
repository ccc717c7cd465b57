"""Modules described by plain values, and made again from them, without pickle."""

import inspect
from typing import Any

from torch import nn

from harness.extraction.errors import ExtractionError
from harness.extraction.extent import made_within_memory
from harness.plugins import attributes
from harness.surgery.donors import Residual, recipe_of

#: make: `module:attribute` or `file.py:attribute`, a class of modules. arguments: its keyword arguments.
#: children: name -> description of a module inside it, for containers.
Described = dict[str, Any]

_SEQUENTIAL, _RESIDUAL = "torch.nn:Sequential", "harness.surgery:Residual"


def describe(module: nn.Module, path: str) -> Described:
    """What makes a module again, with parameters of the same names.

    Args:
        module: that a method put in, or a part of one.
        path: of the whole of it, for messages.

    Raises:
        ExtractionError: for a module that is no layer of torch.nn and has no recipe.
    """
    recipe = recipe_of(module)
    if recipe is not None:
        arguments = {name: _plain(value, path, recipe.make) for name, value in recipe.arguments.items()}
        return {"make": recipe.make, "arguments": arguments}
    if type(module) in (nn.Sequential, Residual):
        make = _SEQUENTIAL if type(module) is nn.Sequential else _RESIDUAL
        return {"make": make, "children": {n: describe(m, path) for n, m in module.named_children()}}
    kind = type(module).__name__
    if getattr(nn, kind, None) is not type(module) or next(module.children(), None) is not None:
        raise ExtractionError(
            f"the block {path!r} that the method put in holds a {kind}, which cannot be described by its "
            "arguments; give its `InsertBlock` a `recipe`, or build the block of layers of torch.nn"
        )
    return {"make": f"torch.nn:{kind}", "arguments": _arguments(module, path)}


def make(described: Described) -> nn.Module:
    """The module that a description is of; its weights are yet to be loaded.

    Raises:
        ExtractionError: if it is of no class of modules that is here, or the class does not take it.
    """
    name = described.get("make")
    if name in (_SEQUENTIAL, _RESIDUAL):
        children = {child: make(own) for child, own in described.get("children", {}).items()}
        if name == _RESIDUAL:
            return Residual(**children)
        made = nn.Sequential()
        for child, module in children.items():
            made.add_module(child, module)
        return made
    try:
        kind = attributes.find(str(name))
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise ValueError(f"{name} is no class of modules")
        arguments = _tuples(described.get("arguments", {}))
        return made_within_memory(lambda: kind(**arguments), "it")
    except (ValueError, TypeError, RuntimeError) as error:
        raise ExtractionError(f"the block cannot be made by {name}: {error}") from error


def names_of(described: Described) -> set[str]:
    """Everything that a description is made by."""
    inside = described.get("children", {}).values()
    return {str(described.get("make")), *(name for own in inside for name in names_of(own))}


def _arguments(module: nn.Module, path: str) -> dict[str, Any]:
    """The arguments of a layer's constructor, from its attributes of the same names."""
    found = {}
    for name in list(inspect.signature(type(module).__init__).parameters)[1:]:
        if name in ("device", "dtype"):
            continue
        if not hasattr(module, name):
            kind = type(module).__name__
            raise ExtractionError(f"the block {path!r}: a {kind} does not tell its argument {name!r}")
        value = getattr(module, name)
        found[name] = value is not None if name == "bias" else _plain(value, path, type(module).__name__)
    return found


def _plain(value: Any, path: str, whose: str) -> Any:
    """A value as JSON holds it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(each, path, whose) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each, path, whose) for name, each in value.items()}
    raise ExtractionError(
        f"the block {path!r}: {whose} has the argument {value!r:.80}, which is no plain value"
    )


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that layers have."""
    if isinstance(value, list):
        return tuple(_tuples(each) for each in value)
    return {name: _tuples(each) for name, each in value.items()} if isinstance(value, dict) else value
