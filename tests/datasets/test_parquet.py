"""Images in parquet files: read as they are, refused in one sentence."""

import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from harness.datasets import DatasetSpec, prepare
from harness.datasets.preparation import decoded
from tests.datasets.kinds import Refusal

#: Makes something wrong in the folder; what it returns is nobody's business.
Spoil = Callable[[Path], object]


def _encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def _write(
    file: Path,
    images: list[Any],
    labels: list[Any],
    metadata: dict[bytes, bytes] | None = None,
    names: tuple[str, str] = ("image", "label"),
) -> None:
    struct = pa.array(
        [{"bytes": data, "path": None} for data in images],
        pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    )
    table = pa.table(dict(zip(names, (struct, pa.array(labels)), strict=True)))
    pq.write_table(table.replace_schema_metadata(metadata), file)


RNG = np.random.default_rng(0)
COLOUR = [RNG.integers(0, 256, (5, 6, 3), dtype=np.uint8) for _ in range(6)]
IMAGES = [_encoded(pixels) for pixels in COLOUR]
LABELS = [0, 1, 2, 0, 1, 2]
PARQUET = DatasetSpec("pictures", "parquet", "pictures")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    _write(folder / "train.parquet", IMAGES, LABELS)
    _write(folder / "test.parquet", IMAGES, LABELS)
    return folder


def test_pictures_keep_their_pixels(pictures: Path, cache: Path, tmp_path: Path) -> None:
    x = decoded(PARQUET, tmp_path, cache).array("x_train")
    np.testing.assert_array_equal(x, np.stack(COLOUR).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_formats_that_lose_nothing(pictures: Path, cache: Path, tmp_path: Path, kind: str) -> None:
    _write(pictures / "train.parquet", [_encoded(pixels, kind) for pixels in COLOUR], LABELS)
    x = decoded(PARQUET, tmp_path, cache).array("x_train")
    np.testing.assert_array_equal(x, np.stack(COLOUR).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_formats_that_lose_something(pictures: Path, cache: Path, tmp_path: Path, kind: str) -> None:
    _write(pictures / "train.parquet", [_encoded(pixels, kind) for pixels in COLOUR], LABELS)
    assert decoded(PARQUET, tmp_path, cache).array("x_train").shape == (6, 3, 5, 6)


def test_shards_are_joined_in_their_order(pictures: Path, cache: Path, tmp_path: Path) -> None:
    whole = prepare(PARQUET, tmp_path, cache)
    (pictures / "train.parquet").unlink()
    _write(pictures / "train-00001-of-00002.parquet", IMAGES[4:], LABELS[4:])
    _write(pictures / "train-00000-of-00002.parquet", IMAGES[:4], LABELS[:4])
    assert prepare(PARQUET, tmp_path, cache) == whole


def test_grey_pictures_have_one_channel_and_join_coloured_ones(
    pictures: Path, cache: Path, tmp_path: Path
) -> None:
    grey = [_encoded(pixels[..., 0]) for pixels in COLOUR]
    _write(pictures / "train.parquet", grey, LABELS)
    _write(pictures / "test.parquet", grey, LABELS)
    assert prepare(PARQUET, tmp_path, cache).example_shape == (1, 5, 6)
    _write(pictures / "train.parquet", [*grey[:5], IMAGES[5]], LABELS)
    _write(pictures / "test.parquet", IMAGES, LABELS)
    assert prepare(PARQUET, tmp_path, cache).example_shape == (3, 5, 6)


@pytest.mark.parametrize(
    ("names", "said"),
    [(("img", "fine_label"), {}), (("photo", "kind"), {"columns": {"image": "photo", "label": "kind"}})],
)
def test_columns_of_other_names(
    pictures: Path, cache: Path, tmp_path: Path, names: tuple[str, str], said: dict[str, Any]
) -> None:
    facts = prepare(PARQUET, tmp_path, cache)
    for part in ("train", "test"):
        _write(pictures / f"{part}.parquet", IMAGES, LABELS, names=names)
    assert prepare(replace(PARQUET, settings=said), tmp_path, cache) == facts


def test_shards_with_a_hash_behind_in_a_folder_of_data(pictures: Path, cache: Path, tmp_path: Path) -> None:
    facts = prepare(PARQUET, tmp_path, cache)
    (pictures / "data").mkdir()
    for part in ("train", "test"):
        (pictures / f"{part}.parquet").rename(pictures / "data" / f"{part}-00000-of-00001-8ba9c05f4.parquet")
    assert prepare(PARQUET, tmp_path, cache) == facts


def test_shards_in_a_folder_of_their_part_and_a_test_part_of_another_name(
    pictures: Path, cache: Path, tmp_path: Path
) -> None:
    facts = prepare(PARQUET, tmp_path, cache)
    for part, folder in (("train", "train"), ("test", "validation")):
        (pictures / folder).mkdir()
        (pictures / f"{part}.parquet").rename(pictures / folder / "0000.parquet")
    assert prepare(replace(PARQUET, settings={"test": "validation"}), tmp_path, cache) == facts


@pytest.mark.parametrize("notes", [b"null", b'{"info": null}', b"{", b"[]", b'{"info": {"features": [1]}}'])
def test_odd_metadata_are_none(pictures: Path, cache: Path, tmp_path: Path, notes: bytes) -> None:
    _write(pictures / "train.parquet", IMAGES, LABELS, {b"huggingface": notes})
    assert prepare(PARQUET, tmp_path, cache).outputs == 3


def test_pictures_are_turned_as_they_say(pictures: Path, cache: Path, tmp_path: Path) -> None:
    tag = Image.Exif()
    tag[0x112] = 6  # to be turned by a quarter, clockwise
    turned = []
    for pixels in COLOUR:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", exif=tag)
        turned.append(buffer.getvalue())
    _write(pictures / "train.parquet", turned, LABELS)
    _write(pictures / "test.parquet", turned, LABELS)
    x = decoded(PARQUET, tmp_path, cache).array("x_train")
    np.testing.assert_array_equal(x, np.rot90(np.stack(COLOUR), -1, (1, 2)).transpose(0, 3, 1, 2))


def test_pictures_of_many_sizes_are_brought_to_one(pictures: Path, cache: Path, tmp_path: Path) -> None:
    _write(pictures / "train.parquet", [*IMAGES[:5], _encoded(COLOUR[0][:4])], LABELS)
    assert prepare(replace(PARQUET, settings={"resize": [4, 3]}), tmp_path, cache).example_shape == (3, 4, 3)


@pytest.mark.parametrize("limit", [20, 10])  # Pillow warns above its limit, and refuses above twice of it
def test_a_picture_of_more_pixels_than_are_safe(
    pictures: Path, refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert f"row 0: an image of more than {limit} pixels found" in refusal(PARQUET, tmp_path)


def _bad(**changes: Any) -> Spoil:
    arguments: dict[str, Any] = {"images": IMAGES, "labels": LABELS} | changes
    return lambda folder: _write(folder / "train.parquet", **arguments)


def _without(column: str) -> Spoil:
    def write(folder: Path) -> None:
        table = pq.read_table(folder / "train.parquet").drop_columns([column])
        pq.write_table(table, folder / "train.parquet")

    return write


NAMES = {b"huggingface": json.dumps({"info": {"features": {"label": {"names": ["a", "b"]}}}}).encode()}

BAD_PICTURES: dict[str, tuple[Spoil, str]] = {
    "truncated file": (
        lambda folder: os.truncate(folder / "train.parquet", 700),
        r"FILE: not readable as parquet \(.+\): truncated or damaged",
    ),
    "truncated image": (
        _bad(images=[*IMAGES[:3], IMAGES[3][:60], *IMAGES[4:]]),
        r"FILE: column 'image', row 3: not readable as an image \(.+\): truncated or damaged",
    ),
    "no image": (
        _bad(images=[b"text", *IMAGES[1:]]),
        r"FILE: column 'image', row 0: no image found; formats that are read: PNG, JPEG, .+",
    ),
    "a program in a picture": (
        _bad(images=[*IMAGES[:2], _encoded(COLOUR[0], "EPS"), *IMAGES[3:]]),
        r"FILE: column 'image', row 2: no image found; formats that are read: .+",
    ),
    "a format that is not read": (
        _bad(images=[*IMAGES[:2], _encoded(COLOUR[0], "PPM"), *IMAGES[3:]]),
        r"FILE: column 'image', row 2: no image found; formats that are read: .+",
    ),
    "image without bytes": (
        _bad(images=[*IMAGES[:5], None]),
        r"FILE: column 'image', row 5: no bytes found; .+",
    ),
    "two sizes": (
        _bad(images=[*IMAGES[:5], _encoded(COLOUR[0][:4])]),
        r"FILE: column 'image', row 5: an image of 6×4 found, 6×5 like the others is needed; "
        r"`resize: \[5, 6\]` brings all to one size",
    ),
    "16 bits": (
        _bad(images=[_encoded(np.zeros((5, 6), dtype=np.uint16)), *IMAGES[1:]]),
        r"FILE: column 'image', row 0: an image of mode I;16 found, 8 bits a channel are allowed",
    ),
    "fractional label": (
        lambda folder: _write(folder / "test.parquet", IMAGES, [0.5, *LABELS[1:]]),
        r"pictures/test.parquet: column 'label': labels of type float64 found, whole numbers are allowed",
    ),
    "absent label": (
        _bad(labels=[*LABELS[:4], None, 1]),
        r"FILE: column 'label', row 4: nothing found, whole numbers are allowed",
    ),
    "label without a class name": (
        _bad(metadata=NAMES),
        r"FILE: column 'label': label 2 found at position 2, labels from 0 to 1 are allowed",
    ),
    "no label column": (
        _without("label"),
        r"FILE: no column 'label' found, only image; `columns: {label: ...}` names another",
    ),
    "no image column": (
        _without("image"),
        r"FILE: no column 'image' found, only label; `columns: {image: ...}` names another",
    ),
    "no rows": (
        _bad(images=[], labels=pa.array([], pa.int64())),
        r"FILE: column 'image': no rows found, at least one is needed",
    ),
    "no training file": (
        lambda folder: (folder / "train.parquet").unlink(),
        r".*pictures: neither train\.parquet nor train-00000-of-00001\.parquet and so on found",
    ),
    "a missing shard": (
        lambda folder: (folder / "test.parquet").rename(folder / "test-00001-of-00002.parquet"),
        r".*pictures: 1 of 2 files test-\*-of-\*\.parquet found, number 0 is missing",
    ),
}


@pytest.mark.parametrize(("spoil", "pattern"), BAD_PICTURES.values(), ids=BAD_PICTURES.keys())
def test_bad_pictures(spoil: Spoil, pattern: str, pictures: Path, refusal: Refusal, tmp_path: Path) -> None:
    spoil(pictures)
    assert re.fullmatch(pattern.replace("FILE", r"pictures/train\.parquet"), refusal(PARQUET, tmp_path))


def test_a_column_of_another_type(pictures: Path, refusal: Refusal, tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": IMAGES, "label": LABELS}), pictures / "train.parquet")
    assert refusal(PARQUET, tmp_path) == (
        "pictures/train.parquet: column 'image' of type binary found, a struct with 'bytes' is needed"
    )


def test_no_such_folder(refusal: Refusal, tmp_path: Path) -> None:
    message = refusal(PARQUET, tmp_path)
    assert message == (
        "data set 'pictures', field 'path': 'pictures' found, but there is no pictures (in the data folder)"
    )
