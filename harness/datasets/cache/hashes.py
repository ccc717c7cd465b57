"""SHA-256 of files, remembered while their size, times and inode stay as they were.

A remembered hash costs one `stat`, so that both the files that a data set comes from and the arrays of the
disk cache can be compared by content each time they are used. Damage beneath the file system, which changes
no time, goes unseen until a file is read through again.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from harness.datasets.base import DataError

#: A file changed this shortly before it was hashed may change again without a new time: do not remember it.
_UNSETTLED_NS = 2_000_000_000

_Stamp = list[int]


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(paths: Sequence[Path], memory: Path) -> dict[Path, str]:
    """SHA-256 of each file's bytes; files that did not change since it was worked out are not read again.

    Args:
        paths: files that are there.
        memory: folder in which hashes are remembered; nothing is remembered where it cannot be written.
    """
    remembered = _recall(paths, memory)
    hashes: dict[Path, str] = {}
    settled: dict[Path, tuple[_Stamp, str]] = {}
    for path in paths:
        before = _stamp(path)
        known = remembered.get(str(path))
        if known is not None and known[0] == before:
            digest, steady = known[1], True
        else:
            newest_that_is_settled = time.time_ns() - _UNSETTLED_NS
            digest = hash_file(path)
            steady = _stamp(path) == before and max(before[1:3]) <= newest_that_is_settled
        hashes[path] = digest
        if steady:
            settled[path] = (before, digest)
    if {str(path): value for path, value in settled.items()} != remembered:
        _write(paths, settled, memory)
    return hashes


def remember(hashes: Mapping[Path, str], memory: Path) -> None:
    """Note the hashes of files that this process has just written and that nobody else writes."""
    _write(list(hashes), {path: (_stamp(path), digest) for path, digest in hashes.items()}, memory)


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for, a device read without end
        raise DataError(f"{path}: neither a file nor a link to one found")
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _memo(paths: Sequence[Path], memory: Path) -> Path:
    names = "\n".join(str(path) for path in paths)
    return memory / f"{hashlib.sha256(names.encode()).hexdigest()[:32]}.json"


def _recall(paths: Sequence[Path], memory: Path) -> dict[str, tuple[_Stamp, str]]:
    memo = _memo(paths, memory)
    if not memo.exists():
        return {}
    try:
        return {path: (stamp, digest) for path, (stamp, digest) in json.loads(memo.read_bytes()).items()}
    except (ValueError, TypeError, AttributeError):
        return {}  # cut short by a crash: what it said is worked out again


def _write(paths: Sequence[Path], settled: Mapping[Path, tuple[_Stamp, str]], memory: Path) -> None:
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        return  # a cache that may only be read still serves; files are then hashed each time
    memo = _memo(paths, memory)
    temporary = memo.with_name(f".{memo.name}.{uuid4().hex}")
    temporary.write_text(json.dumps({str(path): value for path, value in settled.items()}))
    temporary.replace(memo)
