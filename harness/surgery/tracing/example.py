"""What a network is given to be looked at: a tensor, or several in tuples, lists and mappings."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.surgery.errors import SurgeryError

#: A tensor is a network's one argument. A tuple or list holds its arguments in their order where `forward`
#: takes that many, and a mapping holds them by name where it takes these names; where it does not, the
#: tuple, list or mapping itself is the one argument. Numbers, strings and None inside are handed on.
Example = Tensor | tuple[Any, ...] | list[Any] | Mapping[str, Any]

_PLAIN = (int, float, complex, str, bytes, slice, torch.dtype, torch.device, torch.Size, type(None))


def called(network: nn.Module, example: Example) -> Any:
    """What a network gives for an example; the example stays as it is, whatever the network does to it."""
    own = mapped(example, Tensor.clone)
    if isinstance(own, Tensor):
        return network(own)
    if isinstance(own, Mapping):
        named = all(isinstance(name, str) for name in own)
        return network(**own) if named and _takes(network, (), own) else network(own)
    # A named tuple, such as a packed sequence, is one thing with parts.
    several = not hasattr(own, "_fields") and _takes(network, own, {})
    return network(*own) if several else network(own)


def _takes(network: nn.Module, given: tuple[Any, ...] | list[Any], named: Mapping[str, Any]) -> bool:
    try:
        inspect.signature(network.forward).bind(*given, **named)
    except (TypeError, ValueError):  # other arguments, or a signature that nobody can read
        return False
    return True


def mapped(example: Example, function: Callable[[Tensor], Tensor]) -> Any:
    """The same tuples, lists and mappings with what a function makes of each tensor.

    A tensor that stands in several places is made into one, as attention looks whether its inputs are one.

    Raises:
        SurgeryError: for anything in which there may be tensors that nobody sees.
    """
    return _mapped(example, function, {})


def _mapped(part: Any, function: Callable[[Tensor], Tensor], done: dict[int, Tensor]) -> Any:
    if isinstance(part, Tensor):
        if id(part) not in done:
            done[id(part)] = function(part)
        return done[id(part)]
    if isinstance(part, _PLAIN):
        return part
    if isinstance(part, Mapping):
        made = {name: _mapped(own, function, done) for name, own in part.items()}
        return made if type(part) is dict else _rebuilt(part, made)
    if isinstance(part, tuple | list):
        entries = [_mapped(own, function, done) for own in part]
        named = getattr(part, "_make", None)  # of a named tuple
        return named(entries) if named is not None else type(part)(entries)
    raise SurgeryError(
        f"The example holds a {type(part).__name__}; it must be a tensor, or tensors (and numbers, strings "
        "or None beside them) in tuples, lists and mappings."
    )


def _rebuilt(like: Mapping[str, Any], made: dict[str, Any]) -> Any:
    """A mapping of the class of another one, such as what a tokenizer gives."""
    try:
        return type(like)(made)  # type: ignore[call-arg]
    except TypeError as error:
        raise SurgeryError(
            f"The example is or holds a {type(like).__name__}, which cannot be made from a dict; give a dict."
        ) from error


def tensors(example: Example) -> list[Tensor]:
    """All tensors of an example, in their order.

    Raises:
        SurgeryError: if there are none, or something in which nobody sees any.
    """
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    mapped(example, note)
    if not found:
        raise SurgeryError("The example holds no tensor, so that a network shows nothing with it.")
    return found


def devices(example: Example) -> set[str]:
    """Where the tensors of an example are."""
    return {str(tensor.device) for tensor in tensors(example)}


def twice(example: Example) -> Any:
    """An example of at least two entries, which batch normalisation needs in training mode.

    The first tensor says how many there are; of several tensors, all whose first axis is as long get a second
    entry: an opposite one of numbers, the same one of integers.
    """
    first = next((tensor for tensor in tensors(example) if tensor.dim()), None)
    if first is None or first.shape[0] != 1:
        return example

    def doubled(tensor: Tensor) -> Tensor:
        if not tensor.dim() or tensor.shape[0] != 1:
            return tensor
        return torch.cat([tensor, -tensor if tensor.is_floating_point() else tensor])

    return mapped(example, doubled)


def floating(example: Example, function: Callable[[Tensor], Tensor]) -> Any:
    """An example with what a function makes of each tensor of floating-point numbers; others stay."""
    return mapped(example, lambda tensor: function(tensor) if tensor.is_floating_point() else tensor)


def shapes(example: Example) -> str:
    """The shapes of an example's tensors, in words: (2, 3, 8, 8) or {'ids': (2, 5), 'mask': (2, 5)}."""
    if isinstance(example, Tensor):
        return str(tuple(example.shape))
    if isinstance(example, Mapping):
        return "{" + ", ".join(f"{name!r}: {shapes(own)}" for name, own in example.items()) + "}"
    if isinstance(example, tuple | list) and not isinstance(example, torch.Size):
        return "[" + ", ".join(shapes(own) for own in example) + "]"
    return f"{example!r:.40}"
