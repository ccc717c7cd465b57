"""What a trial finds set in its process, and what it must leave as it was.

Much of a process belongs to everything that runs in it: torch's default type, the number of its threads, the
environment. What a method sets there would change the trials that come after it in the same worker, and so a
score would depend on who ran before. The one rule: after a trial all of this is as it was before.
"""

import gc
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

#: Half of the smallest normal double: zero in whatever computes with it, if such numbers are flushed.
_DENORMAL = sys.float_info.min / 2


@dataclass(frozen=True, slots=True)
class _Shared:
    """A setting of the whole process: how it is called, read, and put back."""

    name: str
    read: Callable[[], Any]
    put_back: Callable[[Any], object]


def seed_all(seed: int) -> None:
    """Begin the generators that all of a process shares; methods should draw from none of them, and may."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def changes_since(before: dict[str, Any]) -> list[str]:
    """Names of the settings that are not what `settings` found before."""
    now = settings()
    return [name for name, value in before.items() if now[name] != value]


def settings() -> dict[str, Any]:
    """Name -> value of every setting that a trial must leave as it was, but for the generators."""
    return {shared.name: shared.read() for shared in _ALL}


@contextmanager
def kept() -> Iterator[None]:
    """Whatever the block sets in the process is as before when it has ended, random generators too."""
    before = settings()
    states = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        for shared in _ALL:
            if shared.read() != before[shared.name]:
                shared.put_back(before[shared.name])
        torch.random.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])


def _flushes() -> bool:
    return bool((torch.tensor(_DENORMAL, dtype=torch.float64, device="cpu") * 1).item() == 0)


def _set_device(device: torch.device) -> None:
    # The processor is where torch works if nobody has said anything, and that is faster than saying it.
    torch.set_default_device(None if device.type == "cpu" else device)


def _warning_filters() -> tuple[list[Any], Any]:
    return list(warnings.filters), warnings.showwarning


def _set_warning_filters(before: tuple[list[Any], Any]) -> None:
    warnings.resetwarnings()  # which has Python forget what it has decided by the filters
    filters: Any = warnings.filters
    filters.extend(before[0])
    warnings.showwarning = before[1]


def _set_environment(before: dict[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # somebody has removed it; there is no way back into it
        return None


def _set_folder(before: str | None) -> None:
    if before is not None:
        os.chdir(before)


def _cudnn() -> tuple[bool, bool, bool]:
    backend = torch.backends.cudnn
    return backend.enabled, backend.benchmark, backend.deterministic


def _set_cudnn(before: tuple[bool, bool, bool]) -> None:
    backend = torch.backends.cudnn
    backend.enabled, backend.benchmark, backend.deterministic = before


def _determinism() -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


#: How products are rounded is not among them: `harness.training.precision` sets that, and sets it back.
_ALL = (
    _Shared("torch's default type", torch.get_default_dtype, torch.set_default_dtype),
    _Shared("torch's default device", torch.get_default_device, _set_device),
    _Shared("torch's threads", torch.get_num_threads, torch.set_num_threads),
    _Shared("torch's flushing of denormal numbers", _flushes, torch.set_flush_denormal),
    _Shared("torch's gradients", torch.is_grad_enabled, torch.set_grad_enabled),
    _Shared(
        "torch's detection of anomalies",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda before: torch.autograd.set_detect_anomaly(*before),
    ),
    _Shared(
        "torch's deterministic algorithms",
        _determinism,
        lambda before: torch.use_deterministic_algorithms(before[0], warn_only=before[1]),
    ),
    _Shared("torch's cuDNN", _cudnn, _set_cudnn),
    _Shared("NumPy's handling of errors", np.geterr, lambda before: np.seterr(**before)),
    _Shared("filters of warnings", _warning_filters, _set_warning_filters),
    _Shared("environment variables", lambda: dict(os.environ), _set_environment),
    _Shared("the working folder", _folder, _set_folder),
    _Shared("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    _Shared("garbage collection", gc.isenabled, lambda before: gc.enable() if before else gc.disable()),
)
