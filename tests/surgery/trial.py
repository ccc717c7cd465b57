"""Cutting any network and looking at what became of it: whatever it takes, gives and draws."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from harness.surgery import Receipt, Structure, apply, trace
from harness.surgery.tracing.follow import follow
from tests.surgery.helpers import removals, some_classes
from tests.surgery.zoo.entry import Example, call

#: What a network gives in evaluation and in training mode.
Modes = tuple[list[Tensor], list[Tensor]]
#: Parameters that give a normalised weight its direction alone, by the ends of their paths.
_DIRECTIONS = ("original1", "weight_v")


def tensors_in(made: Any) -> list[Tensor]:
    """All floating tensors in nested lists, tuples, mappings and dataclasses."""
    if isinstance(made, Tensor):
        return [made] if made.is_floating_point() else []
    if isinstance(made, Mapping):
        return [leaf for branch in made.values() for leaf in tensors_in(branch)]
    if isinstance(made, list | tuple):
        return [leaf for branch in made for leaf in tensors_in(branch)]
    if is_dataclass(made):
        return [leaf for own in fields(made) for leaf in tensors_in(getattr(made, own.name))]
    return []


@contextmanager
def _untouched(network: nn.Module) -> Iterator[None]:
    """Give buffers and random numbers back, and draw the same ones every time."""
    held = [(module, dict(module._buffers)) for module in network.modules()]
    values = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            yield
    finally:
        for module, buffers in held:
            module._buffers.update(buffers)
        for buffer, value in values:
            buffer.data.copy_(value)


def both_modes(network: nn.Module, example: Example) -> Modes:
    """What a network gives; all of it is in training mode in the second part. It is left in the first."""
    made = []
    for training in (False, True):
        network.train(training)
        with _untouched(network):
            made.append([tensor.clone() for tensor in tensors_in(call(network, example))])
    network.eval()
    return made[0], made[1]


def change(before: Modes, after: Modes) -> tuple[float, float]:
    """Largest change of any output relative to its scale, in both modes; infinite where shapes differ."""
    evaluation, training = (
        max((_difference(*pair) for pair in zip(old, new, strict=True)), default=0.0)
        if len(old) == len(new)
        else float("inf")
        for old, new in zip(before, after, strict=True)
    )
    return evaluation, training


def _difference(old: Tensor, new: Tensor) -> float:
    if old.shape != new.shape:
        return float("inf")
    if not old.numel() or torch.equal(old, new):
        return 0.0
    found = float((new.double() - old.double()).abs().max() / old.double().abs().max().clamp(min=1e-30))
    return found if found == found else float("inf")


def loss(network: nn.Module, example: Example) -> Tensor:
    """Against targets that no network starts at; all outputs count."""
    parts = [
        (out - torch.linspace(-1, 1, out.numel(), dtype=out.dtype, device=out.device).view_as(out))
        .square()
        .mean()
        for out in tensors_in(call(network, example))
        if out.requires_grad and bool(torch.isfinite(out.detach()).all())
    ]
    return torch.stack(parts).sum()


def train(
    network: nn.Module,
    optimizer: Optimizer,
    example: Example,
    steps: int,
    behind: Callable[[], None] = lambda: None,
) -> None:
    """Some steps in training mode, the same random numbers in each; `behind` is done after each of them."""
    network.train()
    for _ in range(steps):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            optimizer.zero_grad()
            loss(network, example).backward()
        optimizer.step()
        behind()


@torch.no_grad()
def silence(network: nn.Module, example: Example, classes: set[int]) -> dict[str, Tensor]:
    """Put all that makes or shifts the units of some classes to zero; path -> which entries were.

    What reads the units is left as it is: a cut has to bring to an end what they send.
    """
    tracer = follow(network, example)
    made = set(tracer.producers.values())
    read = {(own.weight, own.in_axis) for own in tracer.reads} - made
    zeroed: dict[str, Tensor] = {}
    for path, parameter in network.named_parameters():
        # The direction of a normalised weight: its length silences what it makes; zero has no direction.
        if path.endswith(_DIRECTIONS):
            continue
        entries = torch.zeros_like(parameter, dtype=torch.bool)
        for axis in range(parameter.dim()):
            if (path, axis) in read:
                continue
            roots = tracer.coupling.roots(tracer.labels(path, axis)).tolist()
            units = [unit for unit, root in enumerate(roots) if root in classes]
            entries.movedim(axis, 0)[units] = True
        if entries.any():
            parameter[entries] = 0
            zeroed[path] = entries
    return zeroed


@dataclass(slots=True)
class Cut:
    """A network before and after units of all its groups were silenced and taken out.

    structure: before. classes: that went. refused: layer -> why units stayed. change: of the outputs,
    relative, in both modes. full: the silenced network, its optimizer beside it. small: what is left of it.
    zeroed: path -> entries of what went. receipt: of the cut.
    """

    structure: Structure
    classes: set[int]
    refused: dict[str, str]
    change: tuple[float, float]
    full: nn.Module
    full_optimizer: Optimizer
    small: nn.Module
    small_optimizer: Optimizer
    zeroed: dict[str, Tensor]
    receipt: Receipt


def cut(
    network: nn.Module,
    optimizer: Callable[[Any], Optimizer],
    example: Example,
    *,
    steps: int = 5,
    every: int = 4,
) -> Cut:
    """Train a little, silence units of every group, take out those that may go, and compare.

    What is refused when it is carried out stays, and the rest is asked for again.

    Raises:
        SurgeryError: where the network is refused as a whole.
    """
    own = optimizer(network.parameters())
    train(network, own, example, steps)
    structure = trace(network, example)
    classes = some_classes(structure, every)
    zeroed = silence(network, example, classes)
    before = both_modes(network, example)
    refused: dict[str, str] = {}
    while True:
        small, small_own = clone(network, own, optimizer)
        receipt = apply(small, small_own, removals(structure, classes), example)
        again = {
            name for layer in receipt.refused or {} for name in structure.classes[layer] if name in classes
        }
        refused.update(receipt.refused or {})
        if not again:
            break
        classes = classes - again
    held = silence(copy.deepcopy(network), example, classes)
    zeroed = {path: entries for path, entries in held.items() if path in zeroed}
    after = both_modes(small, example)
    return Cut(
        structure, classes, refused, change(before, after), network, own, small, small_own, zeroed, receipt
    )


def clone(
    network: nn.Module, optimizer: Optimizer, make: Callable[[Any], Optimizer]
) -> tuple[nn.Module, Optimizer]:
    """A network and its optimizer once more."""
    made = copy.deepcopy(network)
    own = make(made.parameters())
    own.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return made, own


def reasons(structure: Structure) -> list[tuple[float, str]]:
    """(share of the parameters that they hold, reason) of groups of which not all may go, largest first."""
    found: dict[str, int] = {}
    for group in structure.groups:
        if group.refused is not None:
            found[group.refused] = found.get(group.refused, 0) + group.parameters
    return sorted(((held / structure.parameters, reason) for reason, held in found.items()), reverse=True)


@torch.no_grad()
def hold(network: nn.Module, zeroed: Mapping[str, Tensor]) -> None:
    """Put entries back to zero."""
    for path, entries in zeroed.items():
        network.get_parameter(path)[entries] = 0


@torch.no_grad()
def perturbed(network: nn.Module, by: float) -> None:
    """Move every parameter by about so much of itself."""
    for parameter in network.parameters():
        parameter.mul_(1 + by * torch.randn_like(parameter))


def is_normalised(network: nn.Module) -> bool:
    """Whether weights are made of directions: masked columns of these go on counting in their lengths."""
    return any(path.endswith(_DIRECTIONS) for path, _ in network.named_parameters())
