"""scikit-learn's bundled digits: 1,797 grey images of 8×8, no download."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from harness.datasets.base import DatasetSpec
from harness.datasets.sources.base import RawData, RawPart


class Digits:
    """Grey images of 8×8 in ten classes, bundled with scikit-learn: 1,438 for training and 359 for testing.

    Every fifth example of each class, in the order of the file, is the test set: always the same 20 %.
    """

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        return (f"scikit-learn {version('scikit-learn')}",)

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        x = bunch.images.astype(np.uint8)[:, None]  # whole numbers from 0 to 16
        y = bunch.target
        test = np.zeros(len(y), dtype=bool)
        for label in np.unique(y):
            test[np.flatnonzero(y == label)[2::5]] = True
        fields = "scikit-learn's digits: images", "scikit-learn's digits: target"
        return RawData(RawPart(x[~test], y[~test], *fields), RawPart(x[test], y[test], *fields), classes=10)
