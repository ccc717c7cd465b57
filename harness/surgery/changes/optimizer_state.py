"""Carrying an optimizer's memory over to parameters of another shape."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from harness.surgery.changes.belongings import in_format_of
from harness.surgery.errors import SurgeryError

#: What happened to a parameter, applied to any tensor of its shape.
Reshaping = Callable[[Tensor], Tensor]


def check_state(optimizer: Optimizer, path: str, parameter: nn.Parameter) -> None:
    """Refuse parameters that the optimizer does not own, and memory whose shape says nothing.

    Raises:
        SurgeryError: naming the parameter, and the entry of its state.
    """
    if parameter.requires_grad and not owns(optimizer, parameter):
        raise SurgeryError(
            f"The optimizer does not own the parameter {path!r} that is to change; "
            "make it from the network's parameters as they are now."
        )
    for key, value in optimizer.state.get(parameter, {}).items():
        if isinstance(value, Tensor) and value.shape != parameter.shape and value.numel() != 1:
            raise SurgeryError(
                f"{type(optimizer).__name__} remembers {key!r} of shape {tuple(value.shape)} for the "
                f"parameter {path!r} of shape {tuple(parameter.shape)}; only tensors of the parameter's "
                "shape and single numbers can be carried over."
            )


def owns(optimizer: Optimizer, parameter: Tensor) -> bool:
    """Whether a parameter is in one of the optimizer's groups."""
    return any(parameter is own for group in optimizer.param_groups for own in group["params"])


def exchange(optimizer: Optimizer, old: nn.Parameter, new: nn.Parameter | None, reshaping: Reshaping) -> None:
    """Put a new parameter in an old one's place, its memory reshaped alike; None drops it."""
    for group in optimizer.param_groups:
        places = [index for index, own in enumerate(group["params"]) if own is old]
        for index in places:
            group["params"][index : index + 1] = [] if new is None else [new]
            if new is None and "param_names" in group:
                del group["param_names"][index]
    state: dict[str, Any] | None = optimizer.state.pop(old, None)
    if state is not None and new is not None:
        with torch.no_grad():
            optimizer.state[new] = {
                key: in_format_of(value, reshaping(value))
                if isinstance(value, Tensor) and value.shape == old.shape
                else value
                for key, value in state.items()
            }


def enrol(optimizer: Optimizer, new: nn.Parameter, path: str, beside: nn.Parameter) -> None:
    """Put a parameter that did not exist before into another one's group."""
    for group in optimizer.param_groups:
        if any(own is beside for own in group["params"]):
            _append(group, new, path)
            return


def admit(
    optimizer: Optimizer, new: nn.Parameter, path: str, like: Sequence[nn.Parameter], *, is_gate: bool
) -> None:
    """Put a parameter of an inserted module into the group of the first of its like that is in one.

    Gates are never decayed: without a group of gates they get one, which is trained as the first group is.
    """
    for each in like:
        for group in optimizer.param_groups:
            if any(own is each for own in group["params"]):
                _append(group, new, path)
                return
    first = optimizer.param_groups[0]
    if not is_gate:
        _append(first, new, path)
        return
    options = {key: value for key, value in first.items() if key not in ("params", "param_names")}
    options |= {key: 0.0 for key in ("weight_decay", "decays") if key in first}
    named = "param_names" in first
    optimizer.add_param_group(options | {"params": [(path, new)] if named else [new]})


def _append(group: dict[str, Any], new: nn.Parameter, path: str) -> None:
    group["params"].append(new)
    if "param_names" in group:
        group["param_names"].append(path)
