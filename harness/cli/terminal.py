"""The terminal that commands print to."""

from rich.console import Console
from rich.text import Text

#: Columns of plain output, to a file or a pipe.
_PLAIN_WIDTH = 160


def terminal() -> Console:
    """The terminal; where there is none, lines long enough that no table is cut."""
    console = Console()
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)


def say(console: Console, sentence: str) -> None:
    """Print a sentence as it is: no markup in it, and cut into lines by the terminal alone."""
    console.print(Text(sentence), soft_wrap=True)
