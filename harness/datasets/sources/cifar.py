"""CIFAR-10 and CIFAR-100 as published, read and fetched by torchvision's classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.datasets.base import DataError, DatasetSpec
from harness.datasets.sources.base import RawData, RawPart
from harness.datasets.sources.downloads import fetch


@dataclass(frozen=True, slots=True)
class Cifar:
    """Colour images of 32×32, 50,000 for training and 10,000 for testing, as published.

    class_name: torchvision's class. folder, files: what it reads, noted here to spare importing torch.
    """

    class_name: str
    folder: str
    files: tuple[str, ...]
    classes: int

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        files = [Path(self.folder, file) for file in self.files]
        fetch(spec.source, self.class_name, data_root, files)
        return [data_root / file for file in files]

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        import torchvision

        reader = getattr(torchvision.datasets, self.class_name)
        folder = data_root / self.folder
        # The class compares MD5 sums too, before it unpickles anything, but does not say which file is wrong.
        sums = {
            **dict(reader.train_list),
            **dict(reader.test_list),
            reader.meta["filename"]: reader.meta["md5"],
        }
        for file, md5 in sums.items():
            if not torchvision.datasets.utils.check_integrity(str(folder / file), md5):
                raise DataError(
                    f"{folder / file}: other bytes found than those of the published {spec.source} "
                    f"(MD5 {md5}): the file is truncated, damaged or of another data set"
                )
        train, test = (_part(reader(data_root, train=train), str(folder)) for train in (True, False))
        return RawData(train, test, classes=self.classes)


def _part(read: Any, folder: str) -> RawPart:
    where = f"{folder}, {'training' if read.train else 'test'} set"
    x = np.ascontiguousarray(read.data.transpose(0, 3, 1, 2))  # torchvision keeps the colours last
    return RawPart(x, np.asarray(read.targets), f"{where}: data", f"{where}: labels")


CIFAR10 = Cifar(
    "CIFAR10",
    "cifar-10-batches-py",
    (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"),
    classes=10,
)
CIFAR100 = Cifar("CIFAR100", "cifar-100-python", ("train", "test", "meta"), classes=100)
