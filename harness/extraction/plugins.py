"""Plug-in files found again: by the names and digests that were written down when they were used."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import registry
from harness.extraction.errors import ExtractionError


def matching_plugins(
    digests: Mapping[str, str], given: Sequence[Path], *, whose: str, where: str
) -> list[Path]:
    """The plug-in files in the order of their digests (file name -> SHA-256), loaded and proven unchanged.

    Args:
        whose, where: what needs them and where they are named, for messages.

    Raises:
        ExtractionError: if one is missing, changed, not needed, or does not run.
    """
    by_name = {path.name: path.resolve() for path in given}
    for name, path in by_name.items():
        if name not in digests:
            needs = ", ".join(digests) or "none"
            raise ExtractionError(f"plug-in {path}: {whose} has no plug-in of this name; it needs: {needs}")
    for name, digest in digests.items():
        if name not in by_name:
            raise ExtractionError(
                f"{whose} needs the plug-in {name} (SHA-256 {digest[:12]}...); name the file with {where}"
            )
        try:
            found = hashlib.sha256(by_name[name].read_bytes()).hexdigest()
        except OSError as error:
            raise ExtractionError(f"plug-in {by_name[name]} cannot be used: {error}") from error
        if found != digest:
            raise ExtractionError(
                f"plug-in {by_name[name]} is not the one that was used: its SHA-256 is {found[:12]}..., "
                f"{digest[:12]}... is needed"
            )
    paths = [by_name[name] for name in digests]
    try:
        registry.load_study_files(paths)  # they were of use when they were written down
    except ValueError as error:
        raise ExtractionError(f"{whose} cannot be had again: {error}") from error
    return paths
