"""What differs between two plans, told by the place where it stands."""

from typing import Any


def changes(before: Any, after: Any, where: str = "") -> list[str]:
    """What differs between two JSON values, one line a difference, named by its place."""
    if isinstance(before, dict) and isinstance(after, dict):
        lines = []
        for key in [*before, *(key for key in after if key not in before)]:
            step = f"{where}.{key}" if where else str(key)
            if key not in before:
                lines.append(f"{step} is new: {after[key]!r:.80}")
            elif key not in after:
                lines.append(f"{step} is gone, was {before[key]!r:.80}")
            else:
                lines += changes(before[key], after[key], step)
        return lines
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for i, (b, a) in pairs for line in changes(b, a, f"{where}.{i}")]
    if isinstance(before, list) and isinstance(after, list):
        gone = [_name(entry) for entry in before if entry not in after]
        new = [_name(entry) for entry in after if entry not in before]
        parts = [f"lost {', '.join(gone)}"] * bool(gone) + [f"gained {', '.join(new)}"] * bool(new)
        return [f"{where}: {len(before)} entries became {len(after)}: {'; '.join(parts):.160}"]
    return [] if before == after else [f"{where} was {before!r:.80}, is now {after!r:.80}"]


def _name(entry: Any) -> str:
    return str(entry.get("name", entry)) if isinstance(entry, dict) else str(entry)
