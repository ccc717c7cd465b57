"""Tables of numbers: CSV or parquet, one row an example, columns for features and targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.datasets.base import DataError, DatasetSpec, Target
from harness.datasets.sources.base import RawData, RawPart
from harness.datasets.sources.columns import check_named, class_targets, number_targets, numbers, read_table
from harness.datasets.sources.parting import parted
from harness.datasets.sources.places import located

if TYPE_CHECKING:
    import pyarrow as pa

_SUFFIXES = (".csv", ".tsv", ".parquet")
#: How columns are called that pandas writes for the index of its frame.
_INDEX = ("", "Unnamed: 0", "__index_level_0__")


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV or parquet file, or a folder with train.* and test.*; one row an example.

    target: the column of the target, or several, which are numbers then. features: columns that a network
    sees; all others unless said. kind: what the target is; unless said, whole numbers, words, true and false
    are classes, in their order, and fractional numbers are numbers. test: the file of the test part, looked
    for as `path` is; or test_fraction: share of the rows, drawn by `test_seed`, from every class alike.
    """

    target: str | list[str] | None = None
    features: list[str] | None = None
    kind: Target | None = None
    test: str | None = None
    test_fraction: float | None = None
    test_seed: int = 0

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        return self._files(spec, data_root)

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        if not self.target:
            raise DataError(
                f"data set {spec.name!r}, field 'target': nothing found, a column's name is needed"
            )
        targets = [self.target] if isinstance(self.target, str) else self.target
        files = self._files(spec, data_root)
        tables = [read_table(file) for file in files]
        features = self._features(files[0], tables[0], targets)
        for file, table in zip(files, tables, strict=True):
            check_named(file, table, [*features, *targets])
        kind = self._kind(tables[0], targets)
        xs = [
            np.stack([numbers(file, table, name, "features") for name in features], axis=1)
            for file, table in zip(files, tables, strict=True)
        ]
        ys = (
            class_targets(files, tables, targets)
            if kind == "classes"
            else number_targets(files, tables, targets)
        )
        if len(files) == 1:
            assert self.test_fraction is not None
            labels = ys[0] if kind == "classes" else None
            indices = parted(spec.name, len(ys[0]), self.test_fraction, self.test_seed, labels)
            files, xs, ys = files * 2, [xs[0][part] for part in indices], [ys[0][part] for part in indices]
        named = f"column{'s' if len(targets) > 1 else ''} {', '.join(map(repr, targets))}"
        train, test = (
            RawPart(x, y, f"{file}: features", f"{file}: {named}")
            for file, x, y in zip(files, xs, ys, strict=True)
        )
        return RawData(train, test, target=kind)

    def _files(self, spec: DatasetSpec, data_root: Path) -> list[Path]:
        """The table for training and that for testing; one alone if the test part is drawn from it."""
        if self.test is not None and self.test_fraction is not None:
            raise DataError(f"data set {spec.name!r}: both 'test' and 'test_fraction' found, one is allowed")
        path = located(spec, data_root)
        if path.is_dir():
            inner = [_in_folder(path, part) for part in ("train", "test")]
            if self.test is not None or self.test_fraction is not None:
                field = "test" if self.test is not None else "test_fraction"
                raise DataError(f"data set {spec.name!r}, field {field!r}: found, but {inner[1]} is there")
            return inner
        if self.test is not None:
            files = [path, located(spec, data_root, "test", self.test)]
        elif self.test_fraction is not None:
            files = [path]
        else:
            raise DataError(
                f"data set {spec.name!r}: {path} is one table; `test: FILE` or `test_fraction` is needed"
            )
        for file in files:
            if not file.is_file() or not file.name.removesuffix(".gz").endswith(_SUFFIXES):
                raise DataError(f"{file}: no table found, files {', '.join(_SUFFIXES)} are read")
        return files

    def _features(self, file: Path, table: "pa.Table", targets: Sequence[str]) -> list[str]:
        twice = next((name for name in table.column_names if table.column_names.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"{file}: two columns {twice!r} found, names that differ are needed")
        if self.features is None:
            features = [name for name in table.column_names if name not in targets]
            for name in features:
                if name in _INDEX:
                    raise DataError(
                        f"{file}: a column {name!r} found, which looks like row numbers; name the columns "
                        f"that a network is to see under `features`"
                    )
        else:
            features = self.features
            if both := [name for name in features if name in targets]:
                raise DataError(f"{file}: column {both[0]!r} is named as a feature and as a target")
        if not features:
            raise DataError(f"{file}: no columns found beside {', '.join(targets)}, one feature is needed")
        return features

    def _kind(self, table: "pa.Table", targets: Sequence[str]) -> Target:
        import pyarrow.types as types

        if self.kind is not None:
            return self.kind
        held = [table.schema.field(name).type for name in targets]
        measured = len(held) > 1 or types.is_floating(held[0]) or types.is_decimal(held[0])
        return "numbers" if measured else "classes"


def _in_folder(folder: Path, part: str) -> Path:
    found = [folder / f"{part}{suffix}" for suffix in _SUFFIXES if (folder / f"{part}{suffix}").is_file()]
    if len(found) != 1:
        what = " and ".join(file.name for file in found) or "none"
        raise DataError(f"{folder}: one of {', '.join(part + s for s in _SUFFIXES)} is needed, {what} found")
    return found[0]
