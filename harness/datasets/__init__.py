"""Data sets as tensors: loaders, one validation split, a disk cache. Importing it loads no torch."""

from harness.datasets.base import DataError, DatasetFacts, DatasetSpec, Normalisation, Part, Split, Target
from harness.datasets.preparation import prepare
from harness.datasets.registry import source_names
from harness.datasets.sources.base import RawData, RawPart, Source
from harness.datasets.splitting import forget_splits, load_split, validation_count

__all__ = [
    "DataError",
    "DatasetFacts",
    "DatasetSpec",
    "Normalisation",
    "Part",
    "RawData",
    "RawPart",
    "Source",
    "Split",
    "Target",
    "forget_splits",
    "load_split",
    "prepare",
    "source_names",
    "validation_count",
]
