"""Known facts of published data sets, read from the folder that HARNESS_DATA names."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from harness.datasets import DatasetSpec, load_split, prepare
from harness.datasets.normalisation import channel_statistics
from harness.datasets.preparation import decoded

pytestmark = pytest.mark.needs_data

MNIST = DatasetSpec("mnist", "mnist")
FASHION = DatasetSpec("fashion-mnist", "fashion-mnist")
CIFAR_JPEG = DatasetSpec("cifar10-jpeg", "parquet", "cifar10-jpeg")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by this file's tests: each data set is decoded once."""
    return tmp_path_factory.mktemp("cache")


def test_mnist_is_the_published_one(data_root: Path, cache: Path) -> None:
    images = (data_root / "MNIST" / "raw" / "train-images-idx3-ubyte").read_bytes()
    assert hashlib.md5(images).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
    facts = prepare(MNIST, data_root, cache)
    assert (facts.example_shape, facts.outputs) == ((1, 28, 28), 10)
    assert (facts.train_examples, facts.test_examples) == (60_000, 10_000)
    entry = decoded(MNIST, data_root, cache)
    assert entry.array("x_train").tobytes() == images[16:]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(entry.array("y_train")).tolist() == counts


def test_mnist_has_the_pixel_statistics_that_everybody_uses(data_root: Path, cache: Path) -> None:
    x = decoded(MNIST, data_root, cache).array("x_train")
    mean, std = channel_statistics(x, np.arange(len(x)))
    np.testing.assert_allclose([mean[0] / 255, std[0] / 255], [0.1307, 0.3081], atol=5e-5)


def test_fashion_mnist_is_balanced(data_root: Path, cache: Path) -> None:
    facts = prepare(FASHION, data_root, cache)
    assert (facts.example_shape, facts.train_examples, facts.test_examples) == ((1, 28, 28), 60_000, 10_000)
    entry = decoded(FASHION, data_root, cache)
    assert np.bincount(entry.array("y_train")).tolist() == [6000] * 10
    assert np.bincount(entry.array("y_test")).tolist() == [1000] * 10


def test_mnist_split_is_standard_in_its_training_part(data_root: Path, cache: Path) -> None:
    split = load_split(
        MNIST, data_root, validation_fraction=1 / 6, split_seed=0, device="cpu", cache_root=cache
    )
    assert [len(part) for part in (split.train, split.validation, split.test)] == [50_000, 10_000, 10_000]
    assert abs(split.train.x[:].mean().item()) < 1e-4
    assert abs(split.train.x[:].std().item() - 1) < 1e-4
    assert abs(split.validation.x[:].mean().item()) < 0.02


def test_cifar10_jpeg(data_root: Path, cache: Path) -> None:
    facts = prepare(CIFAR_JPEG, data_root, cache)
    assert (facts.example_shape, facts.outputs) == ((3, 32, 32), 10)
    assert (facts.train_examples, facts.test_examples) == (50_000, 10_000)
    entry = decoded(CIFAR_JPEG, data_root, cache)
    assert np.bincount(entry.array("y_train")).tolist() == [5000] * 10
    x = entry.array("x_train")
    mean, std = channel_statistics(x, np.arange(len(x)))
    # Those of the original pixels: JPEG blurs single pixels and leaves means and spreads nearly alone.
    np.testing.assert_allclose(mean / 255, [0.4914, 0.4822, 0.4465], atol=2e-3)
    np.testing.assert_allclose(std / 255, [0.2470, 0.2435, 0.2616], atol=4e-3)
