"""Which memory of an optimizer can follow its parameters, and which is refused by name."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from harness.surgery.errors import SurgeryError

#: Numbers that PyTorch's optimizers remember of a parameter as a whole, whatever its shape.
WHOLE = frozenset({"step", "eta", "mu", "mu_product"})
_PLAIN = (int, float, complex, str, bytes, torch.dtype, torch.device, torch.Size, torch.Generator, type(None))
_ANEW = "apply the edits without it (None), and make it anew afterwards"


def whole_optimizer(optimizer: Optimizer) -> None:
    """Refuse optimizers that keep what belongs to parameters where no edit can follow it.

    Raises:
        SurgeryError: for vectors over all parameters, and for tensors in attributes or groups.
    """
    name = type(optimizer).__name__
    held = [own for group in optimizer.param_groups for own in group["params"]]
    total = sum(own.numel() for own in held)
    flat = isinstance(optimizer, torch.optim.LBFGS) and any(optimizer.state.values())
    for owner, state in optimizer.state.items():
        size = owner.numel() if isinstance(owner, Tensor) else -1
        sizes = [each.numel() for each in _in(state)]
        flat = flat or any(each > 1 and (size < 0 or size < each == total) for each in sizes)
    if flat:
        raise SurgeryError(
            f"{name} remembers vectors over all its parameters at once, which no cut can follow; {_ANEW}."
        )
    if isinstance(optimizer, torch.optim.LBFGS):
        return  # before its first step it keeps nothing but the list of its one group
    lists = [id(group["params"]) for group in optimizer.param_groups]
    known = {id(own) for own in held}
    for key, value in vars(optimizer).items():
        if key in ("param_groups", "state", "defaults") or id(value) in lists:
            continue
        if any(each.numel() > 1 or id(each) in known for each in _in(value)):
            raise SurgeryError(
                f"{name} keeps tensors in its attribute {key!r}, where no cut follows; {_ANEW}."
            )
    for group in optimizer.param_groups:
        for key, value in group.items():
            if key != "params" and any(each.numel() > 1 for each in _in(value)):
                raise SurgeryError(
                    f"{name} keeps tensors in its groups under {key!r}, where no cut follows; {_ANEW}."
                )


def check_memory(optimizer: Optimizer, path: str, parameter: nn.Parameter) -> None:
    """Refuse memory of a parameter whose shape says nothing about its entries.

    Raises:
        SurgeryError: naming the parameter, and the entry of its state.
    """
    name = type(optimizer).__name__
    for key, value in optimizer.state.get(parameter, {}).items():
        said = f"{name} remembers {key!r}"
        if isinstance(value, _PLAIN):
            continue
        if not isinstance(value, Tensor):
            if isinstance(value, list | tuple | set | dict) and not any(True for _ in _in(value)):
                continue
            raise SurgeryError(
                f"{said}, a {type(value).__name__}, for {path!r}, which no cut can follow; {_ANEW}."
            )
        if value.numel() == 1 and value.shape != parameter.shape:
            continue
        if type(value) not in (Tensor, nn.Parameter) or value.layout != torch.strided:
            raise SurgeryError(
                f"{said} for {path!r} as a {type(value).__name__} ({value.layout}), which no cut can follow; "
                f"{_ANEW}."
            )
        if value.shape != parameter.shape:
            raise SurgeryError(
                f"{said} of shape {tuple(value.shape)} for the parameter {path!r} of shape "
                f"{tuple(parameter.shape)}; only tensors of the parameter's shape and single numbers can be "
                f"carried over: {_ANEW}."
            )
        if not _by_entry(optimizer, key, value):
            raise SurgeryError(
                f"{said} for {path!r}, which has its shape, but no value for each of its entries; {_ANEW}."
            )


def _by_entry(optimizer: Optimizer, key: str, value: Tensor) -> bool:
    """Whether memory of a parameter's shape goes by its entries: it may be a matrix of rows by rows, too."""
    if type(optimizer).__module__.startswith("torch.optim"):
        return True
    for owner, state in optimizer.state.items():
        other = state.get(key) if isinstance(owner, Tensor) else None
        if isinstance(other, Tensor) and other.numel() > 1 and other.shape != owner.shape:
            return False
    square = value.dim() == 2 and value.shape[0] == value.shape[1] > 1
    return not square or not value.any() or not torch.equal(value, value.t())


def _in(tree: Any) -> Iterator[Tensor]:
    """All tensors in nested containers, keys of mappings included; an optimizer inside is its own concern."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict):
        for pair in tree.items():
            yield from _in(pair)
    elif isinstance(tree, list | tuple | set | frozenset):
        for each in tree:
            yield from _in(each)
