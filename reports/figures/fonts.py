"""The figures' font: matplotlib's own DejaVu Sans, cut down once so that every PDF embeds its part quickly.

Embedding DejaVu Sans with its 6,000 glyphs and its shaping tables takes 0.25 s a figure and weight; a report
of forty figures would spend half its time there. Characters that the small font lacks come from the full one.
"""

import functools
import hashlib
from pathlib import Path
from uuid import uuid4

import fontTools
import matplotlib as mpl
from fontTools import subset
from fontTools.ttLib import TTFont
from matplotlib import font_manager

FAMILY = "Report Sans"
_FULL = "DejaVu Sans"
#: Latin with its accents, Greek, punctuation, and the mathematical signs that axes and labels use.
_CHARACTERS = (
    *range(0x20, 0x250),
    *range(0x370, 0x400),
    *range(0x2010, 0x2050),
    *map(ord, "←↑→↓−×≈≠≤≥·±°²³½"),
)


@functools.cache
def font_families() -> tuple[str, str]:
    """Registers the small font with matplotlib, once a process; returns the families to draw with."""
    for weight in ("normal", "bold"):
        source = Path(font_manager.findfont(font_manager.FontProperties(family=_FULL, weight=weight)))
        font_manager.fontManager.addfont(_small(source, weight))
    return FAMILY, _FULL


def _small(source: Path, weight: str) -> Path:
    """The small font's file: in matplotlib's cache, as a process that is killed takes no folder away.

    It is called by all that it is made of, so that another font or version makes another.
    """
    made_of = hashlib.sha256(source.read_bytes())
    made_of.update(f"{fontTools.version} {_CHARACTERS}".encode())
    path = Path(mpl.get_cachedir(), f"report-sans-{weight}-{made_of.hexdigest()[:16]}.ttf")
    if not path.is_file():
        partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
        try:
            _cut(source, partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return path


@functools.cache
def _drawn_characters() -> frozenset[int]:
    font = TTFont(font_manager.findfont(_FULL), lazy=True)
    return frozenset(font.getBestCmap())


def drawable(text: str) -> str:
    """The text with a question mark for every character that the font cannot draw, and for line breaks."""
    known = _drawn_characters()
    return "".join(letter if ord(letter) in known and letter.isprintable() else "?" for letter in text)


def _cut(source: Path, target: Path) -> None:
    options = subset.Options(layout_features=[], hinting=False, notdef_outline=True, name_IDs=["*"])
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "MATH", "FFTM"]
    font = TTFont(source, recalcTimestamp=False)  # the time of saving would be in every PDF
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=_CHARACTERS)
    cutter.subset(font)
    for record in font["name"].names:
        if record.nameID in (1, 3, 4, 6, 16):
            record.string = str(record).replace(_FULL, FAMILY).replace("DejaVuSans", "ReportSans")
    font.save(target)
