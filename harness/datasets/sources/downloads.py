"""Fetching what torchvision knows where to find."""

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from harness.datasets.base import DataError

#: How long to wait for an answer before giving a server up. Torchvision's downloads wait for ever.
_ANSWER_SECONDS = 30.0


def fetch(source: str, class_name: str, data_root: Path, files: Sequence[Path]) -> None:
    """Download a data set of torchvision and put it into the data folder; nothing if it is there.

    A download that is cut short leaves none of the files: torchvision itself, finding an unpacked file, does
    not ask whether it is whole.

    Args:
        source: the data set's name in a study.
        class_name: torchvision's class.
        data_root: the data folder; made if it is not there.
        files: what the class makes there, relative to the data folder.

    Raises:
        DataError: if it cannot be fetched or written.
    """
    if all((data_root / file).is_file() for file in files):
        return
    from filelock import FileLock

    temporary = data_root / f".download-{class_name}"
    try:
        data_root.mkdir(parents=True, exist_ok=True)
        with FileLock(data_root / f".{class_name}.lock"):
            missing = [file for file in files if not (data_root / file).is_file()]
            if missing:  # else another process has fetched it meanwhile
                shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
                _download(class_name, temporary)
            for file in missing:
                (data_root / file).parent.mkdir(parents=True, exist_ok=True)
                (temporary / file).replace(data_root / file)
            shutil.rmtree(temporary, ignore_errors=True)
    except (OSError, RuntimeError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        reason = " ".join(str(error).split())
        raise DataError(
            f"{data_root}: the data set {source!r} ({files[0]} and so on) is not in this folder and could "
            f"not be downloaded ({reason}); name the folder that holds it"
        ) from error


def _download(class_name: str, root: Path) -> None:
    import torchvision

    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_ANSWER_SECONDS)
    try:
        getattr(torchvision.datasets, class_name)(root, download=True)
    finally:
        socket.setdefaulttimeout(patience)
