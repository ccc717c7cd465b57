"""Files of few bytes that unfold to more than there is memory: refused before they are unfolded."""

from harness.datasets.base import DataError
from harness.datasets.residency import machine_bytes


def check_extent(where: str, needed: int) -> None:
    """Refuse what would be decoded to more bytes than this machine has.

    Args:
        where: how messages call it.

    Raises:
        DataError: it does.
    """
    there = machine_bytes()
    if needed > there:
        raise DataError(
            f"{where}: would be unpacked to {needed:,} bytes, more than the {there:,} of this machine's "
            "memory"
        )
