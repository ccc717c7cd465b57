"""The one error that `reports` raises for input it cannot judge."""


class TableError(ValueError):
    """A table cannot be judged; the message is a sentence: file, column, what was found, what is allowed."""
