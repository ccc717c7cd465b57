"""Networks built to be looked at and not to be trained."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def imagined(make: Callable[[], T]) -> T:
    """What a function gives on torch's meta device, where networks of any size take no memory.

    Some networks compute with numbers while they are built, which that device has none of; where it fails
    there, the function is called again on the CPU. Torch's global generator is left as it is.
    """
    import torch

    def on(device: str) -> T:
        with torch.random.fork_rng(devices=[]), torch.device(device):
            return make()

    try:
        return on("meta")
    except Exception:  # noqa: BLE001 - of strangers' code: the CPU decides
        return on("cpu")
