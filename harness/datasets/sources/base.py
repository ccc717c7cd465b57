"""What every data source must be, and what it hands over: arrays, not yet checked or normalised."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.datasets.base import DatasetSpec, Target


@dataclass(frozen=True, slots=True, eq=False)
class RawPart:
    """Examples and labels of one part.

    x: uint8 or floating [examples, *example_shape]. Images are [examples, channels, height, width].
    y: classes are integers [examples], or [examples, height, width] with one for each pixel; numbers are
    integers or floating [examples, ...]. x_field, y_field: how messages call them: file and field.
    """

    x: "NDArray[Any]"
    y: "NDArray[Any]"
    x_field: str
    y_field: str


@dataclass(frozen=True, slots=True, eq=False)
class RawData:
    """A decoded data set.

    classes: how many it is known to have; None to take the labels' word for it. target: what y holds.
    """

    train: RawPart
    test: RawPart
    classes: int | None = None
    target: "Target" = "classes"


def target_of(y: "NDArray[Any]", said: "Target | None") -> "Target":
    """What targets are: as the study says, else whole numbers are classes and fractional ones numbers."""
    return said or ("numbers" if y.dtype.kind == "f" else "classes")


class Source(Protocol):
    """A known data set, or a file format. A plug-in registers one in the group `sizing_harness.datasets`.

    Loaders read and nothing else: labels, shapes and finiteness are checked for all of them in one place.
    """

    def source_identity(self, spec: "DatasetSpec", data_root: Path) -> Sequence[Path | str]:
        """Make sure that the source is there, fetching it if it can be, and say what the data depends on.

        Asked each time that the data set is used, so it must be cheap and must not import heavy libraries
        unless it fetches.

        Returns:
            Files, which are compared by content, and strings, compared as they are (the version of a library
            that decides the decoded values, say). The data set is decoded anew when any of them changes.

        Raises:
            DataError: if the source is not there, in one sentence.
        """
        ...

    def __call__(self, spec: "DatasetSpec", data_root: Path) -> RawData:
        """Read and decode everything.

        Raises:
            DataError: if a file cannot be read, in one sentence that names file and field.
        """
        ...
