"""The terminal that commands print to. Texts of strangers are shown there, and never steer it."""

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

#: Columns of plain output, to a file or a pipe.
_PLAIN_WIDTH = 160
#: Controls of both sets but line ends and tabs; marks that turn the writing round or are not seen; half
#: characters, as names of files that are no UTF-8 have them.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)


class _Terminal(Console):
    """A console on which nothing that is printed can steer the terminal, but for what Rich adds itself."""

    def render(self, *args: Any, **options: Any) -> Iterable[Segment]:
        for segment in super().render(*args, **options):
            if segment.control is None and _STEERING.search(segment.text):
                segment = Segment(shown(segment.text), segment.style)
            yield segment


def shown(text: str) -> str:
    """The text with a question mark for every character that would steer a terminal."""
    return _STEERING.sub("?", text)


def terminal() -> Console:
    """The terminal; where there is none, lines long enough that no table is cut."""
    console = _Terminal()
    return console if console.is_terminal else _Terminal(width=_PLAIN_WIDTH)


def say(console: Console, sentence: str) -> None:
    """Print a sentence as it is: no markup in it, and cut into lines by the terminal alone."""
    console.print(Text(sentence), soft_wrap=True)
