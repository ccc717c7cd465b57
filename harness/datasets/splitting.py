"""The three parts of a data set as tensors: one split for every caller, its memory shared."""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.base import DataError, DatasetFacts, DatasetSpec, Normalisation, Part, Split
from harness.datasets.cache.store import Entry, cache_folder, get_or_build
from harness.datasets.normalisation import channel_statistics, write_normalised
from harness.datasets.preparation import decoded, facts_of
from harness.datasets.residency import Residence, choose, limit, normalised_bytes

if TYPE_CHECKING:
    import torch

    from harness.datasets.base import Examples

#: Part of every key: raise it when the same data shall be split or normalised otherwise.
_FORMAT = 1
_PARTS = ("train", "validation", "test")
_ARRAYS = tuple(f"{axis}_{part}" for part in _PARTS for axis in "xy")
#: Of a split whose examples stay where the source was decoded.
_ROWS = ("rows_train", "rows_validation", *(f"y_{part}" for part in _PARTS))

#: Splits that a process keeps: a worker takes bundles of several cells in turn.
_KEPT = 4
_kept: OrderedDict[tuple[DatasetSpec, Path, str, int | None], Split] = OrderedDict()
_lock = threading.Lock()


def load_split(
    spec: DatasetSpec,
    data_root: Path | None,
    *,
    validation_fraction: float,
    split_seed: int,
    device: "torch.device | str",
    cache_root: Path | None = None,
    device_share: float = 1.0,
    limit_bytes: int | None = None,
) -> Split:
    """The parts of a data set, normalised by the mean and standard deviation of the training part.

    The same for every arm, trial, process and device: the validation part is the first
    `round(validation_fraction * n)` examples of a permutation of the n training examples that depends on n
    and the split seed alone (see `split_indices`). Means and deviations are per channel: the axis after the
    examples.

    On the CPU the tensors are the pages of the cache's files, shared by all processes of a machine; what one
    writes into them it alone sees. On another device they are copied there once. What is too large for that
    is normalised batch by batch, with the same result (see `residency`). The last few splits are kept in the
    process, so that its trials share them; callers must not change the tensors.

    Args:
        spec: the data set.
        data_root: the data folder; None for one inside the cache.
        validation_fraction: of the training set, above 0 and below 1.
        split_seed: 0 or more.
        device: where the tensors live.
        cache_root: the cache; None for $HARNESS_CACHE, else ~/.cache/sizing-harness.
        device_share: of the device, that this process may use.
        limit_bytes: what the examples may take, normalised; None for a share of the memory there is.

    Raises:
        DataError: if the data set cannot be used, or one of the parts would be empty, in one sentence.
    """
    import torch

    place = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0", so that both are one key
    with _lock:
        source = decoded(spec, data_root, cache_root)
        facts = facts_of(spec, source)
        count = validation_count(spec.name, facts.train_examples, validation_fraction, split_seed)
        parameters = [_FORMAT, facts.fingerprint, count, split_seed]
        key = hashlib.sha256(json.dumps(parameters).encode()).hexdigest()[:32]
        kept = (spec, cache_folder(cache_root) / key, str(place), limit_bytes)
        if kept not in _kept:
            # Not asked again while it is kept: what is free is less then.
            residence = _residence(facts, source, place, device_share, limit_bytes)
            if residence.place == "normalised":
                write, arrays = _write_split, _ARRAYS
            else:
                write, arrays, key = _write_rows, _ROWS, f"{key}-rows"
            entry = get_or_build(
                cache_folder(cache_root),
                "splits",
                key,
                lambda folder: write(source, count, split_seed, folder),
                arrays,
            )
            normalisation = Normalisation(tuple(entry.about["mean"]), tuple(entry.about["std"]))
            examples: list[Examples]
            if residence.place == "normalised":
                examples = [torch.from_numpy(entry.array(f"x_{part}")).to(place) for part in _PARTS]
            else:
                examples = _stored(source, entry, normalisation, residence, place)
            targets = (torch.from_numpy(entry.array(f"y_{part}")).to(place) for part in _PARTS)
            train, validation, test = map(Part, examples, targets)
            _kept[kept] = Split(facts, normalisation, train, validation, test, residence.sentence())
        _kept.move_to_end(kept)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
        return _kept[kept]


def forget_splits() -> None:
    """Let go of the splits that this process keeps, and of the memory they take on a device."""
    with _lock:
        _kept.clear()


def split_indices(
    examples: int, validation_examples: int, split_seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which training examples are for training and which for validation, each in ascending order.

    The permutation is `numpy.random.Generator(PCG64(split_seed)).permutation(examples)`. Its beginning is the
    validation part, so a smaller validation part is a subset of a larger one.
    """
    order = np.random.Generator(np.random.PCG64(split_seed)).permutation(examples)
    return np.sort(order[validation_examples:]), np.sort(order[:validation_examples])


def validation_count(name: str, examples: int, fraction: float, split_seed: int) -> int:
    """How many of the training examples make the validation part.

    Raises:
        DataError: if that leaves none for validation or none for training.
    """
    if split_seed < 0:
        raise DataError(f"data set {name!r}: the split seed {split_seed} found, 0 or more is allowed")
    if not 0 < fraction < 1:
        raise DataError(
            f"data set {name!r}: the validation fraction {fraction} found, above 0 and below 1 is allowed"
        )
    count = round(fraction * examples)
    if count in (0, examples):
        raise DataError(
            f"data set {name!r}: the validation fraction {fraction} found, which of {examples} training "
            f"examples leaves none for {'validation' if count == 0 else 'training'}; "
            f"a fraction that gives from 1 to {examples - 1} examples is allowed"
        )
    return count


def _write_split(source: Entry, validation_examples: int, split_seed: int, folder: Path) -> Mapping[str, Any]:
    x, y, x_test, y_test = (source.array(name) for name in ("x_train", "y_train", "x_test", "y_test"))
    train, validation = split_indices(len(y), validation_examples, split_seed)
    mean, std = channel_statistics(x, train)
    everything = np.arange(len(y_test))
    for part, inputs, labels, indices in (
        ("train", x, y, train),
        ("validation", x, y, validation),
        ("test", x_test, y_test, everything),
    ):
        write_normalised(folder / f"x_{part}.npy", inputs, indices, mean, std)
        np.save(folder / f"y_{part}.npy", labels[indices], allow_pickle=False)
    return {"mean": mean.tolist(), "std": std.tolist()}


def _write_rows(source: Entry, validation_examples: int, split_seed: int, folder: Path) -> Mapping[str, Any]:
    x, y, y_test = (source.array(name) for name in ("x_train", "y_train", "y_test"))
    train, validation = split_indices(len(y), validation_examples, split_seed)
    mean, std = channel_statistics(x, train)
    for part, rows in (("train", train), ("validation", validation)):
        np.save(folder / f"rows_{part}.npy", rows, allow_pickle=False)
        np.save(folder / f"y_{part}.npy", y[rows], allow_pickle=False)
    np.save(folder / "y_test.npy", y_test, allow_pickle=False)
    return {"mean": mean.tolist(), "std": std.tolist()}


def _residence(
    facts: DatasetFacts, source: Entry, place: "torch.device", device_share: float, limit_bytes: int | None
) -> Residence:
    allowed = limit(str(place), device_share) if limit_bytes is None else limit_bytes
    size = normalised_bytes(facts.example_shape, facts.train_examples + facts.test_examples)
    stored = sum(source.array(name).nbytes for name in ("x_train", "x_test"))
    return choose(str(place), size, stored, allowed)


def _stored(
    source: Entry, entry: Entry, normalisation: Normalisation, residence: Residence, place: "torch.device"
) -> "list[Examples]":
    """The examples of the three parts, out of what the source holds; training and validation share theirs."""
    import torch

    from harness.datasets.on_demand import OnDemand

    def tensor(array: NDArray[Any]) -> torch.Tensor:
        found = torch.from_numpy(array)
        return found.to(place) if residence.place == "stored" else found

    trained, tested = tensor(source.array("x_train")), tensor(source.array("x_test"))
    along_channels = (1, -1, *(1,) * (trained.dim() - 2))
    mean, std = (
        torch.tensor(values, dtype=torch.float64, device=place).view(along_channels)
        for values in (normalisation.mean, normalisation.std)
    )
    rows = [tensor(entry.array(f"rows_{part}")) for part in ("train", "validation")]
    return [
        OnDemand(trained, place, rows[0], mean, std),
        OnDemand(trained, place, rows[1], mean, std),
        OnDemand(tested, place, None, mean, std),
    ]
