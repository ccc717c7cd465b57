"""Which data sources there are: those of the house, and those of other packages."""

from importlib.metadata import entry_points

from harness.datasets.base import DataError, DatasetSpec
from harness.datasets.sources.base import Source
from harness.datasets.sources.cifar import CIFAR10, CIFAR100
from harness.datasets.sources.digits import Digits
from harness.datasets.sources.mnist import MnistLayout
from harness.datasets.sources.npz import Npz
from harness.datasets.sources.parquet import Parquet
from harness.nearest import nearest

#: Entry points of this group name an object that follows the protocol `Source`, or a class of such objects
#: that is called without arguments.
GROUP = "sizing_harness.datasets"

#: Read from the data folder under a name of their own; fetched if absent and a network is there.
KNOWN_SETS: dict[str, Source] = {
    "digits": Digits(),
    "mnist": MnistLayout("MNIST"),
    "fashion-mnist": MnistLayout("FashionMNIST"),
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
}

#: Formats of files that the user gives.
FORMATS: dict[str, Source] = {"parquet": Parquet(), "npz": Npz()}


def source_names() -> tuple[str, ...]:
    """Names of all sources, those of other packages last."""
    own = (*KNOWN_SETS, *FORMATS)
    return (*own, *sorted({entry.name for entry in entry_points(group=GROUP)} - set(own)))


def find_source(spec: DatasetSpec) -> Source:
    """The source that a data set names. The house's own names cannot be taken by other packages.

    Raises:
        DataError: if there is none of that name, it cannot be imported, or it has a path too many or too few.
    """
    if spec.source in KNOWN_SETS:
        if spec.path is not None:
            raise DataError(
                f"data set {spec.name!r}, field 'path': {spec.path!r} found, but {spec.source!r} is a known "
                f"data set and takes none: it is looked for in the data folder"
            )
        return KNOWN_SETS[spec.source]
    if spec.source in FORMATS:
        if spec.path is None:
            raise DataError(
                f"data set {spec.name!r}, field 'path': nothing found, but the source {spec.source!r} "
                f"needs a path, relative to the data folder or absolute"
            )
        return FORMATS[spec.source]
    return _plugged_in(spec)


def _plugged_in(spec: DatasetSpec) -> Source:
    entry = next(iter(entry_points(group=GROUP, name=spec.source)), None)
    if entry is None:
        raise DataError(
            f"data set {spec.name!r}, field 'source': {spec.source!r} found"
            f"{nearest(spec.source, source_names())}"
        )
    try:
        found = entry.load()
    except (ImportError, AttributeError) as error:
        raise DataError(
            f"data set {spec.name!r}, field 'source': {spec.source!r} is {entry.value} "
            f"of another package, which cannot be imported ({error})"
        ) from error
    source: Source = found() if isinstance(found, type) else found
    return source
