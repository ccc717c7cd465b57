"""Modules that a method makes for a network: built from a generator of its own, and described for later."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from harness.surgery.edits import Recipe

#: Attribute of a module that a method has put in: its recipe, or None.
_INSERTED = "harness_inserted"


class Residual(nn.Module):
    """activation(x + branch(x)): the identity where the branch gives zeros and the activation does nothing.

    branch: maps [batch, ...] to the same shape. activation: what is behind the sum; nothing if None.
    """

    def __init__(self, branch: nn.Module, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.branch = branch
        self.activation = activation if activation is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[batch, ...] to the same shape."""
        made: Tensor = self.activation(x + self.branch(x))
        return made


def donor(build: Callable[[], nn.Module], generator: Generator) -> nn.Module:
    """What `build` makes, with its random numbers drawn from a method's generator.

    Torch's global generators, of the CPU and of every GPU, are as before afterwards, so that a method that
    builds modules trains on as one that does not.

    Args:
        build: makes a module, e.g. `lambda: Residual(nn.Linear(8, 8))`.
        generator: `Situation.generator`; one number is drawn from it.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return build()


def mark_inserted(module: nn.Module, recipe: Recipe | None) -> None:
    """Note on a module that it was put in, and how it is made."""
    setattr(module, _INSERTED, recipe)


def was_inserted(module: nn.Module) -> bool:
    """Whether a method put this module in."""
    return hasattr(module, _INSERTED)


def recipe_of(module: nn.Module) -> Recipe | None:
    """How a module that was put in says that it is made."""
    recipe: Recipe | None = getattr(module, _INSERTED, None)
    return recipe
