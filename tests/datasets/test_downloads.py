"""Data sets that torchvision fetches: there whole, or one sentence that says what is missing where."""

import pickle
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torchvision

from harness.datasets import DatasetSpec, prepare
from harness.datasets.preparation import decoded
from tests.datasets.kinds import Refusal

MNIST = DatasetSpec("mnist", "mnist")
CIFAR = DatasetSpec("cifar10", "cifar10")


def _serve(monkeypatch: pytest.MonkeyPatch, class_name: str, download: Callable[[Path], None]) -> None:
    """Let torchvision's class "download" by a function that writes into the folder it is given."""

    def constructor(root: Path, *, download: bool) -> None:
        assert download
        serve(Path(root))

    serve = download
    monkeypatch.setattr(torchvision.datasets, class_name, constructor)


def _no_network(root: Path) -> None:
    (root / "MNIST" / "raw").mkdir(parents=True)
    (root / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").write_bytes(b"cut short")
    raise URLError("Name or service not known")


def test_absent_without_a_network(monkeypatch: pytest.MonkeyPatch, refusal: Refusal, tmp_path: Path) -> None:
    _serve(monkeypatch, "MNIST", _no_network)
    assert refusal(MNIST, tmp_path / "data") == (
        f"{tmp_path / 'data'}: the data set 'mnist' (MNIST/raw/train-images-idx3-ubyte and so on) "
        f"is not in this folder and could not be downloaded (<urlopen error Name or service not known>); "
        f"name the folder that holds it"
    )
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".MNIST.lock"]


def test_a_download_is_put_in_place_and_asked_for_once(
    monkeypatch: pytest.MonkeyPatch, mnist_folder: Path, cache: Path, tmp_path: Path
) -> None:
    served: list[Path] = []

    def serve(root: Path) -> None:
        served.append(root)
        (root / "MNIST").mkdir(parents=True)
        for file in (mnist_folder / "MNIST").glob("raw/*"):
            (root / "MNIST" / "raw").mkdir(exist_ok=True)
            (root / "MNIST" / "raw" / file.name).write_bytes(file.read_bytes())

    _serve(monkeypatch, "MNIST", serve)
    elsewhere = tmp_path / "elsewhere"
    facts = prepare(MNIST, elsewhere, cache)
    assert prepare(MNIST, elsewhere, cache) == facts
    assert facts.train_examples == 40
    assert len(served) == 1
    assert sorted(path.name for path in elsewhere.iterdir()) == [".MNIST.lock", "MNIST"]


def test_without_a_data_folder_downloads_go_to_the_cache(
    monkeypatch: pytest.MonkeyPatch, refusal: Refusal, cache: Path
) -> None:
    _serve(monkeypatch, "MNIST", _no_network)
    assert refusal(MNIST, None).startswith(f"{cache / 'data'}: the data set 'mnist' ")


@pytest.fixture
def cifar_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with files in CIFAR-10's layout, 4 images each, whose MD5 sums torchvision is told."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    reader = torchvision.datasets.CIFAR10
    rng = np.random.default_rng(0)

    def write(name: str, content: dict[str, Any]) -> str:
        (folder / name).write_bytes(pickle.dumps(content))
        return md5((folder / name).read_bytes()).hexdigest()

    def batch(name: str) -> list[str]:
        images = rng.integers(0, 256, (4, 3072), dtype=np.uint8)
        return [name, write(name, {"data": images, "labels": [0, 1, 2, 3]})]

    monkeypatch.setattr(reader, "train_list", [batch(name) for name, _ in reader.train_list])
    monkeypatch.setattr(reader, "test_list", [batch(name) for name, _ in reader.test_list])
    names = {"label_names": list("abcdefghij")}
    monkeypatch.setattr(reader, "meta", reader.meta | {"md5": write("batches.meta", names)})
    return tmp_path


def test_cifar_keeps_its_pixels_channels_first(cifar_folder: Path, cache: Path) -> None:
    entry = decoded(CIFAR, cifar_folder, cache)
    assert entry.about["example_shape"] == [3, 32, 32]
    assert (entry.about["train_examples"], entry.about["test_examples"]) == (20, 4)
    batch = pickle.loads((cifar_folder / "cifar-10-batches-py" / "test_batch").read_bytes())
    np.testing.assert_array_equal(entry.array("x_test").reshape(4, 3072), batch["data"])


def test_a_damaged_cifar_file_is_named_and_not_unpickled(cifar_folder: Path, refusal: Refusal) -> None:
    file = cifar_folder / "cifar-10-batches-py" / "data_batch_3"
    published = md5(file.read_bytes()).hexdigest()
    file.write_bytes(file.read_bytes()[:1000])
    assert refusal(CIFAR, cifar_folder) == (
        f"cifar-10-batches-py/data_batch_3: other bytes found than those of the published cifar10 "
        f"(MD5 {published}): the file is truncated, damaged or of another data set"
    )


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_files_noted_are_those_that_torchvision_reads(name: str) -> None:
    from harness.datasets.registry import KNOWN_SETS
    from harness.datasets.sources.cifar import Cifar

    noted = KNOWN_SETS[name]
    assert isinstance(noted, Cifar)
    reader = getattr(torchvision.datasets, noted.class_name)
    files = [file for file, _ in (*reader.train_list, *reader.test_list)] + [reader.meta["filename"]]
    assert (noted.folder, list(noted.files)) == (reader.base_folder, files)
