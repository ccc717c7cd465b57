"""Files of a run's directory, where others can put things too: read if they are files, named if they fail."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NoFileError(ValueError):
    """What lies at a path is no file; the message goes on from its name: "is a folder and no file"."""


def read_file(path: Path) -> bytes:
    """What a file holds, or one that a link leads to.

    Raises:
        NoFileError: if it is anything else: a folder, a pipe, a device, a link that leads nowhere.
        FileNotFoundError: if nothing is there.
        OSError: if it cannot be read.
    """
    try:
        # A pipe that nobody writes to would be waited for.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink() and error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            raise NoFileError("is a link that leads nowhere") from error
        if error.errno == errno.ENXIO:
            raise NoFileError("is a socket and no file") from error
        raise
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        kind = next((name for holds, name in _KINDS if holds(mode)), "something else")
        raise NoFileError(f"is {kind} and no file")
    with open(handle, "rb") as file, naming(path):
        return file.read()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name a file in what goes wrong with it: the system names only those that it cannot open."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def write_whole(path: Path, partial: Path, text: str) -> None:
    """Write a file that is there whole or not at all, in the place of one that was there.

    Args:
        partial: beside it, where the text is gathered; gone afterwards, also if the disk is full.

    Raises:
        OSError: if it cannot be written; it names the file.
    """
    try:
        with open(partial, "w", encoding="utf-8") as file, naming(path):
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
