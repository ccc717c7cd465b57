"""Versions of what lies on disk: read as it is, migrated, or refused in one sentence; never misread."""


class VersionError(ValueError):
    """A file was written by a newer version of the harness; the message names it and says what to do."""


def check_version(found: object, newest: int, file: object) -> None:
    """Refuse what only a newer version understands.

    Args:
        found: the version that the file carries.
        newest: the newest that this harness reads.

    Raises:
        VersionError: if it is newer, or no version at all.
    """
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise VersionError(
            f"{file}: version {found!r:.40} found; a whole number from 1 to {newest} is needed"
        )
    if found > newest:
        raise VersionError(
            f"{file} was written by a newer version of the harness (version {found} of this kind of file; up "
            f"to {newest} are read here); install a newer sizing-harness"
        )
