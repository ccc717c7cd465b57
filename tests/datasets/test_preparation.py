"""prepare: facts, and what it costs to have them again."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.datasets import DataError, DatasetFacts, DatasetSpec, prepare, registry
from harness.datasets.preparation import decoded
from tests.datasets.kinds import Arrays, WriteNpz

DIGITS = DatasetSpec("digits", "digits")


def test_digits_have_known_facts(cache: Path) -> None:
    facts = prepare(DIGITS, None, cache)
    assert facts == DatasetFacts("digits", (1, 8, 8), 10, 1438, 359, facts.fingerprint)
    assert len(facts.fingerprint) == 64


def test_digits_test_part_is_stratified(cache: Path) -> None:
    entry = decoded(DIGITS, None, cache)
    train, test = np.bincount(entry.array("y_train")), np.bincount(entry.array("y_test"))
    np.testing.assert_allclose(test / (train + test), 0.2, atol=0.003)


def test_an_npz_file_keeps_its_values(
    small: DatasetSpec, arrays: Arrays, cache: Path, tmp_path: Path
) -> None:
    facts = prepare(small, tmp_path, cache)
    assert (facts.example_shape, facts.outputs, facts.train_examples, facts.test_examples) == (
        (3, 5, 6),
        3,
        40,
        10,
    )
    entry = decoded(small, tmp_path, cache)
    for name, array in arrays.items():
        np.testing.assert_array_equal(entry.array(name), array)


def test_three_axes_are_grey_images_and_two_are_features(
    write_npz: WriteNpz, arrays: Arrays, cache: Path, tmp_path: Path
) -> None:
    grey = arrays | {"x_train": arrays["x_train"][:, 0], "x_test": arrays["x_test"][:, 0]}
    assert prepare(write_npz(grey), tmp_path, cache).example_shape == (1, 5, 6)
    flat = {name: x.reshape(len(x), -1) / 7 if name[0] == "x" else x for name, x in arrays.items()}
    assert prepare(write_npz(flat), tmp_path, cache).example_shape == (90,)


def test_a_second_prepare_decodes_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = prepare(DIGITS, None, cache)
    monkeypatch.setattr(type(registry.KNOWN_SETS["digits"]), "__call__", None)
    assert prepare(DIGITS, None, cache) == facts


def test_one_cache_entry_serves_two_names(small: DatasetSpec, cache: Path, tmp_path: Path) -> None:
    facts = prepare(small, tmp_path, cache)
    absolute = DatasetSpec("other", "npz", str(tmp_path / "small.npz"))
    again = prepare(absolute, None, cache)
    assert (again.name, again.fingerprint) == ("other", facts.fingerprint)
    assert len(list((cache / "decoded").iterdir())) == 1


def _imported_by_prepare(cache: Path) -> set[str]:
    script = f"""
import sys
from pathlib import Path
from harness.datasets import DatasetSpec, prepare
prepare(DatasetSpec("digits", "digits"), None, Path({str(cache)!r}))
print(*sys.modules)
"""
    return set(
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_prepare_imports_no_torch_and_when_cached_nothing_heavy(cache: Path) -> None:
    assert "torch" not in _imported_by_prepare(cache)
    assert not {"torch", "torchvision", "sklearn", "scipy", "PIL", "pyarrow"} & _imported_by_prepare(cache)


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "named"))
    prepare(DIGITS, None)
    assert (tmp_path / "named" / "decoded").is_dir()
    monkeypatch.delenv("HARNESS_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    prepare(DIGITS, None)
    assert (tmp_path / "home" / ".cache" / "sizing-harness" / "decoded").is_dir()


def test_a_relative_cache_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", "here")
    with pytest.raises(DataError, match="HARNESS_CACHE: 'here' found, an absolute path is allowed"):
        prepare(DIGITS, None)
