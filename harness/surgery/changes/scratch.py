"""Other values for all of a network's tensors, for a while."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def scratch(network: nn.Module, value: Callable[[str, Tensor], Tensor]) -> Iterator[None]:
    """Put other tensors in the place of all parameters and buffers; at the end the very same are back.

    Args:
        value: path and tensor -> the tensor that stands in its place, of the same shape.
    """
    made: dict[int, Tensor] = {}
    undo: list[tuple[dict[str, Tensor | None], str, Tensor]] = []
    try:
        for path, module in network.named_modules():
            registries: tuple[dict[str, Tensor | None], ...] = (module._parameters, module._buffers)
            for registry in registries:
                for name, own in registry.items():
                    if own is None:
                        continue
                    if id(own) not in made:
                        new = value(f"{path}.{name}" if path else name, own.detach())
                        made[id(own)] = nn.Parameter(new, False) if isinstance(own, nn.Parameter) else new
                        made[id(own)].__dict__.update(own.__dict__)
                    undo.append((registry, name, own))
                    registry[name] = made[id(own)]
        yield
    finally:
        for registry, name, own in undo:
            registry[name] = own


def enlivened(own: Tensor, generator: torch.Generator) -> Tensor:
    """A parameter's values, or others where they show nothing: all the same (zeros, ones), as some start.

    A branch that is multiplied by zero would hide whatever happens in it.
    """
    first = own.reshape(-1)[:64]
    if not len(first) or (first != first[0]).any() or (own != first[0]).any():
        return own
    drawn = torch.rand(own.shape, generator=generator, dtype=torch.float64).to(own)
    if own.dim() < 2:
        return own * (1 + 0.2 * drawn) + 0.1 * drawn
    return own + (drawn - 0.5) / math.sqrt(max(1, own[0].numel()))


def opened(own: Tensor, generator: torch.Generator) -> Tensor:
    """Positive values of a size that keeps signals what they are: every path lets something through."""
    drawn = torch.rand(own.shape, generator=generator, dtype=torch.float64).to(own) + 0.5
    return drawn / max(1, own[0].numel()) if own.dim() > 1 else drawn
