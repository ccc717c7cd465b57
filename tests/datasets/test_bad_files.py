"""Files of MNIST's layout and .npz files that cannot be read: one sentence each."""

import gzip
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.datasets import DatasetSpec, prepare
from tests.datasets.kinds import Arrays, Refusal, WriteNpz

MNIST = DatasetSpec("mnist", "mnist")


def test_whole_mnist_files_are_read(mnist_folder: Path, cache: Path) -> None:
    facts = prepare(MNIST, mnist_folder, cache)
    assert (facts.example_shape, facts.train_examples, facts.test_examples) == ((1, 28, 28), 40, 10)


@pytest.mark.parametrize(
    ("file", "size", "found"),
    [
        ("train-images-idx3-ubyte", 20000, "20,000 bytes found, 31,376 are needed for an array of shape"),
        ("train-labels-idx1-ubyte", 47, "47 bytes found, 48 are needed for an array of shape (40,)"),
        (
            "t10k-labels-idx1-ubyte",
            0,
            "the header of an empty file found, an IDX file of unsigned bytes with 1 ",
        ),
        ("t10k-images-idx3-ubyte", 9, "the header 00 00 08 03 found, an IDX file"),
        (
            "train-labels-idx1-ubyte",
            49,
            "49 bytes found, 48 are needed for an array of shape (40,): the file is too",
        ),
    ],
)
def test_truncated_mnist(mnist_folder: Path, refusal: Refusal, file: str, size: int, found: str) -> None:
    os.truncate(mnist_folder / "MNIST" / "raw" / file, size)
    assert refusal(MNIST, mnist_folder).startswith(f"MNIST/raw/{file}: {found}")


def test_mnist_labels_out_of_range(mnist_folder: Path, refusal: Refusal) -> None:
    labels = mnist_folder / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + bytes([10]))
    assert refusal(MNIST, mnist_folder) == (
        "MNIST/raw/train-labels-idx1-ubyte: label 10 found at position 39, labels from 0 to 9 are allowed"
    )


@pytest.mark.parametrize("size", [0, 10, 3000, 5000])
def test_truncated_npz(small: DatasetSpec, refusal: Refusal, tmp_path: Path, size: int) -> None:
    os.truncate(tmp_path / "small.npz", size)
    message = refusal(small, tmp_path)
    assert re.fullmatch(
        r"small\.npz: the file cannot be read \(.+\): it is truncated or damaged, or .+", message
    )


def test_damaged_npz_names_the_array(small: DatasetSpec, refusal: Refusal, tmp_path: Path) -> None:
    content = bytearray((tmp_path / "small.npz").read_bytes())
    content[1000] ^= 255
    (tmp_path / "small.npz").write_bytes(content)
    message = refusal(small, tmp_path)
    assert message.startswith("small.npz: array 'x_train' cannot be read (Bad CRC-32")


def test_objects_are_not_unpickled(
    arrays: Arrays, write_npz: WriteNpz, refusal: Refusal, tmp_path: Path
) -> None:
    spec = write_npz(arrays | {"y_train": np.array([{}] * 40)})
    assert refusal(spec, tmp_path).startswith("small.npz: array 'y_train' cannot be read (Object arrays")


def test_a_single_array_is_no_archive(small: DatasetSpec, refusal: Refusal, tmp_path: Path) -> None:
    with (tmp_path / "small.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert refusal(small, tmp_path) == (
        "small.npz: a single array found, an .npz archive of x_train, y_train, x_test, y_test is needed"
    )


def test_no_such_file(refusal: Refusal, tmp_path: Path) -> None:
    message = refusal(DatasetSpec("mine", "npz", "gone.npz"), tmp_path)
    assert message == (
        "data set 'mine', field 'path': 'gone.npz' found, but there is no gone.npz (in the data folder)"
    )


def test_compressed_mnist_is_read_where_it_lies(mnist_folder: Path, cache: Path, refusal: Refusal) -> None:
    raw = mnist_folder / "MNIST" / "raw"
    facts = prepare(MNIST, mnist_folder, cache)
    for file in list(raw.iterdir())[1:]:
        Path(f"{file}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert prepare(MNIST, mnist_folder, cache) == facts
    packed = next(raw.glob("*.gz"))
    os.truncate(packed, 30)
    shutil.rmtree(cache)
    assert refusal(MNIST, mnist_folder).startswith(f"MNIST/raw/{packed.name}: not readable as gzip (")
