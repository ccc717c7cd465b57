"""load_split: one split for every caller, normalised by its training part alone."""

import hashlib
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.datasets import DataError, DatasetSpec, Split, load_split
from harness.datasets.splitting import _KEPT, _kept, split_indices
from tests.datasets.kinds import Arrays, WriteNpz

DIGITS = DatasetSpec("digits", "digits")


def _load(spec: DatasetSpec, cache: Path, root: Path | None = None, **changes: Any) -> Split:
    options: dict[str, Any] = {"validation_fraction": 0.2, "split_seed": 0, "device": "cpu"} | changes
    return load_split(spec, root, cache_root=cache, **options)


@given(st.integers(2, 300), st.integers(0, 2**64), st.data())
def test_the_parts_are_a_partition(examples: int, seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, examples - 1))
    train, validation = split_indices(examples, count, seed)
    assert len(validation) == count
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(examples))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()


def test_a_smaller_validation_part_is_a_subset_of_a_larger() -> None:
    assert set(split_indices(100, 10, 3)[1]) < set(split_indices(100, 30, 3)[1])


def test_the_permutation_is_the_documented_one() -> None:
    order = np.random.Generator(np.random.PCG64(5)).permutation(50)
    assert set(split_indices(50, 10, 5)[1]) == set(order[:10])


def test_types_shapes_and_counts(cache: Path) -> None:
    split = _load(DIGITS, cache)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [1150, 288, 359]
    for part in (split.train, split.validation, split.test):
        assert (part.x[:].dtype, part.y.dtype) == (torch.float32, torch.int64)
        assert part.x.shape == (len(part), 1, 8, 8)
        assert part.x[:].is_contiguous()
    assert split.facts.train_examples == 1438


def test_other_seeds_give_other_parts_and_the_same_test_labels(cache: Path) -> None:
    one, other = _load(DIGITS, cache), _load(DIGITS, cache, split_seed=1)
    assert not torch.equal(one.validation.y, other.validation.y)
    assert torch.equal(one.test.y, other.test.y)


def test_other_processes_get_the_same_split(cache: Path) -> None:
    split = _load(DIGITS, cache)
    script = f"""
import hashlib
from pathlib import Path
from typing import Any
from harness.datasets import DatasetSpec, load_split
split = load_split(DatasetSpec("digits", "digits"), None, validation_fraction=0.2, split_seed=0, device="cpu",
                   cache_root=Path({str(cache / "another")!r}))
for part in (split.train, split.validation, split.test):
    print(hashlib.sha256(part.x.numpy().tobytes() + part.y.numpy().tobytes()).hexdigest())
"""
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert printed.split() == [
        hashlib.sha256(part.x[:].numpy().tobytes() + part.y.numpy().tobytes()).hexdigest()
        for part in (split.train, split.validation, split.test)
    ]


def test_each_channel_of_the_training_part_is_standard(
    small: DatasetSpec, cache: Path, tmp_path: Path
) -> None:
    train = _load(small, cache, tmp_path).train.x[:]
    torch.testing.assert_close(train.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(train.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_values_are_the_raw_ones_normalised_by_the_training_part(
    small: DatasetSpec, arrays: Arrays, cache: Path, tmp_path: Path
) -> None:
    split = _load(small, cache, tmp_path)
    train, validation = split_indices(40, 8, 0)
    chosen = arrays["x_train"][train].astype(np.float64)
    mean, std = (f(chosen, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.std))
    for part, x, y in (
        (split.train, arrays["x_train"][train], arrays["y_train"][train]),
        (split.validation, arrays["x_train"][validation], arrays["y_train"][validation]),
        (split.test, arrays["x_test"], arrays["y_test"]),
    ):
        np.testing.assert_allclose(part.x[:].numpy(), (x - mean) / std, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(part.y.numpy(), y)


@pytest.mark.parametrize("moved", ["test", "validation"])
def test_a_shift_elsewhere_does_not_change_the_training_part(
    moved: str, arrays: Arrays, write_npz: WriteNpz, cache: Path, tmp_path: Path
) -> None:
    plain = {name: x.astype(np.float32) if name[0] == "x" else x for name, x in arrays.items()}
    shifted = {name: x.copy() for name, x in plain.items()}
    if moved == "test":
        shifted["x_test"] += 1000
    else:
        shifted["x_train"][split_indices(40, 8, 0)[1]] += 1000
    one = _load(write_npz(plain), cache, tmp_path)
    other = _load(write_npz(shifted), cache, tmp_path)
    assert one.facts.fingerprint != other.facts.fingerprint
    assert torch.equal(one.train.x[:], other.train.x[:])
    part, moved_part = getattr(one, moved), getattr(other, moved)
    assert (moved_part.x[:] - part.x[:] > 5).all()


def test_features_are_normalised_one_by_one_and_constants_become_zero(
    write_npz: WriteNpz, cache: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(1e6, [1e-1, 1, 1000, 0, 0], (60, 5))
    x[:, 4] = 0
    labels = np.arange(60) % 2
    spec = write_npz({"x_train": x, "y_train": labels, "x_test": x, "y_test": labels})
    train = _load(spec, cache, tmp_path).train.x[:]
    torch.testing.assert_close(train.std(0, correction=0), torch.tensor([1.0, 1, 1, 0, 0]), atol=1e-4, rtol=0)
    assert (train[:, 3:] == 0).all()


def test_trials_of_a_process_share_one_split_and_few_are_kept(cache: Path) -> None:
    first = _load(DIGITS, cache)
    assert _load(DIGITS, cache, device=torch.device("cpu")) is first
    for seed in range(1, _KEPT):
        _load(DIGITS, cache, split_seed=seed)
    assert _load(DIGITS, cache) is first  # asked for again, so no longer the oldest
    _load(DIGITS, cache, split_seed=_KEPT)
    assert len(_kept) == _KEPT
    assert _load(DIGITS, cache) is first
    assert _load(DIGITS, cache, split_seed=2) is _load(DIGITS, cache, split_seed=2)


def test_a_changed_source_gives_another_split_in_the_same_process(
    arrays: Arrays, write_npz: WriteNpz, cache: Path, tmp_path: Path
) -> None:
    before = _load(write_npz(arrays), cache, tmp_path)
    after = _load(write_npz(arrays | {"x_train": arrays["x_train"][::-1].copy()}), cache, tmp_path)
    assert not torch.equal(before.train.x[:], after.train.x[:])


def test_no_warning_and_tensors_can_be_written(cache: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split = _load(DIGITS, cache)
    split.train.x[:].add_(1)  # not to be done, but it must not kill the process or reach the file
    _kept.clear()
    assert not torch.equal(_load(DIGITS, cache).train.x[:], split.train.x[:])


@pytest.mark.parametrize(
    ("fraction", "found"),
    [
        (0.001, r"0\.001 found, which of 40 training examples leaves none for validation; .* from 1 to 39 "),
        (0.999, r"0\.999 found, which of 40 training examples leaves none for training; "),
        (0.0, r"0\.0 found, above 0 and below 1 is allowed"),
        (1.0, r"1\.0 found, above 0 and below 1 is allowed"),
        (-0.1, r"-0\.1 found, above 0 and below 1 is allowed"),
        (float("nan"), r"nan found, above 0 and below 1 is allowed"),
    ],
)
def test_a_fraction_that_leaves_a_part_empty(
    fraction: float, found: str, small: DatasetSpec, cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=rf"^data set 'small': the validation fraction {found}"):
        _load(small, cache, tmp_path, validation_fraction=fraction)


def test_a_negative_seed(small: DatasetSpec, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the split seed -1 found, 0 or more is allowed"):
        _load(small, cache, tmp_path, split_seed=-1)


def test_each_device_has_a_split_of_its_own(cache: Path) -> None:
    # "meta" is a device without memory that every torch has.
    here, there = _load(DIGITS, cache), _load(DIGITS, cache, device="meta")
    assert [part.x.device.type for part in (here.train, there.train, there.test)] == ["cpu", "meta", "meta"]
    assert there.train.x.shape == here.train.x.shape
    assert _load(DIGITS, cache, device="meta") is there


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_another_device_holds_one_copy_of_the_same_values(cache: Path) -> None:
    here, there = _load(DIGITS, cache), _load(DIGITS, cache, device="cuda")
    assert there.train.x.device.type == "cuda"
    assert torch.equal(there.train.x[:].cpu(), here.train.x[:])
    assert _load(DIGITS, cache, device="cuda:0") is there
