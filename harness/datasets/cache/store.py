"""The disk cache: folders of arrays that appear whole or not at all.

    CACHE/decoded/KEY/   a data set as its source holds it       CACHE/hashes/   see `hashes`
    CACHE/splits/KEY/    its normalised parts                    CACHE/locks/    one lock file a key
    CACHE/data/          data sets that were downloaded

An entry is written to a temporary folder, flushed to the disk and renamed into place, so a killed writer
leaves nothing that could be taken for an entry. A lock lets one process build while others wait for it;
where a shared file system does not honour locks, the process that comes second discards its work. Entries are
never changed once in place, so they can be mapped into memory and shared by all processes of a machine. The
whole folder may be deleted whenever nothing runs.

An entry is used only if every array has the size and SHA-256 that its meta.json states (the latter is read
through once and then trusted while the file's size, times and inode stay the same); otherwise it is rebuilt.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from harness.datasets.base import DataError
from harness.datasets.cache.hashes import hash_file, hash_files, remember

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A temporary folder that nothing was written to for so long belongs to a writer that was killed.
_ABANDONED_SECONDS = 3600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A folder of arrays. about: what its builder noted, in JSON values."""

    folder: Path
    about: Mapping[str, Any]

    def array(self, name: str) -> "NDArray[Any]":
        """The array NAME.npy, mapped into memory: pages are shared with every process that maps it.

        Writing to it is allowed, stays in this process, and never reaches the file.
        """
        import numpy as np

        array: NDArray[Any] = np.load(self.folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
        return array


def cache_folder(cache_root: Path | None) -> Path:
    """The cache: the folder given, else $HARNESS_CACHE, else ~/.cache/sizing-harness.

    Raises:
        DataError: if HARNESS_CACHE is not absolute: workers, which run in folders of their own, would each
            take it for another one.
    """
    if cache_root is not None:
        return cache_root.absolute()
    named = os.environ.get("HARNESS_CACHE")
    if not named:
        return Path.home() / ".cache" / "sizing-harness"
    folder = Path(named).expanduser()
    if not folder.is_absolute():
        raise DataError(f"environment variable HARNESS_CACHE: {named!r} found, an absolute path is allowed")
    return folder


def get_or_build(
    cache: Path, kind: str, key: str, build: Callable[[Path], Mapping[str, Any]], needed: tuple[str, ...]
) -> Entry:
    """The entry of a key, built first if it is not there or is damaged.

    Args:
        cache: the cache's folder.
        kind: "decoded" or "splits".
        key: names the entry; two builders of one key must write the same bytes.
        build: writes .npy files into the folder it is given; returns what to note about them.
        needed: names of the arrays that the entry must hold.

    Raises:
        DataError: if the cache cannot be written, or whatever `build` raises.
    """
    folder = cache / kind / key
    entry = _open(cache, folder, needed)
    if entry is not None:
        return entry
    from filelock import FileLock  # here, because it takes longer to import than an entry takes to open

    try:
        for name in (kind, "locks", "hashes"):
            (cache / name).mkdir(parents=True, exist_ok=True)
        with FileLock(cache / "locks" / f"{kind}-{key}"):
            entry = _open(cache, folder, needed)  # another process may have built it meanwhile
            return entry if entry is not None else _build(cache, folder, build, needed)
    except OSError as error:
        raise DataError(
            f"{cache}: the data cache cannot be written ({error.strerror or error}); "
            f"free some space or name another folder in HARNESS_CACHE"
        ) from error


def _build(
    cache: Path, folder: Path, build: Callable[[Path], Mapping[str, Any]], needed: tuple[str, ...]
) -> Entry:
    _remove_abandoned(folder.parent)
    if folder.exists():
        damaged = _temporary(folder)
        folder.rename(damaged)  # processes that have mapped its files keep what they see
        shutil.rmtree(damaged)
    temporary = _temporary(folder)
    temporary.mkdir()
    try:
        about = build(temporary)
        hashes = {path.name: hash_file(path) for path in sorted(temporary.iterdir())}
        files = {
            name: {"bytes": (temporary / name).stat().st_size, "sha256": hashes[name]} for name in hashes
        }
        body = {"about": dict(about), "files": files}
        (temporary / "meta.json").write_text(json.dumps({"body": body, "sha256": _digest(body)}, indent=1))
        for path in (*temporary.iterdir(), temporary):
            _flush(path)
        try:
            temporary.rename(folder)
        except OSError:
            first = _open(cache, folder, needed)  # of another process, where locks do not hold
            if first is None:
                raise
            return first
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # there only if it did not become the entry
    _flush(folder.parent)
    remember({folder / name: sha for name, sha in hashes.items()}, cache / "hashes")
    return Entry(folder, body["about"])


def _temporary(folder: Path) -> Path:
    return folder.parent / f".tmp-{folder.name}-{uuid4().hex}"


def _open(cache: Path, folder: Path, needed: tuple[str, ...]) -> Entry | None:
    """The entry, or None if it is not there or cannot be trusted."""
    if not folder.is_dir():
        return None
    try:
        meta = json.loads((folder / "meta.json").read_bytes())
        body = meta["body"]
        if meta["sha256"] != _digest(body):
            raise ValueError("meta.json was changed")
        files: Mapping[str, Any] = body["files"]
        if missing := [name for name in needed if f"{name}.npy" not in files]:
            raise ValueError(f"{missing[0]}.npy is not listed in meta.json")
        paths = [folder / name for name in files]
        for path in paths:
            if path.stat().st_size != files[path.name]["bytes"]:
                raise ValueError(f"{path.name} has another size than when it was written")
        for path, digest in hash_files(paths, cache / "hashes").items():
            if digest != files[path.name]["sha256"]:
                raise ValueError(f"{path.name} has other content than when it was written")
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s: this part of the data cache is damaged (%s) and is made again", folder, error)
        return None
    return Entry(folder, body["about"])


def _remove_abandoned(parent: Path) -> None:
    for temporary in parent.glob(".tmp-*"):
        try:
            newest = max(path.stat().st_mtime for path in (temporary, *temporary.iterdir()))
        except FileNotFoundError:
            continue  # its writer has just finished
        if newest < time.time() - _ABANDONED_SECONDS:
            shutil.rmtree(temporary, ignore_errors=True)


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
