"""A file of NumPy arrays: x_train, y_train, x_test, y_test.

x is uint8 or floating: [examples, features], grey images [examples, height, width], or
[examples, channels, ...], the channels first. y is [examples], whole numbers from 0.
"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.base import DataError, DatasetSpec
from harness.datasets.sources.base import RawData, RawPart

_NAMES = ("x_train", "y_train", "x_test", "y_test")
#: What NumPy raises on a file that is cut short, damaged, or no archive of plain arrays.
_UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


class Npz:
    """Reads one file; nothing in it is unpickled."""

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        path = _path(spec, data_root)
        if not path.is_file():
            raise DataError(
                f"{path}: no such file (data set {spec.name!r}, field 'path': {spec.path!r} found)"
            )
        return [path]

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        path = _path(spec, data_root)
        arrays = _read(path)
        fields = [f"{path}: array {name!r}" for name in _NAMES]
        return RawData(
            RawPart(_with_channels(arrays["x_train"], fields[0]), arrays["y_train"], *fields[:2]),
            RawPart(_with_channels(arrays["x_test"], fields[2]), arrays["y_test"], *fields[2:]),
        )


def _path(spec: DatasetSpec, data_root: Path) -> Path:
    assert spec.path is not None, "the registry asks formats for a path"
    return data_root / spec.path


def _read(path: Path) -> dict[str, NDArray[Any]]:
    what = "the file"
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(f"{path}: a single array found, an .npz archive of {', '.join(_NAMES)} is needed")
        with archive:
            if missing := [name for name in _NAMES if name not in archive]:
                raise DataError(
                    f"{path}: no array {missing[0]!r} found, only {', '.join(archive) or 'nothing'}; "
                    f"{', '.join(_NAMES)} are needed"
                )
            arrays = {}
            for name in _NAMES:
                what = f"array {name!r}"
                arrays[name] = archive[name]
            return arrays
    except DataError:
        raise
    except _UNREADABLE as error:
        raise DataError(
            f"{path}: {what} cannot be read ({error}): it is truncated or damaged, "
            f"or no .npz archive of arrays of numbers"
        ) from error


def _with_channels(x: NDArray[Any], field: str) -> NDArray[Any]:
    if x.ndim == 3:
        return x[:, None]
    # Square images whose colours come last would be taken for dozens of narrow channels, without a word.
    if x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] == x.shape[2] > 4:
        raise DataError(
            f"{field}: images of shape {x.shape[1:]} found, with the channels last; "
            f"channels first is allowed: {(x.shape[3], *x.shape[1:3])}"
        )
    return x
