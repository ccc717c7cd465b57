"""A folder that appears whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.extraction.errors import ExtractionError


@contextmanager
def whole_or_nothing(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out`, which takes its place when the block ends well, and else is removed.

    Raises:
        ExtractionError: if `out` exists and is no empty folder, or cannot be written.
    """
    _refuse_occupied(out)
    temporary = out.parent / f".{out.name}.{os.getpid()}.partial"
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise ExtractionError(
            f"{out} cannot be written ({error.strerror}); choose another with --out"
        ) from error
    try:
        yield temporary
        _refuse_occupied(out)  # training takes time enough for another to have come first
        temporary.replace(out)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)


def _refuse_occupied(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()) or (out.is_dir() and any(out.iterdir())):
        raise ExtractionError(f"{out} exists and is not an empty folder; choose another with --out")
