"""A cache of its own for every test, and small data sets in files."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.datasets import DataError, DatasetSpec, prepare
from harness.datasets.splitting import _kept
from tests.datasets.kinds import Arrays, Refusal, WriteNpz


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    """A split that an earlier test left in this process must not stand in for one read from the disk."""
    _kept.clear()


@pytest.fixture
def arrays() -> Arrays:
    """Colour images of 5×6 in three classes: 40 for training, 10 for testing."""
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (40, 3, 5, 6), dtype=np.uint8),
        "y_train": np.arange(40) % 3,
        "x_test": rng.integers(0, 256, (10, 3, 5, 6), dtype=np.uint8),
        "y_test": np.arange(10) % 3,
    }


@pytest.fixture
def write_npz(tmp_path: Path) -> WriteNpz:
    """Writes arrays to small.npz in the test's folder."""

    def write(arrays: Arrays) -> DatasetSpec:
        named: dict[str, Any] = arrays  # savez has flags besides, which no array is to be taken for
        np.savez(tmp_path / "small.npz", **named)
        return DatasetSpec("small", "npz", "small.npz")

    return write


@pytest.fixture
def small(arrays: Arrays, write_npz: WriteNpz) -> DatasetSpec:
    """A whole data set in an .npz file."""
    return write_npz(arrays)


@pytest.fixture
def mnist_folder(tmp_path: Path) -> Path:
    """A data folder with files in MNIST's layout: 40 and 10 images of 28×28."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 10)):
        images = rng.integers(0, 256, count * 28 * 28, dtype=np.uint8).tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, count, 28, 28) + images)
        labels = bytes(index % 10 for index in range(count))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, count) + labels)
    return tmp_path


@pytest.fixture
def refusal(cache: Path) -> Refusal:
    """The one sentence that `prepare` refuses a data set with; the data folder's name is taken out."""

    def refuse(spec: DatasetSpec, root: Path | None) -> str:
        with pytest.raises(DataError) as raised:
            prepare(spec, root, cache)
        message = str(raised.value)
        assert "\n" not in message
        assert not list(cache.glob("decoded/*"))
        return message.replace(f"{root}/", "")

    return refuse
