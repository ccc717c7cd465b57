"""Help after a misspelling."""

import difflib
from collections.abc import Iterable


def nearest(found: str, allowed: Iterable[str]) -> str:
    """A sentence's end that helps after a misspelling: ' (did you mean ...?); allowed: ...'."""
    names = sorted(allowed)
    close = difflib.get_close_matches(found, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return (
        f"{hint} Allowed: {', '.join(names) or 'none'}"
        if hint
        else f"; allowed: {', '.join(names) or 'none'}"
    )
