"""Files of few bytes that unfold to more than there is memory, and what is no file: refused at once."""

import gzip
import io
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from harness.datasets.base import DataError, DatasetSpec
from harness.datasets.preparation import decoded

Make = Callable[[Path], DatasetSpec]


def _spec(source: str, path: Path, **settings: object) -> DatasetSpec:
    return DatasetSpec("mine", source, str(path), settings, None)


def _header(shape: tuple[int, ...]) -> bytes:
    held = io.BytesIO()
    np.lib.format.write_array_header_1_0(held, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return held.getvalue()


def _npz(path: Path, member: Callable[[zipfile.ZipFile], None]) -> DatasetSpec:
    file = path / "mine.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        member(archive)
        for name in ("y_train", "x_test", "y_test"):
            with archive.open(f"{name}.npy", "w") as held:
                np.lib.format.write_array(held, np.zeros(4, np.int64))
    return _spec("npz", file)


def _declares_a_terabyte(path: Path) -> DatasetSpec:
    header = _header((250_000, 1_000_000))
    return _npz(path, lambda archive: archive.writestr("x_train.npy", header))


def _odd_header(path: Path) -> DatasetSpec:
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'shape': (" + b"(" * 88
    return _npz(path, lambda archive: archive.writestr("x_train.npy", header))


def _png(side: int) -> bytes:
    held = io.BytesIO()
    Image.new("1", (side, side)).save(held, "PNG")
    return held.getvalue()


def _large_picture(path: Path) -> DatasetSpec:
    for part in ("train", "test"):
        for name in "ab":
            folder = path / "pictures" / part / name
            folder.mkdir(parents=True)
            (folder / "1.png").write_bytes(_png(9_500 if (part, name) == ("train", "a") else 8))
    return _spec("images", path / "pictures")


def _many_pictures(path: Path) -> DatasetSpec:
    image = {"bytes": _png(1_000), "path": None}
    table = pa.table({"image": pa.array([image] * 10_000), "label": pa.array([1] * 10_000)})
    for part in ("train", "test"):
        pq.write_table(table, path / f"{part}.parquet")
    return _spec("parquet", path)


def _packed_table(path: Path) -> DatasetSpec:
    with gzip.open(path / "t.csv.gz", "wb") as file:
        file.write(b"a,b\n")
        file.write(b"0,1\n" * 1_000_000)
    return _spec("table", path / "t.csv.gz", target="b", test_fraction=0.5)


def _long_table(path: Path) -> DatasetSpec:
    table = pa.table({"a": pa.array(np.zeros(2_000_000)), "b": pa.array(np.ones(2_000_000, np.int64))})
    pq.write_table(table, path / "t.parquet")
    return _spec("table", path / "t.parquet", target="b", test_fraction=0.5)


def _pipe(path: Path) -> DatasetSpec:
    for name in "ab":
        (path / name).mkdir()
        os.mkfifo(path / name / "1.png")
    return _spec("images", path, test_fraction=0.5)


CASES: dict[str, tuple[Make, str]] = {
    "an array of a terabyte": (
        _declares_a_terabyte,
        r"says that it has 1,000,000,000,000 bytes, and holds",
    ),
    "an odd header": (_odd_header, "cannot be read"),
    "a picture of 90 million pixels": (_large_picture, r"a/1\.png: .*pixels"),
    "many pictures in few bytes": (
        _many_pictures,
        r"unpacked to 10,000,000,000 bytes, more than",
    ),
    "a table that unfolds": (_packed_table, "unpacked to more than 1,000,000 bytes, 100 times its size"),
    "a table of one value": (_long_table, "unpacked to 32,000,000 bytes, more than the 1,000,000 of this"),
    "a pipe": (_pipe, r"1\.png: neither a file nor a link to one found"),
}


@pytest.mark.parametrize("what", CASES)
def test_what_unfolds_beyond_memory_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    make, told = CASES[what]
    spec = make(tmp_path)
    monkeypatch.setattr("harness.datasets.sources.extent.machine_bytes", lambda: 1_000_000)
    monkeypatch.setattr("harness.datasets.sources.columns._SMALL_BYTES", 1_000_000)
    began = time.process_time()
    with pytest.raises(DataError, match=told):
        decoded(spec, tmp_path)
    assert time.process_time() - began < 2
