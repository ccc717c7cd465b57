"""What is kept where changes no number: on demand, streamed and resized, against tensors of everything."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from harness.datasets import DatasetSpec, Split, load_split, on_demand
from harness.datasets.base import DatasetFacts, Part
from harness.datasets.on_demand import OnDemand, batches
from harness.datasets.residency import choose, limit, machine_bytes
from harness.datasets.resizing import resized, resized_facts
from tests.datasets.kinds import Arrays, WriteNpz

CPU, GPU = "cpu", "cuda:0"


def _load(spec: DatasetSpec, cache: Path, root: Path, limit_bytes: int | None = None) -> Split:
    return load_split(
        spec,
        root,
        validation_fraction=0.2,
        split_seed=0,
        device="cpu",
        cache_root=cache,
        limit_bytes=limit_bytes,
    )


def _parts(split: Split) -> list[Part]:
    return [split.train, split.validation, split.test]


@pytest.fixture(params=["uint8 images", "float images", "float features"])
def both(
    request: Any, arrays: Arrays, write_npz: WriteNpz, cache: Path, tmp_path: Path
) -> tuple[Split, Split]:
    """A split that is kept normalised, and the same where there is no room for that."""
    changed = dict(arrays)
    if request.param != "uint8 images":
        rng = np.random.default_rng(1)
        for name in ("x_train", "x_test"):
            shape = arrays[name].shape if request.param == "float images" else (len(arrays[name]), 4)
            changed[name] = rng.normal(3, [1e-3, 1, 1e4, 7][: shape[1]], (*shape[:1], *shape[2:], shape[1]))
            changed[name] = np.moveaxis(changed[name], -1, 1).astype(np.float32)
    spec = write_npz(changed)
    return _load(spec, cache, tmp_path), _load(spec, cache, tmp_path, limit_bytes=0)


def test_examples_on_demand_are_those_normalised_at_once_to_the_last_bit(both: tuple[Split, Split]) -> None:
    for whole, lazy in zip(*map(_parts, both), strict=True):
        assert isinstance(lazy.x, OnDemand)
        assert (lazy.x.shape, len(lazy.x), lazy.x.device) == (whole.x.shape, len(whole), torch.device(CPU))
        assert torch.equal(lazy.y, whole.y)
        chosen = torch.tensor([len(whole) - 1, 0, 3, 0])
        for index in (slice(None), slice(2, 5), slice(0, 1), slice(3, 10**6), chosen):
            assert lazy.x[index].dtype == torch.float32
            assert torch.equal(lazy.x[index], whole.x[index])
    assert both[0].normalisation == both[1].normalisation


def test_where_there_is_no_room_nothing_normalised_is_written(
    small: DatasetSpec, cache: Path, tmp_path: Path
) -> None:
    split = _load(small, cache, tmp_path, limit_bytes=100)
    assert {path.name for path in cache.glob("splits/*/*.npy")} == {
        "rows_train.npy",
        "rows_validation.npy",
        "y_train.npy",
        "y_validation.npy",
        "y_test.npy",
    }
    assert split.residence == (
        "17.6 KiB normalised is more than 0.1 KiB: read from the cache as stored, normalised batch by batch"
    )
    assert _load(small, cache, tmp_path, limit_bytes=100) is split
    assert "normalised, mapped into memory (up to " in _load(small, cache, tmp_path).residence


def test_a_pass_gives_the_same_batches_however_examples_are_kept(
    both: tuple[Split, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_demand, "_CHUNK_BYTES", 1)  # so a chunk is one batch
    order = torch.randperm(32, generator=torch.Generator().manual_seed(4))
    for size in (5, 32, 50):
        whole, lazy = (list(batches(split.train, order, size)) for split in both)
        assert isinstance(both[1].train.x, OnDemand)
        streamed = on_demand._streamed(both[1].train.x, order, size)
        for start, one, other, apart in zip(range(0, 32, size), whole, lazy, streamed, strict=True):
            chosen = order[start : start + size]
            assert torch.equal(one.x, both[0].train.x[chosen])
            assert torch.equal(one.y, both[0].train.y[chosen])
            assert torch.equal(one.x, other.x)
            assert torch.equal(one.y, other.y)
            assert torch.equal(one.x, apart)


@pytest.mark.parametrize("chunk", [1, 700, 1 << 26])
def test_what_is_streamed_is_gathered_here_and_finished_there(
    chunk: int, both: tuple[Split, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    # "meta" stands for a device with a memory of its own.
    monkeypatch.setattr(on_demand, "_CHUNK_BYTES", chunk)
    x, meta = both[1].train.x, torch.device("meta")
    assert isinstance(x, OnDemand)
    assert x.mean is not None
    assert x.std is not None
    away = Part(OnDemand(x.stored, meta, x.rows, x.mean.to(meta), x.std.to(meta)), both[1].train.y.to(meta))
    found = list(batches(away, torch.randperm(32), 10))
    shapes = [(batch.x.device, len(batch.x), len(batch.y)) for batch in found]
    assert shapes == [(meta, size, size) for size in (10, 10, 10, 2)]
    assert away.x[:3].device == meta
    first = next(batches(away, torch.randperm(32), 10))  # left early, the gathering thread ends with it
    assert len(first.x) == 10


@pytest.mark.parametrize(
    ("device", "normalised", "stored", "allowed", "place"),
    [
        (CPU, 400, 100, 400, "normalised"),
        (CPU, 400, 100, 399, "streamed"),
        (GPU, 400, 100, 400, "normalised"),
        (GPU, 400, 100, 399, "stored"),
        (GPU, 400, 100, 100, "stored"),
        (GPU, 400, 100, 99, "streamed"),
        (GPU, 400, 400, 399, "streamed"),
    ],
)
def test_what_fits_is_kept_as_near_to_the_network_as_it_fits(
    device: str, normalised: int, stored: int, allowed: int, place: str
) -> None:
    assert choose(device, normalised, stored, allowed).place == place


def test_half_of_the_memory_of_the_machine_may_be_taken() -> None:
    assert 2**28 < machine_bytes() < 2**50
    assert limit(CPU) == machine_bytes() // 2


def test_resized_images_are_the_same_however_they_are_kept(both: tuple[Split, Split]) -> None:
    if len(both[0].facts.example_shape) == 1:
        return  # features have no size
    large, lazy = (resized(split, 9) for split in both)
    assert large.facts.example_shape == (3, 9, 9)
    for whole, one, other in zip(_parts(both[0]), _parts(large), _parts(lazy), strict=True):
        assert one.x.shape == (len(whole), 3, 9, 9)
        assert torch.equal(one.x[:], other.x[:])
        expected = functional.interpolate(whole.x[2:4], (9, 9), mode="bilinear", antialias=True)
        assert torch.equal(one.x[2:4], expected)
        assert torch.equal(one.y, whole.y)


def test_nothing_is_resized_that_has_the_size(small: DatasetSpec, cache: Path, tmp_path: Path) -> None:
    split = _load(small, cache, tmp_path)
    assert resized(split, None) is split
    large = resized(split, 9)
    assert resized(large, 9) is large


@pytest.mark.parametrize(
    ("shape", "target_shape", "message"),
    [
        ((64,), (), "examples with channels, height and width are needed, those of 'd' have the shape 64"),
        ((3, 8, 8), (8, 8), "one target an example is needed, those of 'd' have the shape 8x8: the"),
    ],
)
def test_what_cannot_be_resized_is_refused(
    shape: tuple[int, ...], target_shape: tuple[int, ...], message: str
) -> None:
    facts = DatasetFacts("d", shape, 3, 40, 10, "f", target_shape=target_shape)
    with pytest.raises(ValueError, match=message):
        resized_facts(facts, 224)
    assert resized_facts(facts, None) is facts
