"""The most memory that a trial held."""

import sys
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
#: Writing 5 here has Linux forget the highest mark of the process's memory (man 5 proc).
_FORGET = Path("/proc/self/clear_refs")


def begin(device: torch.device) -> None:
    """Forget what was held before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        _FORGET.write_text("5")
    except OSError:
        return  # other systems, and containers that forbid it: the mark is then that of the whole process


def peak_bytes(device: torch.device) -> int | None:
    """The most bytes held since `begin`: of torch's allocator on a GPU, else of the whole process, with the
    libraries and the data it has loaded. None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return _of_whole_process()
    marks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(marks[0]) * 1024 if marks else None


def _of_whole_process() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
