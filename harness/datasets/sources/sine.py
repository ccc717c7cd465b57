"""y = sin x, as in *Optimal Lobotomy* (Lee): a regression that needs no files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.datasets.base import DatasetSpec
from harness.datasets.sources.base import RawData, RawPart

_TRAIN, _TEST, _SEED = 10_000, 1_000, 0


class Sine:
    """Pairs of x, drawn evenly from 0 to 2 pi, and sin x: 10,000 for training, as many as the paper has in a
    batch, and 1,000 evenly spaced ones for testing. No noise; a constant answer errs by .5 on average."""

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        return (f"sine {_TRAIN} {_TEST} {_SEED}",)

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        drawn = np.random.Generator(np.random.PCG64(_SEED)).uniform(0, 2 * np.pi, _TRAIN)
        spaced = (np.arange(_TEST) + 0.5) * 2 * np.pi / _TEST
        train, test = (RawPart(x[:, None], np.sin(x), "sine: x", "sine: y") for x in (drawn, spaced))
        return RawData(train, test, target="numbers")
