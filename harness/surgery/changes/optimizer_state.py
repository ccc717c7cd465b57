"""Carrying an optimizer's memory over to parameters of another shape."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from harness.surgery.changes.belongings import in_format_of
from harness.surgery.changes.remembered import WHOLE

#: What happened to a parameter, applied to any tensor of its shape.
Reshaping = Callable[[Tensor], Tensor]


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
                if isinstance(value, Tensor) and value.shape == old.shape and key not in WHOLE
                else value
                for key, value in state.items()
            }


def enrol(optimizer: Optimizer, new: nn.Parameter, path: str, beside: nn.Parameter) -> None:
    """Put a parameter that did not exist before into another one's group."""
    for group in optimizer.param_groups:
        if any(own is beside for own in group["params"]):
            _append(group, new, path)
            return


def admit(optimizer: Optimizer, new: nn.Parameter, path: str, *, is_gate: bool) -> None:
    """Put a parameter into the first group.

    Gates are never decayed: where that group is, they get one of their own, which is trained as the first is.
    """
    first = optimizer.param_groups[0]
    decays = {key: 0.0 for key in ("weight_decay", "decays") if key in first}
    if not is_gate or not decays or ("initial_lr" in first and not any(first[key] for key in decays)):
        _append(first, new, path)
        return
    options = {key: value for key, value in first.items() if key not in ("params", "param_names")} | decays
    named = "param_names" in first
    optimizer.add_param_group(options | {"params": [(path, new)] if named else [new]})


def _append(group: dict[str, Any], new: nn.Parameter, path: str) -> None:
    if any(own is new for own in group["params"]):
        return  # an optimizer that wraps another one may share its groups
    group["params"].append(new)
    if "param_names" in group:
        group["param_names"].append(path)
