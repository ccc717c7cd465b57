"""Statistics of the training part, and arrays normalised by them, in bounded memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Values worked on at once in double precision (4 MB).
_CHUNK = 1 << 19

Floats = NDArray[np.float64]


def channel_statistics(x: NDArray[Any], indices: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each channel, over the chosen examples and all positions.

    The channel is the axis after the examples: the colours of an image, each single feature of a table.
    A channel that never changes gets a standard deviation of 1: normalised, it is 0 everywhere.

    Args:
        x: [examples, channels, ...], any real type.
        indices: the examples that count.

    Returns:
        Two arrays [channels], in the units of x.
    """
    axes = (0, *range(2, x.ndim))
    values = len(indices) * (x[0].size // x.shape[1])
    mean = sum((chunk.sum(axis=axes) for chunk in _chunks(x, indices)), np.zeros(x.shape[1])) / values
    centre = _along_channels(mean, x.ndim)
    squares = (np.square(chunk - centre).sum(axis=axes) for chunk in _chunks(x, indices))
    std = np.sqrt(sum(squares, np.zeros(x.shape[1])) / values)
    # Rounding leaves a constant channel a spread of a few last digits of its value.
    constant = std <= 1e-12 * np.abs(mean)
    return mean, np.where(constant, 1.0, std)


def write_normalised(
    path: Path, x: NDArray[Any], indices: NDArray[np.intp], mean: Floats, std: Floats
) -> None:
    """Write (x[indices] - mean) / std as float32 to an .npy file.

    Written as a stream, not through a memory map, where a full disk would kill the process without a word.
    """
    mean, std = _along_channels(mean, x.ndim), _along_channels(std, x.ndim)
    header = {"descr": "<f4", "fortran_order": False, "shape": (len(indices), *x.shape[1:])}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in _chunks(x, indices):
            chunk -= mean
            chunk /= std
            file.write(chunk.astype("<f4").data)


def _chunks(x: NDArray[Any], indices: NDArray[np.intp]) -> Iterator[Floats]:
    step = max(1, _CHUNK // x[0].size)
    for start in range(0, len(indices), step):
        yield x[indices[start : start + step]].astype(np.float64)


def _along_channels(values: Floats, axes: int) -> Floats:
    return values.reshape(1, -1, *(1,) * (axes - 2))
