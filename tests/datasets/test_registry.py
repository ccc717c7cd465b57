"""Which sources there are, and what is said of a name or path that means nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from harness.datasets import DatasetSpec, RawData, RawPart, prepare, registry, source_names
from harness.datasets.sources.digits import Digits
from tests.datasets.kinds import Refusal


def test_a_misspelt_source_gets_the_nearest_name(refusal: Refusal, tmp_path: Path) -> None:
    assert refusal(DatasetSpec("mine", "fashion_mnist"), tmp_path) == (
        "data set 'mine', field 'source': 'fashion_mnist' found; did you mean 'fashion-mnist'? "
        "Allowed: cifar10, cifar100, digits, fashion-mnist, images, mnist, npz, parquet, sine, table"
    )
    assert "did you mean" not in refusal(DatasetSpec("mine", "weather"), tmp_path)


def test_a_path_too_many_or_too_few(refusal: Refusal, tmp_path: Path) -> None:
    assert refusal(DatasetSpec("mine", "mnist", "here"), tmp_path).startswith(
        "data set 'mine', field 'path': 'here' found, but 'mnist' is a known data set and takes none"
    )
    assert refusal(DatasetSpec("mine", "npz"), tmp_path) == (
        "data set 'mine', field 'path': nothing found, but the source 'npz' needs a path, "
        "relative to the study file or to the data folder, or absolute"
    )


def _plug_in(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    point = EntryPoint("numbers", value, registry.GROUP)
    monkeypatch.setattr(
        registry, "entry_points", lambda group, name="numbers": [point] if name == "numbers" else []
    )


def test_a_source_of_another_package(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    _plug_in(monkeypatch, f"{Digits.__module__}:Digits")
    assert prepare(DatasetSpec("mine", "numbers"), None, cache).train_examples == 1438
    assert source_names()[-1] == "numbers"


@dataclass(frozen=True)
class Rings:
    """Points on two rings."""

    noise: float = 0.1

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[str]:
        return ()

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        if self.noise < 0:
            raise KeyError("noise")
        x = np.full((4, 2), self.noise, dtype=np.float32)
        part = RawPart(x, np.arange(4) % 2, "rings: x", "rings: y")
        return RawData(part, part)


def test_options_of_a_plugged_in_source(
    monkeypatch: pytest.MonkeyPatch, cache: Path, refusal: Refusal
) -> None:
    monkeypatch.setitem(registry.FROM_FILES, "rings", (Rings, Path(__file__)))
    spec = DatasetSpec("mine", "rings")
    assert registry.described("rings") == (Rings, ("noise",))
    assert registry.where_from("rings") == f"file {__file__}"
    loud = replace(spec, settings={"options": {"noise": 1.0}})
    assert refusal(replace(spec, settings={"options": {"noise": "x"}}), None).startswith(
        "data set 'mine': rings: option noise: input should be a valid number"
    )
    assert refusal(replace(spec, settings={"resize": [1, 1]}), None) == (
        "data set 'mine': rings has no option 'resize'; allowed: noise"
    )
    assert refusal(replace(spec, settings={"options": {"noise": -1}}), None) == (
        "rings: reading it raised KeyError: 'noise'"
    )
    assert prepare(spec, None, cache).fingerprint != prepare(loud, None, cache).fingerprint


def test_a_source_that_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, refusal: Refusal, tmp_path: Path
) -> None:
    _plug_in(monkeypatch, "no_such_package:Source")
    assert refusal(DatasetSpec("mine", "numbers"), tmp_path) == (
        "data set 'mine', field 'source': 'numbers' is no_such_package:Source of another package, "
        "which cannot be imported (No module named 'no_such_package')"
    )


def test_a_file_that_a_plug_in_cannot_open(
    monkeypatch: pytest.MonkeyPatch, refusal: Refusal, tmp_path: Path
) -> None:
    monkeypatch.setattr(Digits, "source_identity", lambda *_: [tmp_path / "gone"])
    assert refusal(DatasetSpec("digits", "digits"), tmp_path) == (
        "data set 'digits' cannot be read: [Errno 2] No such file or directory: 'gone'"
    )
