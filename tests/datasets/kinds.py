"""Kinds of what the fixtures here give."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from harness.datasets import DatasetSpec

#: Name -> array, as an .npz file holds them.
Arrays = dict[str, NDArray[Any]]
#: Writes arrays to a file in the test's folder; gives the data set.
WriteNpz = Callable[[Arrays], DatasetSpec]
#: The sentence that a data set is refused with, from the data folder or without one.
Refusal = Callable[[DatasetSpec, Path | None], str]
