"""The values of a study's YAML: plain ones, and within the limits, before any is made."""

from collections.abc import Hashable
from typing import Any

import yaml

from harness.study.limits import LARGEST, MOST_LEVELS, MOST_VALUES


class LimitError(ValueError):
    """A text asks for more than a study may hold; the message says for how much, and what the limit is."""


def yaml_values(text: str) -> Any:
    """What a YAML text holds.

    Raises:
        LimitError: if it is too deep, holds too much, refers to itself, or has a number that is too large.
        yaml.YAMLError: if it is no YAML, or writes a field twice.
    """
    _check_extent(text)
    try:
        values = yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError:
        raise
    except ValueError as error:  # of a number of thousands of digits, or a date that is none
        raise LimitError(f"holds a value that cannot be read ({str(error).partition(';')[0]})") from error
    _check_numbers(values)
    return values


def _check_extent(text: str) -> None:
    """Count values as they are read, so that a text which unfolds to billions is never unfolded."""
    total, sizes = 0, dict[str | None, int]()
    open_at: list[tuple[str | None, int]] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_at.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in {anchor for anchor, _ in open_at}:
                raise LimitError(f"has a value that holds itself (*{event.anchor:.40})")
            total += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.NodeEvent):
            total += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_at.append((event.anchor, total - 1))
        if len(open_at) > MOST_LEVELS:
            raise LimitError(f"has more than {MOST_LEVELS} lists or fields inside one another")
        if total > MOST_VALUES:
            raise LimitError(f"holds more than {MOST_VALUES:,} values, those that aliases repeat included")


def _check_numbers(values: Any) -> None:
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += value
        elif isinstance(value, int) and abs(value) > LARGEST:
            digits = value.bit_length() * 30103 // 100_000 + 1
            raise LimitError(f"holds a whole number of some {digits} digits; they go up to {LARGEST}")


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a word; a study must not lose a line that way."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set[Any]()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, Hashable):
                continue  # what cannot be a key is refused below
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the field {name!r:.80} is written twice", node.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)
