"""A file of NumPy arrays: x_train, y_train, x_test, y_test.

x is uint8 or floating: [examples, features], grey images [examples, height, width], or
[examples, channels, ...]; channels may come last where that is plain or said. y is [examples], whole numbers
from 0 for classes, or numbers of any shape.
"""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.datasets.base import DataError, DatasetSpec, Target
from harness.datasets.sources.base import RawData, RawPart, target_of
from harness.datasets.sources.extent import check_extent
from harness.datasets.sources.places import located

_NAMES = ("x_train", "y_train", "x_test", "y_test")
#: What NumPy raises on a file that is cut short, damaged, or no archive of plain arrays.
_UNREADABLE = (
    *(OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
    *(SyntaxError, tokenize.TokenError, MemoryError, OverflowError, TypeError, KeyError),  # of odd headers
)


@dataclass(frozen=True, slots=True)
class Npz:
    """Arrays x_train, y_train, x_test and y_test in one .npz file; nothing in it is unpickled.

    channels: which axis of x they are, the first after the examples or the last. kind: what y holds; unless
    said, whole numbers are classes and others numbers.
    """

    channels: Literal["first", "last"] | None = None
    kind: Target | None = None

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        path = located(spec, data_root)
        if not path.is_file():
            raise DataError(f"{path}: no file (data set {spec.name!r}, field 'path': {spec.path!r} found)")
        return [path, "targets of both kinds"]  # which earlier versions would take for classes

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        path = located(spec, data_root)
        arrays = _read(path)
        fields = [f"{path}: array {name!r}" for name in _NAMES]
        train, test = (
            _channels_first(arrays[name], self.channels, f"{path}: array {name!r}")
            for name in ("x_train", "x_test")
        )
        return RawData(
            RawPart(train, arrays["y_train"], *fields[:2]),
            RawPart(test, arrays["y_test"], *fields[2:]),
            target=target_of(arrays["y_train"], self.kind),
        )


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
            assert archive.zip is not None, "it is open"
            declared = 0
            for name in _NAMES:
                what = f"array {name!r}"
                declared += _declared(path, archive.zip, name)
            check_extent(str(path), declared)
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


def _declared(path: Path, archive: zipfile.ZipFile, name: str) -> int:
    """Bytes that an array says it has, which must be there: a header of a line may ask for a terabyte."""
    member = archive.getinfo(f"{name}.npy") if f"{name}.npy" in archive.namelist() else archive.getinfo(name)
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    declared = math.prod(shape) * dtype.itemsize
    if declared > member.file_size:
        raise DataError(
            f"{path}: array {name!r} says that it has {declared:,} bytes, and holds {member.file_size:,}"
        )
    return declared


def _channels_first(x: NDArray[Any], said: str | None, field: str) -> NDArray[Any]:
    if said is not None:
        if x.ndim < 3:
            raise DataError(f"{field}: an array of shape {x.shape} found, which has no axis of channels")
        return np.moveaxis(x, -1, 1) if said == "last" else x
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[3] in (1, 3, 4) and min(x.shape[1:3]) > 4:
        if x.shape[1] == x.shape[2]:
            return np.moveaxis(x, -1, 1)
        # Taken for channels first, images whose colours come last are dozens of narrow channels.
        raise DataError(
            f"{field}: examples of shape {x.shape[1:]} found, whose channels may be the {x.shape[1]} or the "
            f"{x.shape[3]}; `channels: first` or `channels: last` is needed"
        )
    return x
