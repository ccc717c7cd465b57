"""Sources of other people: what they raise is told in a sentence, and their code is part of their data."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from harness.datasets.base import DataError, DatasetSpec
from harness.datasets.sources.base import RawData, Source
from harness.plugins.attributes import Origin, code_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stranger:
    """A source of a plug-in file, a package or a module. Decoded anew when its code has changed."""

    source: Source
    origin: Origin

    def source_identity(self, spec: DatasetSpec, data_root: Path) -> Sequence[Path | str]:
        parts = told(spec.source, "source_identity", lambda: self.source.source_identity(spec, data_root))
        return [*parts, json.dumps(code_of(self.origin))]

    def __call__(self, spec: DatasetSpec, data_root: Path) -> RawData:
        raw: Any = told(spec.source, "reading it", lambda: self.source(spec, data_root))
        if not isinstance(raw, RawData):
            raise DataError(f"data set {spec.name!r}: {spec.source} gives {raw!r:.80}, RawData is needed")
        for part in (raw.train, raw.test):
            for field, values in ((part.x_field, part.x), (part.y_field, part.y)):
                if not isinstance(values, np.ndarray):
                    raise DataError(f"{field}: {values!r:.80} found, an array of NumPy is needed")
        return raw


def told(name: str, what: str, question: Callable[[], T]) -> T:
    """What a stranger's code answers.

    Args:
        name, what: how messages call it, and what it is asked.

    Raises:
        DataError: for whatever it raises, in one sentence.
    """
    try:
        return question()
    except DataError:
        raise
    except Exception as error:  # it may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"{name}: {what} raised {reason}") from error
