"""Networks that a description declares, made only if this machine can hold them."""

from collections.abc import Callable

from torch import nn

from harness.architectures.imagined import imagined
from harness.datasets.residency import machine_bytes


def made_within_memory(make: Callable[[], nn.Module], what: str) -> nn.Module:
    """What a function makes, after a look at what it would take.

    Args:
        what: how messages call it.

    Raises:
        ValueError: if its parameters and buffers take more than this machine's memory.
    """
    seen = imagined(make)
    needed = sum(
        tensor.numel() * tensor.element_size()
        for each in (seen.parameters(), seen.buffers())
        for tensor in each
    )
    there = machine_bytes()
    if needed > there:
        raise ValueError(
            f"{what} would take {needed:,} bytes, more than the {there:,} of this machine's memory"
        )
    return make()
