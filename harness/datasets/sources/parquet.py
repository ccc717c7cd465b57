"""Images in parquet files, as Hugging Face lays them out.

A folder with train.parquet and test.parquet, or with shards named train-00000-of-00002.parquet and so on,
with a hash behind if there is one, or with folders train and test of shards 0000.parquet and so on; or with
such files in a folder `data`. Other files are not read. Columns are those that the study names, else
image{bytes, path} or img, and label or fine_label.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.datasets.base import DataError, DatasetSpec, Target
from harness.datasets.sources.base import RawData, RawPart, target_of
from harness.datasets.sources.pictures import Size, Stack, decode, decoder
from harness.datasets.sources.places import located
from harness.nearest import nearest

if TYPE_CHECKING:
    import pyarrow as pa

_SHARD = re.compile(r"(.+)-(\d+)-of-(\d+)(-[0-9a-f]+)?\.parquet")
#: Rows whose bytes are held at a time.
_ROWS = 1024
#: What a column is for -> its names in well-known data sets, the first that is there.
_USUAL = {"image": ("image", "img"), "label": ("label", "fine_label")}


@dataclass(frozen=True, slots=True)
class Parquet:
    """Pictures in parquet files, as Hugging Face lays them out.

    columns: {image: ..., label: ...}, where they have other names. test: what the test part is called, such
    as validation. resize: [height, width]. kind: what the labels are; unless said, whole numbers are classes
    and others numbers. Grey images keep one channel, all others become RGB; all must have one size.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    test: str = "test"
    resize: Size | None = None
    kind: Target | None = None

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        folder = _folder(spec, data_root)
        return [*_files(folder, "train"), *_files(folder, self.test), decoder()]

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        folder = _folder(spec, data_root)
        for use in self.columns:
            if use not in _USUAL:
                raise DataError(
                    f"data set {spec.name!r}, field 'columns': {use!r} found{nearest(use, _USUAL)}"
                )
        train, test = (self._read_part(_files(folder, part)) for part in ("train", self.test))
        target = target_of(train.y, self.kind)
        known = self._known_classes(_files(folder, "train")[0]) if target == "classes" else None
        return RawData(train, test, known, target)

    def _read_part(self, files: Sequence[Path]) -> RawPart:
        import pyarrow as pa
        import pyarrow.parquet as pq

        labels: list[Any] = []
        where = str(files[0]) if len(files) == 1 else f"{files[0].parent}, {files[0].name} and so on"
        pictures: Stack | None = None
        for file in files:
            row = 0
            try:
                if pictures is None:
                    pictures = Stack(sum(pq.ParquetFile(each).metadata.num_rows for each in files))
                reader = pq.ParquetFile(file)
                image, label = self._columns(file, reader.schema_arrow)
                for batch in reader.iter_batches(_ROWS, columns=[image, label]):
                    _check_labels(file, batch.column(label), label, row)
                    for data in _bytes(batch.column(image)):
                        place = f"{file}: column {image!r}, row {row}"
                        if data is None:
                            raise DataError(
                                f"{place}: no bytes found; images that are only named by a path are not read"
                            )
                        pictures.add(decode(data, place, self.resize), place)
                        row += 1
                    labels.append(batch.column(label).to_numpy(zero_copy_only=False))
            except (pa.ArrowException, OSError) as error:
                raise DataError(
                    f"{file}: not readable as parquet ({' '.join(str(error).split())}): truncated or damaged"
                ) from error
        x_field, y_field = f"{where}: column {image!r}", f"{where}: column {label!r}"
        if pictures is None or not labels:
            raise DataError(f"{x_field}: no rows found, at least one is needed")
        return RawPart(pictures.array(), np.concatenate(labels), x_field, y_field)

    def _columns(self, file: Path, schema: "pa.Schema") -> tuple[str, str]:
        """Names of the columns of images and labels, which are there and of a type that is read."""
        import pyarrow as pa

        named = []
        for use, usual in _USUAL.items():
            name = self.columns.get(use) or next((name for name in usual if name in schema.names), usual[0])
            if name not in schema.names:
                raise DataError(
                    f"{file}: no column {name!r} found, only {', '.join(schema.names) or 'none'}; "
                    f"`columns: {{{use}: ...}}` names another"
                )
            named.append(name)
        image, label = named
        held = schema.field(image).type
        if not pa.types.is_struct(held) or held.get_field_index("bytes") < 0:
            raise DataError(f"{file}: column {image!r} of type {held} found, a struct with 'bytes' is needed")
        held = schema.field(label).type
        if not (pa.types.is_integer(held) or pa.types.is_floating(held)):
            raise DataError(f"{file}: column {label!r} of type {held} found, numbers are allowed")
        return image, label

    def _known_classes(self, file: Path) -> int | None:
        """How many class names the file's Hugging Face metadata list, if they do.

        Whatever else stands there is taken for none: metadata are notes, and the labels are looked at anyhow.
        """
        import pyarrow.parquet as pq

        schema = pq.ParquetFile(file).schema_arrow
        try:
            found = json.loads((schema.metadata or {}).get(b"huggingface", b"null"))
        except ValueError:
            return None
        for step in ("info", "features", self._columns(file, schema)[1], "names"):
            found = found.get(step) if isinstance(found, dict) else None
        return len(found) if isinstance(found, list) and found else None


def _folder(spec: DatasetSpec, data_root: Path) -> Path:
    folder = located(spec, data_root)
    if not folder.is_dir():
        raise DataError(f"{folder}: a file found (data set {spec.name!r}, field 'path'), a folder is needed")
    inner = folder / "data"
    return inner if inner.is_dir() and not list(folder.glob("*.parquet")) else folder


def _files(folder: Path, part: str) -> list[Path]:
    whole = folder / f"{part}.parquet"
    if whole.is_file():
        return [whole]
    if numbered := sorted((folder / part).glob("*.parquet")):
        if [file.stem for file in numbered] != [f"{number:04}" for number in range(len(numbered))]:
            raise DataError(
                f"{folder / part}: {', '.join(file.name for file in numbered):.80} found, 0000.parquet to "
                f"{len(numbered) - 1:04}.parquet are needed"
            )
        return numbered
    shards: dict[tuple[int, int], Path] = {}
    for file in sorted(folder.iterdir()):
        match = _SHARD.fullmatch(file.name)
        if match and match[1] == part:
            place = int(match[3]), int(match[2])
            if place in shards:
                raise DataError(
                    f"{folder}: {shards[place].name} and {file.name} found, one of them is needed"
                )
            shards[place] = file
    if not shards:
        raise DataError(f"{folder}: neither {part}.parquet nor {part}-00000-of-00001.parquet and so on found")
    totals = sorted({total for total, _ in shards})
    if len(totals) > 1:
        raise DataError(f"{folder}: files {part}-*-of-*.parquet of {totals[0]} and of {totals[1]} found")
    if missing := [index for index in range(totals[0]) if (totals[0], index) not in shards]:
        raise DataError(
            f"{folder}: {len(shards)} of {totals[0]} files {part}-*-of-*.parquet found, "
            f"number {missing[0]} is missing"
        )
    return [shards[key] for key in sorted(shards)]


def _bytes(images: "pa.Array") -> list[bytes | None]:
    import pyarrow.compute as pc

    held: list[bytes | None] = pc.struct_field(images, "bytes").to_pylist()
    return held


def _check_labels(file: Path, labels: "pa.Array", name: str, start: int) -> None:
    """All labels of a batch are there, whose first row is row `start` of its file."""
    import pyarrow.compute as pc

    if labels.null_count:
        row = start + pc.index(labels.is_null(), True).as_py()
        raise DataError(f"{file}: column {name!r}, row {row}: nothing found, whole numbers are allowed")
