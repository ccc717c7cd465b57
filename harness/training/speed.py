"""Latency and throughput of networks on this machine, side by side."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from harness.sizing.gates.units import fold_gates
from harness.surgery.tracing.computed import copied
from harness.training.fault import strangers
from harness.trial_table import TIMED_BATCH_SIZES

#: A repeat lasts about this long: far above what the clock can tell apart.
_REPEAT_SECONDS = 0.004
_WARM_UP_SECONDS = 0.1
#: Large networks get fewer repeats than asked for once a batch size has taken this long, but no fewer than 5.
_PATIENCE_SECONDS = 20.0
_FEWEST_REPEATS = 5


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a network is. Times are of one call: the median of the repeats, and its quartiles.

    threads: of torch, within an operation. throughput: examples a second at the median.
    """

    network: str
    device: str
    threads: int
    batch_size: int
    repeats: int
    latency_ms: float
    latency_quartiles_ms: tuple[float, float]
    throughput: float


def measure_speed(
    networks: Mapping[str, nn.Module],
    example_shape: tuple[int, ...],
    device: torch.device,
    *,
    batch_sizes: Sequence[int] = TIMED_BATCH_SIZES,
    repeats: int = 31,
) -> list[Speed]:
    """Time forward passes in evaluation mode, on random input of its own generator.

    The networks take turns within every repeat, so that a change of the machine's load meets them all alike.

    Args:
        networks: name -> network; each is left in evaluation mode on the device.
        example_shape: of one example, without the batch axis.
        repeats: wanted; large networks get fewer.

    Raises:
        TrialFaultError: for whatever a network raises.
    """
    with strangers:
        for network in networks.values():
            network.to(device).eval()
    speeds, generator = [], torch.Generator(device).manual_seed(0)
    with torch.inference_mode():
        for batch_size in batch_sizes:
            x = torch.randn(batch_size, *example_shape, generator=generator, device=device)
            calls = {name: _warm_up(network, x) for name, network in networks.items()}
            times: dict[str, list[float]] = {name: [] for name in networks}
            give_up = time.perf_counter() + _PATIENCE_SECONDS
            for done in range(repeats):
                if done >= _FEWEST_REPEATS and time.perf_counter() > give_up:
                    break
                for name, network in networks.items():
                    times[name].append(_seconds(network, x, calls[name]) / calls[name])
            for name in networks:
                low, median, high = (float(value) for value in np.quantile(times[name], (0.25, 0.5, 0.75)))
                speeds.append(
                    Speed(
                        network=name,
                        device=str(device),
                        threads=torch.get_num_threads(),
                        batch_size=batch_size,
                        repeats=len(times[name]),
                        latency_ms=1e3 * median,
                        latency_quartiles_ms=(1e3 * low, 1e3 * high),
                        throughput=batch_size / median,
                    )
                )
    return speeds


def latencies_ms(
    network: nn.Module, example_shape: tuple[int, ...], device: torch.device
) -> Iterator[tuple[int, float]]:
    """Batch size -> median milliseconds of a forward pass of a trained network once its gates are folded in.

    A batch size at a time, so that what was measured stands if a larger batch fails.

    Args:
        network: as training left it; stays as it is.
        example_shape: of one example, without the batch axis.

    Raises:
        TrialFaultError: for whatever the network raises.
    """
    with strangers:
        folded = copied(network)
        fold_gates(folded)
    for batch_size in TIMED_BATCH_SIZES:
        [speed] = measure_speed({"": folded}, example_shape, device, batch_sizes=(batch_size,))
        yield batch_size, speed.latency_ms


def _warm_up(network: nn.Module, x: Tensor) -> int:
    """Call until caches, allocators and kernels are ready; how many calls a repeat shall have."""
    shortest, spent = math.inf, 0.0
    while spent < _WARM_UP_SECONDS:
        seconds = _seconds(network, x, 1)
        shortest, spent = min(shortest, seconds), spent + seconds
    return max(1, math.ceil(_REPEAT_SECONDS / shortest))


def _seconds(network: nn.Module, x: Tensor, calls: int) -> float:
    """How long some calls take, their last result included."""
    _wait(x.device)
    start = time.perf_counter()
    with strangers:
        for _ in range(calls):
            network(x)
        _wait(x.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
