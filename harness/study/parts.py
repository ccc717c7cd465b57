"""What all parts of a study file have in common: no unknown field, an identity, values for JSON."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from harness.study.limits import LARGEST, MOST_TRIALS, MOST_UNITS


class StudyError(ValueError):
    """A study cannot be used as written; the message names file, field, what was found, what is allowed."""


def added(version: int, default: Any, **about: Any) -> Any:
    """A field that plans have since a later version: at its default it enters no trial's id (`identity`)."""
    return Field(default=default, json_schema_extra={"since": version}, **about)


class Part(BaseModel):
    """A part of a study file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def identity(self) -> dict[str, Any]:
        """What the part decides, ready for JSON: what trials' ids are made of, and plans are compared by.

        What came after version 1 is left out where it stands at its default. So a study file may gain fields
        and no trial that ran before is orphaned.
        """
        written = self.model_dump(mode="json")
        for name, field in type(self).model_fields.items():
            extra = field.json_schema_extra
            is_later = isinstance(extra, dict) and "since" in extra
            value = getattr(self, name)
            if is_later and value == field.get_default(call_default_factory=True):
                del written[name]
            else:
                written[name] = _identity(value, written[name])
        return written


def _identity(value: Any, written: Any) -> Any:
    if isinstance(value, Part):
        return value.identity()
    if isinstance(value, list):
        return [_identity(entry, text) for entry, text in zip(value, written, strict=True)]
    if isinstance(value, dict):
        # Keys that are no texts are written as texts; parts never stand under such.
        return {key: _identity(value[key], text) if key in value else text for key, text in written.items()}
    return written


def plain(value: Any) -> Any:
    """YAML knows dates, sets, numbers without end, half characters: no plan can be written with them."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"finite numbers, words, lists and fields are allowed, found {value!r:.80}"
        ) from error
    return value


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"a number, a word, true or false is needed, found {value!r:.80}")
    return plain(value)


Options = Annotated[dict[str, Any], AfterValidator(plain)]


# One type and not a union, whose every member would complain.
Value = Annotated[
    Any, AfterValidator(_scalar), WithJsonSchema({"type": ["boolean", "integer", "number", "string"]})
]


#: No slashes, which part names in keys of arms; no marks that steer a terminal or turn the writing round.
LABEL = r"^[^/\\\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+$"
Label = Annotated[str, Field(min_length=1, max_length=80, pattern=LABEL)]


Size = Annotated[int, Field(ge=1, le=MOST_UNITS)]


#: Trials, epochs, rounds, searches.
Count = Annotated[int, Field(ge=1, le=MOST_TRIALS)]


Seed = Annotated[int, Field(ge=0, le=LARGEST)]


def named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value
