"""Which sets of trials the pages of a folder were made of."""

import hashlib
import json
from pathlib import Path

from reports.table.checks import TrialTable


def looked_at(out: Path, table: TrialTable) -> list[str]:
    """Digests of the different sets of trials that pages in this folder were made of, this one's last.

    A page made again of the same trials is no further look. What an earlier page tells is in its
    `results.json`; one that cannot be read, or tells nothing, counts as none.
    """
    present = _digest(table)
    try:
        earlier = json.loads((out / "results.json").read_text(encoding="utf-8")).get("looked_at", [])
    except (OSError, ValueError, AttributeError):
        earlier = []
    known = [str(entry) for entry in earlier] if isinstance(earlier, list) else []
    return [entry for entry in known if entry != present] + [present]


def _digest(table: TrialTable) -> str:
    """Of which trials there are; their order does not matter."""
    names = ["dataset", "architecture", "method", "trial_id"]
    rows = sorted(map("\x1f".join, table.trials[names].astype(str).to_numpy()))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]
