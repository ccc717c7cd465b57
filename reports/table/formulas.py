"""Texts that a spreadsheet would run as formulas, made harmless in CSV files."""

import pandas as pd

#: A spreadsheet takes a field that begins so for a formula, and runs it.
_STARTS = ("=", "+", "-", "@", "\t", "\r")


def guard_formula(value: object) -> object:
    """Text that a spreadsheet would take for a formula, with an apostrophe before it.

    Numbers are as they are, also those that are written as text; None is nothing.
    """
    if isinstance(value, str) and value.startswith(_STARTS) and not _is_number(value):
        return "'" + value
    return "" if value is None else value


def guarded(table: pd.DataFrame) -> pd.DataFrame:
    """A table with every text in it guarded, names of columns too, for a CSV file."""
    columns = {
        name: column
        if pd.api.types.is_numeric_dtype(column)
        else column.map(guard_formula, na_action="ignore")
        for name, column in table.items()
    }
    return pd.DataFrame(columns).rename(columns=lambda name: str(guard_formula(name)))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
