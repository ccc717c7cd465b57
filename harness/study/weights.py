"""The local weights that a study's networks start with: found, known by content, held against networks."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness import registry
from harness.architectures.apart import ask
from harness.architectures.weights import misfit, shapes_in, shapes_of
from harness.sizing.base import Cell
from harness.study.making import make_architecture
from harness.study.parts import StudyError
from harness.study.schema import ArchitectureEntry, Study


def with_weights_found(study: Study, source: str, data_root: Path | None) -> Study:
    """The same study, knowing where the weights that it names lie: beside its file, or in the data folder.

    Args:
        source: the study file's name, for messages.

    Raises:
        StudyError: if a file is at neither place; all places are named.
    """
    entries = []
    for entry in study.architectures:
        if entry.weights is None:
            entries.append(entry)
            continue
        places = [entry.beside(entry.weights)]
        places += [data_root / entry.weights] if data_root is not None else []
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            looked = " or ".join(str(place) for place in dict.fromkeys(places))
            where = f"{source}: architectures.{entry.name}.weights"
            raise StudyError(f"{where}: {entry.weights} is not there; looked for {looked}")
        entries.append(entry.with_weights_at(file.resolve()))
    return study.model_copy(update={"architectures": entries})


def digest_of(file: Path) -> str:
    """SHA-256 of a file, which is read again only where it has changed. Raises OSError."""
    about = file.stat()
    return _digest(file, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=64)
def _digest(file: Path, changed: int, size: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_weights(
    study: Study, entry: ArchitectureEntry, cell: Cell, sizes: Sequence[Mapping[str, int]]
) -> None:
    """Hold an entry's weights against networks of these sizes; torch is loaded in a process of its own.

    Raises:
        ValueError: in one sentence that names tensors, if the file is none of such a network.
    """
    file = entry.weights_file
    assert file is not None, "only an entry with weights is asked about"
    shapes_in(file)  # before torch is loaded
    about = {
        "entry": entry.model_dump(mode="json"),
        "file": str(file),
        "plugins": study.plugins,
        "example_shape": cell.example_shape,
        "outputs": cell.outputs,
    }
    ask("harness.study.weights:compare", about | {"sizes": [dict(each) for each in sizes]})


def compare(about: Mapping[str, Any]) -> None:
    """`check_weights`, in the process in which it is answered. Raises ValueError."""
    registry.load_study_files(map(Path, about["plugins"]))
    architecture = make_architecture(ArchitectureEntry.model_validate(about["entry"]))
    held = shapes_in(Path(about["file"]))
    for sizes in about["sizes"]:
        wanted, free = shapes_of(architecture, tuple(about["example_shape"]), about["outputs"], sizes)
        if fault := misfit(held, wanted, free):
            units = ", ".join(f"{layer}: {size}" for layer, size in sizes.items())
            raise ValueError(f"{Path(about['file']).name} does not fit a network with {units}: {fault}")
