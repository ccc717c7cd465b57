"""A part made with the options that a study gives it: a part is a dataclass, its fields are the options."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.nearest import nearest


def with_options(part: type, name: str, options: Mapping[str, Any]) -> Any:
    """The part with these options.

    Args:
        part: a dataclass.
        name: how messages call it.

    Raises:
        ValueError: for an option that it has not, or whose value does not fit, in one sentence.
    """
    assert dataclasses.is_dataclass(part), f"{name} is not a dataclass, so it can have no options"
    fields = {field.name for field in dataclasses.fields(part)}
    for option in options:
        if option not in fields:
            raise ValueError(f"{name} has no option {option!r}{nearest(option, fields)}")
    try:
        return TypeAdapter(part).validate_python(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":  # the part's own check, which says what it found
            raise ValueError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from error
        where = ".".join(str(step) for step in first["loc"])
        message = f"{first['msg'][0].lower()}{first['msg'][1:]}"
        raise ValueError(f"{name}: option {where}: {message}, found {first['input']!r:.80}") from error
