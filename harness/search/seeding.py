"""Seeds from names: every random choice has its own, derived from the study's seed and what it is for."""

import hashlib
import json
from typing import Any


def digest(*parts: Any) -> str:
    """SHA-256, in hexadecimal, of JSON-ready parts; equal parts give equal digests on every machine."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def derive_seed(*parts: Any, bits: int = 63) -> int:
    """A seed in [0, 2**bits) that depends on every part."""
    return int(digest(*parts), 16) % (1 << bits)
