"""Holds a data set against the contract in `harness.datasets.sources.base`."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from harness.datasets import DatasetSpec, RawData
from harness.datasets.checks import check
from harness.datasets.registry import FORMATS, find_source
from harness.datasets.sources.base import Source
from harness.testing.findings import Finding, found


def check_dataset(name: str, options: Mapping[str, Any] | None = None) -> list[Finding]:
    """Every rule a data set must keep, and whether the one of that name does, without a data folder.

    Raises:
        ValueError: if there is no such data set, it does not take the options, or it is a format of files.
    """
    if name in FORMATS:
        raise ValueError("a format of files is no data set; name it in a study, with a path")
    spec = DatasetSpec(name, name, settings={"options": dict(options)} if options else {})
    source = find_source(spec)
    with TemporaryDirectory() as folder:
        return [
            found("source_identity: the same each time", lambda: _identity(source, spec, Path(folder))),
            found("reading: what can be trained on", lambda: _read(source, spec, Path(folder))),
            found("reading: the same values each time", lambda: _again(source, spec, Path(folder))),
        ]


def _identity(source: Source, spec: DatasetSpec, folder: Path) -> str:
    first, second = (list(source.source_identity(spec, folder)) for _ in range(2))
    if first != second:
        return f"{first!r:.80}, then {second!r:.80}"
    strange = next((part for part in first if not isinstance(part, Path | str)), None)
    return "" if strange is None else f"{strange!r:.80} found, files and strings are allowed"


def _read(source: Source, spec: DatasetSpec, folder: Path) -> str:
    check(source(spec, folder))
    return ""


def _again(source: Source, spec: DatasetSpec, folder: Path) -> str:
    first, second = (_values(source(spec, folder)) for _ in range(2))
    differing = [name for name in first if not np.array_equal(first[name], second[name])]
    return f"{', '.join(differing)} changed" if differing else ""


def _values(raw: RawData) -> dict[str, Any]:
    parts = {"train": raw.train, "test": raw.test}
    return {f"{axis}_{name}": getattr(part, axis) for name, part in parts.items() for axis in "xy"}
