"""Text of strangers, such as an exception's message, as a record can hold it: valid, of bounded length."""

import traceback
from typing import Any

#: Characters that are kept of a text; of a longer one both ends, where messages and tracebacks say most.
MOST_CHARACTERS = 20_000


def plain(text: str) -> str:
    """The text with lone surrogates written out, and its middle left out if it is long.

    Half of a surrogate pair comes in with names of files that are not UTF-8; no file can hold it as it is.
    """
    if len(text) > MOST_CHARACTERS:
        half = MOST_CHARACTERS // 2
        text = f"{text[:half]} [... {len(text) - 2 * half:,} characters left out ...] {text[-half:]}"
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def plain_values(value: Any) -> Any:
    """A JSON value with every text in it, keys too, as `plain` has it."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain_values(key): plain_values(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(entry) for entry in value]
    return value


def message_of(error: BaseException) -> str:
    """An exception in a line: its type and what it says, even if it cannot say it."""
    try:
        said = str(error)
    except BaseException as fault:  # noqa: BLE001 - a stranger's __str__; the record says that it failed
        said = f"(its message cannot be had: __str__ raised {type(fault).__name__})"
    return plain(f"{type(error).__name__}: {said}")


def traceback_of(error: BaseException) -> str:
    """An exception's traceback, as Python prints it."""
    return plain("".join(traceback.format_exception(error)))
