"""MNIST and data sets in its layout: IDX files under ROOT/NAME/raw, fetched by torchvision if absent.

A file that is there only as it is published, NAME.gz, is read as it is.

The files are read here rather than by torchvision's class: that spares the planning process the import of
torch, and a truncated file gets a sentence that names it.
"""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.base import DataError, DatasetSpec
from harness.datasets.sources.base import RawData, RawPart
from harness.datasets.sources.downloads import fetch


@dataclass(frozen=True, slots=True)
class MnistLayout:
    """Grey images of 28×28 in ten classes, 60,000 for training and 10,000 for testing.

    class_name: torchvision's class, which also names the folder.
    """

    class_name: str

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        folder = Path(self.class_name, "raw")
        files = [folder / f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in _KINDS]
        if not all(_as_it_lies(data_root / file).is_file() for file in files):
            fetch(spec.source, self.class_name, data_root, files)
        return [_as_it_lies(data_root / file) for file in files]

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        folder = data_root / self.class_name / "raw"
        return RawData(_read_part(folder, "train"), _read_part(folder, "t10k"), classes=10)


#: A small file may unpack to more than there is memory.
_MOST_BYTES = 1 << 30
_KINDS = ("images-idx3", "labels-idx1")


def _read_part(folder: Path, part: str) -> RawPart:
    images, labels = (_as_it_lies(folder / f"{part}-{kind}-ubyte") for kind in _KINDS)
    return RawPart(_read_idx(images, 3)[:, None], _read_idx(labels, 1), str(images), str(labels))


def _as_it_lies(path: Path) -> Path:
    """The file, or its compressed form where only that is there."""
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.is_file() and not path.is_file() else path


def _read(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            data = file.read(_MOST_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: not readable as gzip ({error}): truncated or damaged") from error
    if len(data) > _MOST_BYTES:
        raise DataError(f"{path}: more than {_MOST_BYTES:,} bytes found when unpacked, no more are allowed")
    return data


def _read_idx(path: Path, axes: int) -> NDArray[Any]:
    """An array of unsigned bytes: two zero bytes, type 8, number of axes, big-endian lengths, values."""
    data = _read(path)
    start = 4 + 4 * axes
    if len(data) < start or data[:4] != bytes((0, 0, 8, axes)):
        raise DataError(
            f"{path}: the header {data[:4].hex(' ') or 'of an empty file'} found, "
            f"an IDX file of unsigned bytes with {axes} axes begins with 00 00 08 0{axes}"
        )
    shape = tuple(int(length) for length in np.frombuffer(data, ">i4", axes, 4))
    expected = start + int(np.prod(shape, dtype=np.int64))
    if len(data) != expected:
        raise DataError(
            f"{path}: {len(data):,} bytes found, {expected:,} are needed for an array of shape {shape}: "
            f"the file is {'truncated' if len(data) < expected else 'too long'}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
