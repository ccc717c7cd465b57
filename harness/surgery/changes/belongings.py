"""What hangs on a parameter beside its values, taken over by the one that takes its place."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.surgery.errors import SurgeryError

_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def check_kind(path: str, old: Tensor) -> None:
    """Refuse parameters of a class of their own, of which nobody knows how to make another.

    Raises:
        SurgeryError: naming the parameter.
    """
    if isinstance(old, nn.Parameter) and type(old) is not nn.Parameter:
        raise SurgeryError(
            f"The parameter {path!r} is a {type(old).__name__}; surgery can make no other one of that class."
        )


def check_node(path: str, old: Tensor) -> None:
    """Refuse parameters with hooks on the node of autograd that adds up their gradient.

    They cannot be moved: whoever registered them keeps that node alive, and it is the old parameter's.

    Raises:
        SurgeryError: naming the parameter.
    """
    if not old.requires_grad or not old.is_leaf:
        return
    with torch.enable_grad():
        behind = old.view_as(old).grad_fn
    assert behind is not None
    node: Any = behind.next_functions[0][0]
    for register in (node.register_hook, node.register_prehook):
        handle = register(_nothing)
        hooks = handle.hooks_dict_ref()  # the same for all hooks of a node
        handle.remove()
        if hooks:
            raise SurgeryError(
                f"Hooks are registered on the node that accumulates the gradient of {path!r}, and would stay "
                "with the old parameter; use register_post_accumulate_grad_hook, which goes with it."
            )


def _nothing(*gradients: Any) -> None:
    """A hook that does nothing."""


def hand_on(old: Tensor, new: Tensor, reshaping: Callable[[Tensor], Tensor]) -> None:
    """Give a tensor the hooks and Python attributes of the one whose place it takes.

    Hooks stay in the very dictionaries that their handles know, so that a handle still removes its hook.

    Args:
        reshaping: for attributes that are tensors of the old one's shape, such as a factor for each entry.
    """
    if isinstance(old, nn.Parameter):
        for name in ("_backward_hooks", "_post_accumulate_grad_hooks"):
            hooks = getattr(old, name, None)
            if hooks:
                setattr(new, name, hooks)
    for name, value in old.__dict__.items():
        fits = isinstance(value, Tensor) and value.shape == old.shape
        new.__dict__[name] = in_format_of(value, reshaping(value)) if fits else value


def point_at(successors: Mapping[int, tuple[Tensor, Tensor]], network: nn.Module) -> None:
    """Where an attribute of a parameter is another parameter, let it be the one that took its place."""
    for parameter in network.parameters():
        for name, value in parameter.__dict__.items():
            while id(value) in successors and successors[id(value)][0] is value:
                value = parameter.__dict__[name] = successors[id(value)][1]


def reshaped_gradient(gradient: Tensor, reshaping: Callable[[Tensor], Tensor]) -> Tensor:
    """A gradient that waits for a step, reshaped as its parameter; one of looked-up rows alone stays so."""
    if gradient.layout == torch.strided:
        return in_format_of(gradient, reshaping(gradient))
    return reshaping(gradient.to_dense()).to_sparse(gradient.sparse_dim())


def in_format_of(old: Tensor, new: Tensor) -> Tensor:
    """A tensor with its channels last in memory, if those of the one whose place it takes are."""
    kind = _FORMATS.get(old.dim())
    if kind is None or new.dim() != old.dim() or old.is_contiguous():
        return new
    return new.contiguous(memory_format=kind) if old.is_contiguous(memory_format=kind) else new
