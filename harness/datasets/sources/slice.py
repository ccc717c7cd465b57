"""A slice of a data set's training part, for those who want a look before they wait."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.datasets.base import DataError, DatasetSpec
from harness.datasets.sources.base import RawData, Source

#: One for everybody, so that slices of the same length are the same slice.
_SEED = 0


@dataclass(frozen=True, slots=True)
class Slice:
    """So many training examples of a source, of every class the same share; the test part is left whole."""

    source: Source
    train_examples: int

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        return self.source.source_identity(spec, data_root)

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        import numpy as np

        from harness.datasets.sources.parting import share, taken

        whole = self.source(spec, data_root)
        found, where = len(whole.train.y), f"data set {spec.name!r}, field 'train_examples'"
        if self.train_examples > found:
            raise DataError(f"{where}: {self.train_examples} found, but there are {found}; leave it out")
        is_class = whole.target == "classes" and whole.train.y.ndim == 1
        labels = whole.train.y if is_class else None
        _, chosen = share(found, self.train_examples / found, _SEED, labels)
        if labels is not None and len(gone := np.setdiff1d(labels, labels[chosen])):
            raise DataError(f"{where}: {self.train_examples} found, which leaves none of class {gone[0]}")
        return replace(whole, train=taken(whole.train, chosen))
