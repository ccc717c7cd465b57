"""A folder of images, one folder a class: class/name.png."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.datasets.base import DataError, DatasetSpec
from harness.datasets.sources.base import RawData, RawPart
from harness.datasets.sources.parting import parted, taken
from harness.datasets.sources.pictures import Size, Stack, decode, decoder
from harness.datasets.sources.places import located

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
#: What file managers leave behind.
_DROPPINGS = {"Thumbs.db", "desktop.ini"}


@dataclass(frozen=True, slots=True)
class Images:
    """Images in one folder a class, under train/ and test/ (or val/), or under one that is parted here.

    resize: [height, width]. test_fraction: share of the images, drawn from every class alike by `test_seed`,
    where no folder holds those for testing. Classes are numbered in the order of their names. What lies in
    a class's folder, at any depth, must be an image; hidden files are passed over.
    """

    resize: Size | None = None
    test_fraction: float | None = None
    test_seed: int = 0

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        named: list[str] = []
        files: list[Path] = []
        for part, folder in self._parts(spec, located(spec, data_root)):
            found = [file for images in _classes(folder).values() for file in images]
            # A class is a folder's name, and what is compared of a file is its own name and its content.
            named += (f"{part}/{file}" for file in found)
            files += (folder / file for file in found)
        return [decoder(), *named, *files]

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        (_, folder), *apart = self._parts(spec, located(spec, data_root))
        classes = _classes(folder)
        if len(classes) < 2:
            only = next(iter(classes))
            raise DataError(f"{folder}: only the class {only!r} found, at least two classes are needed")
        names = list(classes)
        train = self._read(folder, classes, names)
        if apart:
            return RawData(train, self._read(apart[0][1], _classes(apart[0][1]), names), len(names))
        assert self.test_fraction is not None
        indices = parted(spec.name, len(train.y), self.test_fraction, self.test_seed, train.y)
        first, second = (taken(train, part) for part in indices)
        return RawData(first, second, len(names))

    def _parts(self, spec: DatasetSpec, folder: Path) -> list[tuple[str, Path]]:
        """The folders of classes, that for training first; one alone if the test part is drawn from it."""
        if not folder.is_dir():
            raise DataError(
                f"{folder}: a file found (data set {spec.name!r}, field 'path'), a folder is needed"
            )
        there = {part: folder / part for part in ("train", "test", "val") if (folder / part).is_dir()}
        test = there.get("test", there.get("val"))
        if self.test_fraction is not None:
            if test is not None and "train" in there:
                raise DataError(
                    f"data set {spec.name!r}, field 'test_fraction': {self.test_fraction:g} found, but the "
                    f"test part lies in {test}"
                )
            return [("train", there.get("train", folder))]
        if "train" not in there or test is None:
            raise DataError(
                f"{folder}: no folders 'train' and 'test' (or 'val') found, only "
                f"{', '.join(sorted(path.name for path in folder.iterdir())[:8]) or 'nothing'}; with "
                f"`test_fraction` one folder of classes is parted"
            )
        return [("train", there["train"]), ("test", test)]

    def _read(self, folder: Path, classes: dict[str, list[str]], names: list[str]) -> RawPart:
        pictures = Stack(sum(map(len, classes.values())))
        labels = []
        for name, files in classes.items():
            if name not in names:
                raise DataError(
                    f"{folder / name}: a class found that the training set lacks, which has "
                    f"{', '.join(names):.80}"
                )
            for file in (folder / beneath for beneath in files):
                pictures.add(decode(file.read_bytes(), str(file), self.resize), str(file))
                labels.append(names.index(name))
        return RawPart(
            pictures.array(), np.array(labels, dtype=np.int64), f"{folder}: images", f"{folder}: classes"
        )


def _classes(folder: Path) -> dict[str, list[str]]:
    """Class -> its images, relative to the folder, both in the order of their names. Raises DataError."""
    found: dict[str, list[str]] = {}
    for inner in sorted(folder.iterdir()):
        if inner.name.startswith("."):
            continue
        if not inner.is_dir():
            if inner.suffix.lower() in _SUFFIXES:
                raise DataError(f"{inner}: an image found that lies in no class's folder")
            continue  # a list of classes, a licence
        found[inner.name] = _images(folder, inner.name)
        if not found[inner.name]:
            raise DataError(f"{inner}: no images found, at least one of every class is needed")
    if not found:
        raise DataError(f"{folder}: no folders of classes found, it is empty of images")
    return found


def _images(folder: Path, name: str) -> list[str]:
    # Texts and no paths, of which ten thousands take a second: they are asked for before every trial.
    found = []
    start = len(str(folder)) + 1
    for place, folders, files in os.walk(folder / name, followlinks=True):
        folders[:] = [inner for inner in folders if not inner.startswith(".")]
        for file in files:
            if file.startswith(".") or file in _DROPPINGS:
                continue
            if os.path.splitext(file)[1].lower() not in _SUFFIXES:
                raise DataError(
                    f"{place}/{file}: no image found, as its name ends; {', '.join(_SUFFIXES)} are read"
                )
            found.append(f"{place[start:]}/{file}".replace(os.sep, "/"))
    return sorted(found)
