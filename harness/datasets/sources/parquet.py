"""Images in parquet files, as Hugging Face lays them out.

A folder with train.parquet and test.parquet, or with shards named train-00000-of-00002.parquet and so on;
columns image{bytes, path} and label. Other files of the folder are not read.

Images are decoded by one thread, about 7,000 small JPEG files a second: Pillow holds the interpreter's lock
while it decodes, and four threads took longer than one.
"""

import io
import json
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.base import DataError, DatasetSpec
from harness.datasets.sources.base import RawData, RawPart

if TYPE_CHECKING:
    import pyarrow as pa

_SHARD = re.compile(r"(train|test)-(\d+)-of-(\d+)\.parquet")
#: Rows whose bytes are held at a time.
_ROWS = 1024
#: Formats that are opened. Pillow knows dozens more, among them EPS, which it hands to Ghostscript: a program
#: in a picture, with the run of the disk.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
#: Pixels of more than 8 bits, which a conversion to RGB would cut off.
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "F")


class Parquet:
    """Grey images keep one channel, all others become RGB; all must have one size."""

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        folder = _folder(spec, data_root)
        # Decoders differ in last bits from version to version.
        return [*_files(folder, "train"), *_files(folder, "test"), f"Pillow {version('pillow')}"]

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        folder = _folder(spec, data_root)
        train, test = (_read_part(_files(folder, part)) for part in ("train", "test"))
        return RawData(train, test, classes=_known_classes(_files(folder, "train")[0]))


def _folder(spec: DatasetSpec, data_root: Path) -> Path:
    assert spec.path is not None, "the registry asks formats for a path"
    folder = data_root / spec.path
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder (data set {spec.name!r}, field 'path': {spec.path!r} found)"
        )
    return folder


def _files(folder: Path, part: str) -> list[Path]:
    whole = folder / f"{part}.parquet"
    if whole.is_file():
        return [whole]
    shards = {
        (int(match[2]), int(match[3])): file
        for file in folder.iterdir()
        if (match := _SHARD.fullmatch(file.name)) and match[1] == part
    }
    if not shards:
        raise DataError(f"{folder}: neither {part}.parquet nor {part}-00000-of-00001.parquet and so on found")
    total = max(shards)[1]
    if missing := [index for index in range(total) if (index, total) not in shards]:
        raise DataError(
            f"{folder}: {len(shards)} of {total} files {part}-*-of-*.parquet found, "
            f"number {missing[0]} is missing"
        )
    return [shards[key] for key in sorted(shards)]


def _read_part(files: Sequence[Path]) -> RawPart:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images: list[NDArray[np.uint8]] = []
    labels: list[NDArray[Any]] = []
    for file in files:
        row = 0
        try:
            reader = pq.ParquetFile(file)
            _check_columns(file, reader.schema_arrow)
            for batch in reader.iter_batches(_ROWS, columns=["image", "label"]):
                images.append(_decode_batch(file, batch, row))
                labels.append(batch.column("label").to_numpy(zero_copy_only=False))
                row += len(batch)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{file}: not readable as parquet ({' '.join(str(error).split())}): truncated or damaged"
            ) from error
    where = str(files[0]) if len(files) == 1 else f"{files[0].parent}, {files[0].name} and so on"
    x_field, y_field = f"{where}: column 'image'", f"{where}: column 'label'"
    if not images:
        raise DataError(f"{x_field}: no rows found, at least one is needed")
    return RawPart(_joined(images, x_field), np.concatenate(labels), x_field, y_field)


def _check_columns(file: Path, schema: "pa.Schema") -> None:
    import pyarrow as pa

    for name in ("image", "label"):
        if name not in schema.names:
            raise DataError(f"{file}: no column {name!r} found, only {', '.join(schema.names) or 'none'}")
    image = schema.field("image").type
    if not pa.types.is_struct(image) or image.get_field_index("bytes") < 0:
        raise DataError(f"{file}: column 'image' of type {image} found, a struct with 'bytes' is needed")
    if not pa.types.is_integer(schema.field("label").type):
        raise DataError(
            f"{file}: column 'label' of type {schema.field('label').type} found, whole numbers are allowed"
        )


def _decode_batch(file: Path, batch: "pa.RecordBatch", start: int) -> NDArray[np.uint8]:
    """Images [rows, channels, height, width] of a batch whose first row is row `start` of its file."""
    import pyarrow.compute as pc

    if batch.column("label").null_count:
        row = start + pc.index(batch.column("label").is_null(), True).as_py()
        raise DataError(f"{file}: column 'label', row {row}: nothing found, whole numbers are allowed")
    column = pc.struct_field(batch.column("image"), "bytes").to_pylist()
    images = [_decode(data, f"{file}: column 'image', row {row}") for row, data in enumerate(column, start)]
    shape = images[0].shape[1:]
    for row, image in enumerate(images, start):
        if image.shape[1:] != shape:
            raise DataError(
                f"{file}: column 'image', row {row}: an image of {image.shape[2]}×{image.shape[1]} found, "
                f"{shape[1]}×{shape[0]} like the others is needed"
            )
    channels = max(len(image) for image in images)
    return np.stack([np.broadcast_to(image, (channels, *shape)) for image in images])


def _decode(data: bytes | None, where: str) -> NDArray[np.uint8]:
    """One image as [channels, height, width]."""
    from PIL import Image, UnidentifiedImageError

    if data is None:
        raise DataError(f"{where}: no bytes found; images that are only named by a path are not read")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.mode in _DEEP_MODES:
                raise DataError(f"{where}: an image of mode {image.mode} found, 8 bits a channel are allowed")
            if image.mode in ("1", "L", "LA"):
                return np.asarray(image if image.mode == "L" else image.convert("L"))[None]
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB")).transpose(2, 0, 1)
    except UnidentifiedImageError as error:
        raise DataError(f"{where}: no image found; formats that are read: {', '.join(_FORMATS)}") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: not readable as an image ({error}): truncated or damaged") from error


def _joined(images: list[NDArray[np.uint8]], field: str) -> NDArray[np.uint8]:
    """One array of all batches; grey images among coloured ones get three equal channels."""
    shapes = {batch.shape[2:] for batch in images}
    if len(shapes) > 1:
        found = ", ".join(f"{width}×{height}" for height, width in sorted(shapes))
        raise DataError(f"{field}: images of {found} found, one size is needed")
    channels = max(batch.shape[1] for batch in images)
    return np.concatenate([np.broadcast_to(b, (len(b), channels, *b.shape[2:])) for b in images])


def _known_classes(file: Path) -> int | None:
    """How many class names the file's Hugging Face metadata list, if it has any."""
    import pyarrow.parquet as pq

    noted = (pq.ParquetFile(file).schema_arrow.metadata or {}).get(b"huggingface")
    if noted is None:
        return None
    names = json.loads(noted).get("info", {}).get("features", {}).get("label", {}).get("names")
    return len(names) if names else None
