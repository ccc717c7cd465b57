"""Writing the source of a network, one operation after the other."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

_WIDTHS = (6, 8, 12, 16)


@dataclass(slots=True)
class Writer:
    """The source of a network in the making.

    kind: of the tensor `x` as it is by now, "vector" [batch, width], "sequence" [batch, length, width] or
    "map" [batch, width, height, breadth]. width, space: its sizes, the latter those of places. rng: of the
    operation that is being written. made, done: lines of `__init__` and of `forward`. kept: earlier tensors,
    by name -> (kind, width, space).
    """

    kind: str
    width: int
    space: tuple[int, ...]
    rng: random.Random
    made: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    kept: dict[str, tuple[str, int, tuple[int, ...]]] = field(default_factory=dict)
    count: int = 0

    @property
    def axis(self) -> int:
        """Of the units."""
        return 2 if self.kind == "sequence" else 1

    @property
    def places(self) -> str:
        """Axes of the places, as source."""
        return {"vector": "()", "sequence": "1", "map": "(2, 3)"}[self.kind]

    def name(self) -> str:
        """One that has not been used."""
        self.count += 1
        return f"m{self.count}"

    def hold(self, expression: str) -> str:
        """Make something in `__init__`; its source in `forward`."""
        name = self.name()
        self.made.append(f"self.{name} = {expression}")
        return f"self.{name}"

    def buffer(self, expression: str) -> str:
        """Register a buffer; its source in `forward`."""
        name = self.name()
        self.made.append(f"self.register_buffer({name!r}, {expression})")
        return f"self.{name}"

    def parameter(self, expression: str) -> str:
        """Make a parameter; its source in `forward`."""
        return self.hold(f"nn.Parameter({expression})")

    def do(self, line: str) -> None:
        """A line of `forward`."""
        self.done.append(line)

    def some_width(self) -> int:
        """A width for what comes next."""
        return self.rng.choice(_WIDTHS)

    def layer(self, out: int | None = None, width: int | None = None) -> str:
        """A layer from the width that there is to another one, places left alone; its source."""
        out = self.width if out is None else out
        width = self.width if width is None else width
        bias = self.rng.random() < 0.7
        if self.kind == "map":
            size = self.rng.choice((1, 3))
            return self.hold(f"nn.Conv2d({width}, {out}, {size}, padding={size // 2}, bias={bias})")
        return self.hold(f"nn.Linear({width}, {out}, bias={bias})")

    def broadcast(self) -> str:
        """Shape, as source, of what has an entry per unit and none per place."""
        return f"({self.width}, 1, 1)" if self.kind == "map" else f"({self.width},)"

    def keep(self) -> None:
        """Let later operations use the tensor as it is now."""
        name = f"k{len(self.kept) + 1}"
        self.do(f"{name} = x")
        self.kept[name] = (self.kind, self.width, self.space)

    def pick(self, *choices: str) -> str:
        """One of some pieces of source."""
        return self.rng.choice(choices)


Operation = Callable[[Writer], None]

#: Name -> (kinds of tensors that it takes, what it writes).
OPERATIONS: dict[str, tuple[tuple[str, ...], Operation]] = {}


def operation(*kinds: str) -> Callable[[Operation], Operation]:
    """Make an operation known, by its function's name."""

    def known(own: Operation) -> Operation:
        OPERATIONS[own.__name__] = (kinds or ("vector", "sequence", "map"), own)
        return own

    return known
