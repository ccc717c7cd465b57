"""The optimizers that train a network: whose a parameter is by now, and which of them edits cannot follow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from harness.surgery.changes.optimizer_state import Reshaping, admit, enrol, exchange
from harness.surgery.changes.remembered import check_memory, whole_optimizer
from harness.surgery.errors import SurgeryError


class Optimizers:
    """Several optimizers as one. What is done to parameters comes back as steps to be taken on commit."""

    def __init__(self, given: Optimizer | Sequence[Optimizer] | None) -> None:
        """Take optimizers, and those that they wrap.

        Raises:
            SurgeryError: for something that is no optimizer.
        """
        self._all = _unwrapped(given)
        self._owners: dict[int, tuple[Optimizer, ...]] = {}
        for optimizer in self._all:
            for parameter in _held(optimizer):
                known = self._owners.get(id(parameter), ())
                if optimizer not in known:
                    self._owners[id(parameter)] = (*known, optimizer)
        self._looked_at = False

    def check(self, path: str, parameter: nn.Parameter) -> None:
        """Refuse to change a parameter that is trained by no optimizer, or whose memory cannot follow.

        Raises:
            SurgeryError: naming the optimizer and what stands in the way.
        """
        if not self._all:
            return
        self._look()
        owners = self._owners.get(id(parameter), ())
        if parameter.requires_grad and not owners:
            names = " and ".join(type(own).__name__ for own in self._all)
            raise SurgeryError(
                f"The optimizer does not own the parameter {path!r} that is to change ({names} given); make "
                "it from the network's parameters as they are now, and give all optimizers that train it. "
                "What none trains should not require a gradient."
            )
        for optimizer in owners:
            check_memory(optimizer, path, parameter)

    def _look(self) -> None:
        if not self._looked_at:
            for optimizer in self._all:
                whole_optimizer(optimizer)
        self._looked_at = True

    def exchanged(
        self, old: nn.Parameter, new: nn.Parameter | None, reshaping: Reshaping
    ) -> list[Callable[[], None]]:
        """Put a new parameter in an old one's place in all optimizers; None drops it.

        Raises:
            SurgeryError: for optimizers that cannot follow.
        """
        self._look()
        owners = self._owners.pop(id(old), ())
        if new is not None:
            self._owners[id(new)] = owners
        return [partial(exchange, own, old, new, reshaping) for own in owners]

    def enrolled(self, new: nn.Parameter, path: str, beside: nn.Parameter) -> list[Callable[[], None]]:
        """Put a parameter that did not exist before beside another one, or where it can be trained.

        Raises:
            SurgeryError: if neither the other one's optimizers take it nor any else, or some cannot follow.
        """
        self._look()
        owners = self._owners.get(id(beside), ())
        takers = tuple(own for own in owners if _takes(own, new))
        if takers or not owners:
            self._owners[id(new)] = takers
            return [partial(enrol, own, new, path, beside) for own in takers]
        return [self._first_that_takes(new, path, is_gate=False)]

    def admitted(
        self, new: nn.Parameter, path: str, like: Sequence[nn.Parameter], *, is_gate: bool
    ) -> list[Callable[[], None]]:
        """Put a parameter of an inserted module beside the first of its like that some optimizer trains.

        Raises:
            SurgeryError: if no optimizer takes it, or some cannot follow.
        """
        if not self._all:
            return []
        self._look()
        for each in like:
            takers = tuple(own for own in self._owners.get(id(each), ()) if _takes(own, new))
            if takers:
                self._owners[id(new)] = takers
                return [partial(enrol, own, new, path, each) for own in takers]
        return [self._first_that_takes(new, path, is_gate=is_gate)]

    def _first_that_takes(self, new: nn.Parameter, path: str, *, is_gate: bool) -> Callable[[], None]:
        for optimizer in self._all:
            if not _takes(optimizer, new):
                continue
            if is_gate and _counts_groups(optimizer):
                raise SurgeryError(
                    f"The gate {path!r} needs a group without weight decay, and a scheduler counts the "
                    f"groups that {type(optimizer).__name__} has; make one for gates before the scheduler."
                )
            self._owners[id(new)] = (optimizer,)
            return partial(admit, optimizer, new, path, is_gate=is_gate)
        raise SurgeryError(
            f"The new parameter {path!r} of shape {tuple(new.shape)} has no optimizer: "
            f"{type(self._all[0]).__name__} trains matrices alone; give one that trains vectors beside it."
        )


def _unwrapped(given: Optimizer | Sequence[Optimizer] | None) -> tuple[Optimizer, ...]:
    """Optimizers in their order, each once, followed by those that they hold."""
    waiting: list[Any] = [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
    found: list[Optimizer] = []
    while waiting:
        each = waiting.pop(0)
        if not isinstance(each, Optimizer):
            raise SurgeryError(
                f"An optimizer must be a torch.optim.Optimizer, not a {type(each).__name__}; give those that "
                "it wraps, in a list if there are several."
            )
        if all(each is not known for known in found):
            found.append(each)
            waiting.extend(_wrapped(vars(each)))
    return tuple(found)


def _wrapped(attributes: Mapping[str, Any]) -> Iterator[Optimizer]:
    for value in attributes.values():
        inside = value.values() if isinstance(value, dict) else value
        if isinstance(value, Optimizer):
            yield value
        elif isinstance(value, list | tuple | dict):
            yield from (each for each in inside if isinstance(each, Optimizer))


def _held(optimizer: Optimizer) -> Iterator[Tensor]:
    return (own for group in optimizer.param_groups for own in group["params"])


def _takes(optimizer: Optimizer, parameter: nn.Parameter) -> bool:
    """Whether an optimizer can train a parameter: Muon makes matrices orthogonal and knows nothing else."""
    muon = getattr(torch.optim, "Muon", None)
    return parameter.dim() == 2 or muon is None or not isinstance(optimizer, muon)


def _counts_groups(optimizer: Optimizer) -> bool:
    """Whether a scheduler of PyTorch's holds the optimizer, and a gate would need another group."""
    first = optimizer.param_groups[0]
    return "initial_lr" in first and any(first.get(key) for key in ("weight_decay", "decays"))
