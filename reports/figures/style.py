"""One look for all figures, and how a figure becomes the same bytes every time."""

import logging
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from reports.figures.fonts import drawable, font_families

Line = str | tuple[int, tuple[float, ...]]

#: Beyond this many points a panel, they are drawn as one image: a browser chokes on 100,000 circles.
MAX_VECTOR_POINTS = 2000
#: One column of the page. Natural width 4.7 in (451 CSS px), so that 9 pt text stays legible on a phone.
WIDTH_INCHES = 4.7
PANEL_HEIGHT_INCHES = 3.1
#: The first four of petroff8 keep a contrast of 3 to 1 on white and stay apart to the colour-blind; the next
#: do not, so beyond four methods a figure is split, not given more colours.
COLOURS = ("#1845fb", "#ff5e02", "#c91f16", "#c849a9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[Line, ...] = ("-", (0, (5, 2)), (0, (6, 2, 1, 2)), (0, (1, 1.5)))
#: Characters of names that fit beside each other in a legend of two columns.
_ROOM = 48
INK = "#1a1a1a"
MUTED = "#595959"
MAX_SERIES = len(COLOURS)

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#8a8a8a",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "figure.dpi": 100,
    "font.size": 9,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "patch.linewidth": 0.8,
    "pdf.fonttype": 42,
    "savefig.dpi": 150,
    "svg.fonttype": "path",
    "svg.hashsalt": "sizing-harness",
    "text.color": INK,
    "text.parse_math": False,  # a method may be called "$1"
    "xtick.color": INK,
    "xtick.labelsize": 9,
    "ytick.color": INK,
    "ytick.labelsize": 9,
}


@dataclass(frozen=True, slots=True)
class MethodStyle:
    """How one method looks in every figure of a report."""

    colour: str
    marker: str
    line: Line


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished figure with its words.

    Attributes:
        name: file name without ending, unique in the report; letters, digits and hyphens.
        title: one line above the figure.
        caption: what is drawn and how to read it.
        alt: what a reader who cannot see the figure should know; numbers from the results.
        figure: the matplotlib figure.
    """

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Placed:
    """A drawing and where it stands: its cell ("" for over all cells) and its family."""

    drawing: Drawing
    cell: str
    family: str


@contextmanager
def _quietly() -> Iterator[None]:
    """What matplotlib has to say of glyphs, fonts and layouts is not for those who read a report."""
    log = logging.getLogger("matplotlib")
    level = log.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)


@contextmanager
def house_style() -> Iterator[None]:
    """The project's settings, for drawing and for saving, without touching the caller's."""
    if mpl.rcParams["font.family"] == list(font_families()):
        yield  # already inside: setting everything again takes as long as drawing a small figure
        return
    with mpl.rc_context(), _quietly():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        mpl.rcParams["font.family"] = list(font_families())
        yield


#: Looks of the methods that most studies compare, the same in every report.
_KNOWN = {"l2": 0, "fixed": 1, "shrinknets": 2}


def method_styles(methods: Sequence[str]) -> dict[str, MethodStyle]:
    """Styles by method, in the order given (the baseline first).

    A method's look follows from its name, so that it is the same in every figure and report; where methods of
    one of the `grouped` figures would look alike, the later one takes the next look that is free there.
    """
    looks: dict[str, int] = {}
    for group in grouped(methods):
        taken = {looks[name] for name in group if name in looks}
        new = [name for name in group if name not in looks]
        # Known names first: they keep their look whoever stands beside them.
        for name in sorted(new, key=lambda name: name not in _KNOWN):
            wanted = _KNOWN.get(name, zlib.crc32(name.encode()) % MAX_SERIES)
            order = [(wanted + step) % MAX_SERIES for step in range(MAX_SERIES)]
            looks[name] = next((look for look in order if look not in taken), wanted)
            taken.add(looks[name])
    return {
        name: MethodStyle(COLOURS[looks[name]], MARKERS[looks[name]], LINES[looks[name]]) for name in methods
    }


def grouped(methods: Sequence[str]) -> list[list[str]]:
    """Methods in groups of at most four, the first (the baseline) in each."""
    first, rest = list(methods[:1]), list(methods[1:])
    step = MAX_SERIES - 1
    return [first + rest[start : start + step] for start in range(0, max(len(rest), 1), step)]


def file_name(*parts: str) -> str:
    """A file name made of any text: lower case, hyphens for everything that is not a letter or digit."""
    slug = "-".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") or "x" for part in parts)
    return slug[:120]


def spread(values: NDArray[np.float64], half_width: float) -> NDArray[np.float64]:
    """Sideways offsets for a strip of points: even, the same every time, whatever the order of the rows.

    Multiples of the golden ratio, dealt out in the order of the values, keep near points apart; a random
    generator would need a seed and still clump.
    """
    rank = np.empty(len(values))
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    offsets: NDArray[np.float64] = (rank * 0.6180339887498949 % 1.0 - 0.5) * 2 * half_width
    return offsets


def shorten(name: str, most: int) -> str:
    """A name of at most so many characters, all of them drawable."""
    return drawable(name if len(name) <= most else name[: most - 1] + "…")


def short_names(names: Sequence[str], most: int = 18) -> list[str]:
    """Names for axes and legends: cut to so many characters, and numbered where the cut makes them equal."""
    cut = [shorten(name, most) for name in names]
    return [
        f"{name} ({cut[: i + 1].count(name)})" if cut.count(name) > 1 else name for i, name in enumerate(cut)
    ]


def label_methods(ax: Axes, names: Sequence[str], room: int = 44) -> None:
    """Names under the x axis at 0, 1, ...; turned where they would run into each other.

    room: characters that fit side by side over the whole axis.
    """
    shown = short_names(names)
    turned = max((len(name) for name in shown), default=0) * len(shown) > room
    ax.set_xticks(range(len(shown)), shown)
    for label in ax.get_xticklabels():
        label.set(rotation=25 if turned else 0, ha="right" if turned else "center", rotation_mode="anchor")


def legend_above(figure: Figure, ax: Axes, columns: int = 2) -> None:
    """The legend over the axes, outside, so that it never lies on data."""
    handles, names = ax.get_legend_handles_labels()
    shown = short_names(names, most=40 // columns + 10)
    rows = -(-len(shown) // columns)
    if sum(max(map(len, shown[at : at + rows])) for at in range(0, len(shown), max(rows, 1))) > _ROOM:
        columns, shown = 1, short_names(names, most=50)
    figure.legend(
        handles,
        shown,
        loc="outside upper left",
        ncols=columns,
        handlelength=3.2,
    )


def log_axis(axis: Axis) -> None:
    """Makes an axis logarithmic with ticks that a reader can use: 1, 2, 5 where it spans few decades."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})  # type: ignore[attr-defined]
    low, high = sorted(axis.get_view_interval())
    few = low > 0 and high / low < 300
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))


def mark_every(points: int) -> int:
    """Step between markers, so that a curve carries about eight."""
    return max(points // 8, 1)


def short_number(value: float) -> str:
    """A count on an axis: 950, 12k, 3.4M."""
    for limit, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"
