"""Folders of images: a class is a folder, the test part lies apart or is drawn, all else is refused."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.datasets import DatasetSpec, prepare
from harness.datasets.preparation import decoded
from tests.datasets.kinds import Refusal

PETS = DatasetSpec("pets", "images", "pets")
DRAWN = replace(PETS, path="pets/train", settings={"test_fraction": 0.25})


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """8 images of two classes for training, 4 for testing; the colour of each tells them apart."""
    for number in range(12):
        folder = tmp_path / "pets" / ("train" if number < 8 else "test") / ("dog" if number % 2 else "cat")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 5), (number, 0, 0)).save(folder / f"{number:02}.png")
    (tmp_path / "pets" / "train" / ".DS_Store").touch()
    (tmp_path / "pets" / "train" / "cat" / ".DS_Store").touch()
    return tmp_path / "pets"


def test_classes_are_folders_in_the_order_of_their_names(pets: Path, cache: Path, tmp_path: Path) -> None:
    entry = decoded(PETS, tmp_path, cache)
    assert entry.array("x_train").shape == (8, 3, 5, 6)
    assert entry.array("x_train")[:, 0, 0, 0].tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert entry.array("y_train").tolist() == [0] * 4 + [1] * 4
    assert entry.array("y_test").tolist() == [0, 0, 1, 1]


def test_the_test_part_may_be_called_val_and_the_place_does_not_matter(
    pets: Path, cache: Path, tmp_path: Path
) -> None:
    facts = prepare(PETS, tmp_path, cache)
    (pets / "test").rename(pets / "val")
    shutil.move(pets, tmp_path / "study" / "pets")
    moved = replace(PETS, beside=tmp_path / "study")
    assert prepare(moved, tmp_path / "nowhere", cache) == facts


def test_a_test_part_is_drawn_from_every_class(pets: Path, cache: Path, tmp_path: Path) -> None:
    one, again, other = (
        decoded(
            replace(DRAWN, settings={"test_fraction": 0.25, "test_seed": seed}), tmp_path, cache / str(seed)
        )
        for seed in (1, 1, 2)
    )
    pixels = [entry.array("x_test")[:, 0, 0, 0].tolist() for entry in (one, again, other)]
    assert one.array("y_test").tolist() == [0, 1]
    assert one.array("y_train").tolist() == [0] * 3 + [1] * 3
    assert pixels[0] == pixels[1] != pixels[2]
    assert not {*pixels[0]} & {*one.array("x_train")[:, 0, 0, 0].tolist()}


def test_a_class_of_another_name_is_another_data_set(pets: Path, cache: Path, tmp_path: Path) -> None:
    facts = prepare(PETS, tmp_path, cache)
    for part in ("train", "test"):
        (pets / part / "cat").rename(pets / part / "zebra")
    assert prepare(PETS, tmp_path, cache).fingerprint != facts.fingerprint


def _emptied(pets: Path) -> None:
    shutil.rmtree(pets / "train")
    (pets / "train").mkdir()


BAD: dict[str, tuple[Callable[[Path], object], DatasetSpec, str]] = {
    "empty": (
        _emptied,
        PETS,
        "pets/train: no folders of classes found, it is empty of images",
    ),
    "empty class": (
        lambda pets: (pets / "train" / "ape").mkdir(),
        PETS,
        "pets/train/ape: no images found, at least one of every class is needed",
    ),
    "one class": (
        lambda pets: shutil.rmtree(pets / "train" / "dog"),
        PETS,
        "pets/train: only the class 'cat' found, at least two classes are needed",
    ),
    "unreadable": (
        lambda pets: (pets / "train" / "cat" / "02.png").write_bytes(b"text"),
        PETS,
        "pets/train/cat/02.png: no image found; formats that are read: PNG, JPEG, WEBP, BMP, GIF, TIFF",
    ),
    "of no format that is read": (
        lambda pets: (pets / "train" / "cat" / "a.heic").touch(),
        PETS,
        "pets/train/cat/a.heic: no image found, as its name ends; .",
    ),
    "of two sizes": (
        lambda pets: Image.new("RGB", (5, 5)).save(pets / "test" / "dog" / "99.png"),
        PETS,
        "pets/test/dog/99.png: an image of 5×5 found, 6×5 like the others is needed; `resize: [5, 6]` brings",
    ),
    "of a class that training lacks": (
        lambda pets: (pets / "test" / "dog").rename(pets / "test" / "fox"),
        PETS,
        "pets/test/fox: a class found that the training set lacks, which has cat, dog",
    ),
    "in no class": (
        lambda pets: Image.new("RGB", (6, 5)).save(pets / "train" / "1.png"),
        PETS,
        "pets/train/1.png: an image found that lies in no class's folder",
    ),
    "no test part": (
        lambda pets: None,
        replace(DRAWN, settings={}),
        "pets/train: no folders 'train' and 'test' (or 'val') found, only .DS_Store, cat, dog; with `test_f",
    ),
    "two test parts": (
        lambda pets: None,
        replace(PETS, settings={"test_fraction": 0.5}),
        "data set 'pets', field 'test_fraction': 0.5 found, but the test part lies in pets/test",
    ),
    "too small a fraction": (
        lambda pets: None,
        replace(DRAWN, settings={"test_fraction": 0.01}),
        "data set 'pets', field 'test_fraction': 0.01 found, which of 8 examples leaves none for testing",
    ),
    "a field that is not for it": (
        lambda pets: None,
        replace(PETS, settings={"channels": "last"}),
        "data set 'pets': images has no option 'channels'; allowed: resize, test_fraction, test_seed",
    ),
}


@pytest.mark.parametrize(("spoil", "spec", "sentence"), BAD.values(), ids=BAD.keys())
def test_bad_folders(
    spoil: Callable[[Path], object],
    spec: DatasetSpec,
    sentence: str,
    pets: Path,
    refusal: Refusal,
    tmp_path: Path,
) -> None:
    spoil(pets)
    assert refusal(spec, tmp_path).startswith(sentence)


def test_grey_images_join_coloured_ones(pets: Path, cache: Path, tmp_path: Path) -> None:
    Image.new("L", (6, 5), 200).save(pets / "train" / "cat" / "00.png")
    x = decoded(PETS, tmp_path, cache).array("x_train")
    assert x[0, :, 0, 0].tolist() == [200, 200, 200]
    assert np.array_equal(x[1, :, 0, 0], [2, 0, 0])
