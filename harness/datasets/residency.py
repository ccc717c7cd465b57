"""What of a data set is kept where: decided from its size and the memory there is, and said.

It changes no number: examples are the same to the last bit wherever they come from (see `on_demand`).
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.datasets.base import DatasetFacts

#: Of a machine's memory, or of what is free of a GPU's, that one data set may take.
SHARE = 0.5

#: normalised: ready for the network, as float32; on the CPU as files that are mapped into memory.
#: stored: on the device as the source has them, normalised batch by batch.
#: streamed: left in the cache's files as the source has them, moved and normalised batch by batch.
Place = Literal["normalised", "stored", "streamed"]


@dataclass(frozen=True, slots=True)
class Residence:
    """Where the examples of a data set are kept, and why: their size normalised, and what may be taken."""

    place: Place
    device: str
    normalised_bytes: int
    limit_bytes: int

    def sentence(self) -> str:
        """For the record and for readers."""
        size, limit = _amount(self.normalised_bytes), _amount(self.limit_bytes)
        if self.place == "normalised":
            where = "mapped into memory" if self.device == "cpu" else f"on {self.device}"
            return f"{size} normalised, {where} (up to {limit})"
        where = "read from the cache" if self.place == "streamed" else f"kept on {self.device}"
        return f"{size} normalised is more than {limit}: {where} as stored, normalised batch by batch"


def forecast(facts: DatasetFacts, is_resized: bool, on_gpu: bool) -> str:
    """What would be done with a data set on a machine like this one, for readers of a plan."""
    if is_resized:
        return "resized batch by batch"
    size = normalised_bytes(facts.example_shape, facts.train_examples + facts.test_examples)
    if on_gpu:
        return f"{_amount(size)} normalised, on the GPU if half of what is free there holds it"
    # What the source holds is no larger, and matters on a GPU alone.
    return choose("cpu", size, size, limit("cpu")).sentence()


def choose(device: str, normalised_bytes: int, stored_bytes: int, limit_bytes: int) -> Residence:
    """Where to keep a data set.

    Args:
        device: as torch writes it, "cpu" or "cuda:0".
        normalised_bytes: of all its parts as float32. stored_bytes: as the source has them.
        limit_bytes: that they may take (see `limit`).
    """
    place: Place = "streamed"
    if normalised_bytes <= limit_bytes:
        place = "normalised"
    elif device != "cpu" and stored_bytes < normalised_bytes and stored_bytes <= limit_bytes:
        place = "stored"
    return Residence(place, device, normalised_bytes, limit_bytes)


def limit(device: str, device_share: float = 1.0) -> int:
    """Bytes that a data set may take on a device.

    Args:
        device_share: of the device, that the asking process may use; others may fill the rest any moment.
    """
    if device.startswith("cuda"):
        import torch

        free, total = torch.cuda.mem_get_info(device)
        return int(SHARE * min(free, total * device_share))
    return int(SHARE * machine_bytes())


def machine_bytes() -> int:
    """Memory of this machine, or of the container that this process is held in."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        allowed = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:  # not Linux, or an older kind of container
        return found
    return min(found, int(allowed)) if allowed.isdigit() else found


def normalised_bytes(example_shape: tuple[int, ...], examples: int) -> int:
    """Of so many examples as float32."""
    return 4 * math.prod(example_shape) * examples


def _amount(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 2**10:.1f} KiB"
