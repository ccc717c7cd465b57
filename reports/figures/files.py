"""How a figure becomes files: SVG and PDF, the same bytes every time, and SVG that can stand in a page."""

import base64
import io
import re
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from reports.figures.style import Drawing, house_style


def settle_layout(figure: Figure) -> None:
    """Lays the figure out once and for all, so that each file does not do it again."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def svg_text(drawing: Drawing) -> str:
    """The figure as an SVG file's text: no date, no links, ids that depend on the drawing alone."""
    with house_style(), mpl.rc_context({"svg.hashsalt": drawing.name}):
        settle_layout(drawing.figure)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        drawing.figure.savefig(buffer, format="svg", metadata=nothing)
    return _slim(re.sub(r"<!--.*?-->\n?", "", buffer.getvalue(), flags=re.DOTALL))


def _slim(svg: str) -> str:
    """The same picture in fewer bytes: a hundredth of a point is enough, and so are 128 colours of points."""
    svg = re.sub(r'\bd="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)
    svg = re.sub(
        r'\b(?:x|y)="[^"]*"|translate\([^)]*\)', lambda at: re.sub(r"(\.\d\d)\d+", r"\1", at[0]), svg
    )
    return re.sub(r"(data:image/png;base64,)([^\"]+)", lambda png: png[1] + _fewer_colours(png[2]), svg)


def _fewer_colours(encoded: str) -> str:
    image = Image.open(io.BytesIO(base64.b64decode(encoded)), formats=["PNG"]).convert("RGBA")
    buffer = io.BytesIO()
    image.quantize(128, method=Image.Quantize.FASTOCTREE).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def inline_svg(svg: str, name: str) -> str:
    """The SVG as part of an HTML page: no prologue, no namespaces' addresses, and ids of its own.

    Two figures of a page may hold the same ids (glyphs, clip paths), and a browser takes the first, which may
    be in a closed part of the page.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r' xmlns(:\w+)?="[^"]*"', "", body)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{name}-\1"', body)
    body = body.replace("xlink:href=", "href=")
    # Path data is most of the bytes, and a line break inside it says no more than a blank.
    body = re.sub(r"\s*\n\s*", " ", body)
    return re.sub(
        r'<svg width="[^"]+" height="[^"]+"', '<svg aria-hidden="true" focusable="false"', body, count=1
    )


def write_pdf(drawing: Drawing, path: Path) -> None:
    """The figure as a PDF with its text as text (font type 42)."""
    with house_style():
        drawing.figure.savefig(
            path, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None}
        )
