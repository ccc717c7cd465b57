"""Help after a misspelling."""

import difflib
from collections.abc import Iterable


def close_match(found: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that was probably meant; None where none is near."""
    return next(iter(difflib.get_close_matches(found, sorted(allowed), n=1, cutoff=0.5)), None)


def nearest(found: str, allowed: Iterable[str]) -> str:
    """A sentence's end that helps after a misspelling: ' (did you mean ...?); allowed: ...'."""
    names = sorted(allowed)
    close = close_match(found, names)
    hint = f"; did you mean {close!r}?" if close else ""
    return (
        f"{hint} Allowed: {', '.join(names) or 'none'}"
        if hint
        else f"; allowed: {', '.join(names) or 'none'}"
    )
