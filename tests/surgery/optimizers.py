"""Optimizers that edits must be exact with, and all that one remembers."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from harness.surgery import hold_masks
from tests.surgery.helpers import train

Make = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, Make] = {
    "sgd": partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=1e-2),
    "adam": partial(torch.optim.Adam, lr=0.01, weight_decay=1e-2),
    "adamw": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.01, momentum=0.9, weight_decay=1e-2),
    "adagrad": partial(torch.optim.Adagrad, lr=0.05, weight_decay=1e-2),
    "nadam": partial(torch.optim.NAdam, lr=0.01, weight_decay=1e-2),
}


def remembered(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every tensor of a network, and what the optimizer remembers of it, by name."""
    found = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state[parameter].items():
            if value is not None:
                found[f"{name} {key}"] = torch.as_tensor(value).clone()
    return found


def differing(first: dict[str, Tensor], second: dict[str, Tensor]) -> list[str]:
    """Names of what two networks do not have alike, to the last bit."""
    names = first.keys() | second.keys()
    return sorted(
        name
        for name in names
        if name not in first or name not in second or not torch.equal(first[name], second[name])
    )


def go_on(network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, steps: int = 3) -> None:
    """Train as the loop does, which holds masks after every step."""
    for _ in range(steps):
        train(network, optimizer, x, 1)
        hold_masks(network)
