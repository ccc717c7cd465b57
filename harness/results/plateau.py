"""Whether a network's size has settled: one stated rule, so that no run counts as done because it ended."""

from collections.abc import Sequence

#: Over the last fifth of the epochs ...
LAST_SHARE = 0.2
#: ... at most this share of the units may have gone or come (one unit is always allowed).
TOLERANCE = 0.02
#: Fewer epochs than this say nothing.
LEAST_EPOCHS = 10


def size_has_settled(units: Sequence[int]) -> bool | None:
    """Whether the number of units stayed as good as the same over the last fifth of the epochs.

    Args:
        units: total units of the sized layers at the end of each epoch.

    Returns:
        True or False by the rule above; None where there are too few epochs to say.
    """
    if len(units) < LEAST_EPOCHS:
        return None
    window = units[-round(len(units) * LAST_SHARE) - 1 :]
    return max(window) - min(window) <= max(1, TOLERANCE * window[0])
