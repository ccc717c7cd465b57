"""A data set in the disk cache: decoded once, checked once, and its facts at hand."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.datasets.base import DataError, DatasetFacts, DatasetSpec
from harness.datasets.cache.hashes import hash_files
from harness.datasets.cache.store import Entry, cache_folder, get_or_build
from harness.datasets.checks import check
from harness.datasets.constant import constant_scores
from harness.datasets.registry import find_source
from harness.datasets.sources.base import Source

#: Part of every key: raise it when the same source shall be decoded into other values.
_FORMAT = 1
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def prepare(spec: DatasetSpec, data_root: Path | None, cache_root: Path | None = None) -> DatasetFacts:
    """Make sure that a data set is decoded in the disk cache.

    Milliseconds if it is: files whose size, times and inode are as they were are not read again. Imports no
    torch unless something must be downloaded or torchvision is needed to decode it.

    Args:
        spec: the data set.
        data_root: the data folder; None for one inside the cache, which downloads go to.
        cache_root: the cache; None for $HARNESS_CACHE, else ~/.cache/sizing-harness.

    Raises:
        DataError: if the data set cannot be used, in one sentence.
    """
    return facts_of(spec, decoded(spec, data_root, cache_root))


def facts_of(spec: DatasetSpec, entry: Entry) -> DatasetFacts:
    """The facts of a decoded data set, under the name that the study gives it."""
    about = entry.about
    return DatasetFacts(
        name=spec.name,
        example_shape=tuple(about["example_shape"]),
        outputs=about["outputs"],
        train_examples=about["train_examples"],
        test_examples=about["test_examples"],
        fingerprint=about["fingerprint"],
        target=about.get("target", "classes"),
        target_shape=tuple(about.get("target_shape", ())),
        # An entry of an earlier version lacks them; it holds one class an example, which is soon counted.
        constant_scores=about.get("constant_scores")
        or constant_scores(entry.array("y_train"), entry.array("y_test"), "classes"),
    )


def decoded(spec: DatasetSpec, data_root: Path | None, cache_root: Path | None = None) -> Entry:
    """The decoded data set: x_train, x_test, uint8 or float32; y_train, y_test, int64 or float32."""
    cache = cache_folder(cache_root)
    root = cache / "data" if data_root is None else data_root.absolute()
    source = find_source(spec)
    key = _key(source, spec, root, cache)
    return get_or_build(cache, "decoded", key, lambda folder: _decode(source, spec, root, folder), _ARRAYS)


def _key(source: Source, spec: DatasetSpec, root: Path, cache: Path) -> str:
    parts = source.source_identity(spec, root)
    files = [part for part in parts if isinstance(part, Path)]
    try:
        hashes = hash_files(files, cache / "hashes")
    except OSError as error:
        raise DataError(f"data set {spec.name!r} cannot be read: {error}") from error
    named = [part if isinstance(part, str) else [part.name, hashes[part]] for part in parts]
    said = [spec.settings] if spec.settings else []
    return hashlib.sha256(json.dumps([_FORMAT, spec.source, named, *said]).encode()).hexdigest()[:32]


def _decode(source: Source, spec: DatasetSpec, root: Path, folder: Path) -> Mapping[str, Any]:
    try:
        raw = source(spec, root)
    except OSError as error:
        raise DataError(f"data set {spec.name!r} cannot be read: {error}") from error
    data = check(raw)
    arrays = dict(zip(_ARRAYS, (data.train.x, data.train.y, data.test.x, data.test.y), strict=True))
    fingerprint = hashlib.sha256()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
        fingerprint.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        fingerprint.update(array.data)
    return {
        "example_shape": list(data.train.x.shape[1:]),
        "outputs": data.outputs,
        "train_examples": len(data.train.y),
        "test_examples": len(data.test.y),
        "fingerprint": fingerprint.hexdigest(),
        "target": data.target,
        "target_shape": list(data.train.y.shape[1:]),
        "constant_scores": constant_scores(data.train.y, data.test.y, data.target),
    }
