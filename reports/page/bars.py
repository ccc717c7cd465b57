"""The small pictures of the first screen: an estimate with its limits on an axis that all cards share."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from reports.wording import ScoreWords

Plain = Mapping[str, Any]
#: A value's place on an axis, in units of the picture.
Place = Callable[[float], float]

WIDTH = 320.0
_MIDDLE, _REACH = WIDTH / 2, 140.0
_FIRST, _LAST = 4.0, WIDTH - 4.0
#: The axis of costs ends at ten times the baseline's, and at a tenth.
_MOST_COST = 10.0
_COST_TICKS = ((5.0, "5×"), (2.0, "2×"), (1.0, "1×"), (0.5, "½×"), (0.2, "⅕×"))
#: Share of the bars that the axis of scores holds whole; one that goes beyond ends in an arrow.
_WHOLE = 0.75
_TONES = {
    "better": "for",
    "cheaper": "for",
    "worse": "against",
    "dearer": "against",
    "on par or better": "even",
}


def score_axis(cards: Sequence[Plain]) -> float:
    """Half the width of the axis of score differences: 1, 2 or 5 times a power of ten."""
    reach = sorted(
        max(abs(end) for end in (part["value"], part["low"], part["high"]) if end is not None)
        for card in cards
        if (part := card["score"])["value"] is not None
    )
    wanted = reach[math.ceil(_WHOLE * len(reach)) - 1] if reach else 0.0
    wanted = max(wanted, *(1.5 * card["margin"] for card in cards)) if cards else wanted
    if wanted <= 0:
        return 0.01
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= wanted * (1 - 1e-9))


def score_bar(card: Plain, half: float, score: ScoreWords, ticks: bool = True) -> str:
    """The difference of scores as inline SVG, the margin as a band around 0."""

    def place(value: float) -> float:
        return _MIDDLE + _REACH * value / half

    part = card["score"]
    marks = [
        (place(end), f"{end * score.scale:+.3g}" if end else "0")
        for end in (-half, -half / 2, 0.0, half / 2, half)
    ]
    ends = ("less accurate", "more accurate") if score.is_accuracy else ("worse", "better")
    band = (place(-card["margin"]), place(card["margin"])) if card["margin"] else None
    return _picture(part, place, marks, ends, band, ticks)


def cost_bar(card: Plain, ticks: bool = True) -> str:
    """The cost over the baseline's as inline SVG, on a ratio axis; cheaper is to the right."""

    def place(value: float) -> float:
        return _MIDDLE - _REACH * math.log(value) / math.log(_MOST_COST)

    marks = [(place(value), name) for value, name in _COST_TICKS]
    return _picture(card["cost"], place, marks, ("dearer", "cheaper"), None, ticks)


def strip(across: Plain, half: float, label: str) -> str:
    """Who is ahead at which n as inline SVG: a bar of limits at each n, around the line of equal scores."""
    top, middle, bottom = 6.0, 36.0, 66.0
    columns = (across[name] for name in ("n", "difference", "low", "high", "ahead"))
    places = list(zip(*columns, strict=True))
    step = (WIDTH - 40.0) / max(len(places) - 1, 1)

    def height(value: float) -> float:
        return min(max(middle - (middle - top) * value / half, top), bottom)

    drawn = [
        f'<svg class="bar strip" viewBox="0 0 {WIDTH:g} 84" role="img" aria-label="{escape(label)}">',
        _line("middle", _FIRST, middle, _LAST, middle),
    ]
    for number, (n, value, low, high, ahead) in enumerate(places):
        at = 20.0 + step * number
        tone = {1: "for", -1: "against"}.get(ahead, "open")
        bar = _line("limits", at, height(low), at, height(high))
        dot = f'<circle class="dot" cx="{at:.1f}" cy="{height(value):.1f}" r="4.5"/>'
        drawn.append(f'<g class="{tone}">{bar}{dot}</g>')
        drawn.append(_text(str(n), at, 80.0, "middle"))
    return "".join([*drawn, "</svg>"])


def who_leads(across: Plain, method: str, baseline: str) -> str:
    """The strip in words: shrinknets at n = 1 to 3; not settled at n = 4 to 9."""
    names = {1: method, -1: baseline, 0: "not settled"}
    runs: list[list[Any]] = []
    for n, ahead in zip(across["n"], across["ahead"], strict=True):
        if runs and runs[-1][0] == ahead:
            runs[-1][2] = n
        else:
            runs.append([ahead, n, n])
    spans = [(names[a], f"{first}" if first == last else f"{first} to {last}") for a, first, last in runs]
    return "; ".join(f"{name} at n = {span}" for name, span in spans) + "."


def short_cost(card: Plain) -> str:
    """The cost over the baseline's without its limits: about 0.53×, more than 3.1×."""
    return str(card["cost"]["words"]).split(" (")[0].split(",")[0]


def _picture(
    part: Plain,
    place: Place,
    marks: Sequence[tuple[float, str]],
    ends: tuple[str, str],
    band: tuple[float, float] | None,
    ticks: bool,
) -> str:
    """ticks: with numbers below the axis, and above it what its ends mean."""
    top = 14.0 if ticks else 0.0
    foot, height = top + 24.0, top + (42.0 if ticks else 24.0)
    label = f"{part['label']}: {part['word']}" + (f", {part['words']}" if part["words"] else "")
    drawn = [
        f'<svg class="bar {_TONES.get(part["word"], "open")}" viewBox="0 0 {WIDTH:g} {height:g}" role="img" '
        f'aria-label="{escape(label)}">'
    ]
    if band:
        left, right = (min(max(end, _FIRST), _LAST) for end in band)
        drawn.append(
            f'<rect class="band" x="{left:.1f}" y="{top:g}" width="{right - left:.1f}" height="24"/>'
        )
    drawn.append(_line("axis", _FIRST, foot, _LAST, foot))
    for at, name in marks:
        middle = abs(at - _MIDDLE) < 0.01
        drawn.append(_line("middle" if middle else "axis", at, top if middle else foot - 4, at, foot))
        if ticks:
            drawn.append(_text(name, at, height - 5, "middle"))
    if ticks:
        drawn.append(_text(f"← {ends[0]}", _FIRST, 9, "start"))
        drawn.append(_text(f"{ends[1]} →", _LAST, 9, "end"))
    return "".join([*drawn, _bar(part, place, top + 12.0), "</svg>"])


def _line(name: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{name}" x1="{x1:.1f}" y1="{y1:g}" x2="{x2:.1f}" y2="{y2:g}"/>'


def _text(text: str, x: float, y: float, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _arrow(tip: float, back: float, y: float) -> str:
    return f'<path class="arrow" d="M{back:g} {y - 6:g}L{tip:g} {y:g}L{back:g} {y + 6:g}z"/>'


def _bar(part: Plain, place: Place, y: float) -> str:
    """The line between the limits, an arrow where an end is open or off the axis, and the dot."""
    if part["value"] is None:
        return ""
    # Which side a missing end is on follows from the axis: costs run from right to left.
    rising = place(2.0) > place(1.0)
    low, high = (part["low"], part["high"]) if rising else (part["high"], part["low"])
    left = _FIRST if low is None else place(low)
    right = _LAST if high is None else place(high)
    drawn = []
    if max(left, _FIRST) < min(right, _LAST):
        drawn.append(_line("limits", max(left, _FIRST), y, min(right, _LAST), y))
    if left <= _FIRST:
        drawn.append(_arrow(_FIRST - 3, _FIRST + 9, y))
    if right >= _LAST:
        drawn.append(_arrow(_LAST + 3, _LAST - 9, y))
    at = place(part["value"])
    if _FIRST <= at <= _LAST:
        bound = " bound" if part["bound"] else ""
        drawn.append(f'<circle class="dot{bound}" cx="{at:.1f}" cy="{y:g}" r="5.5"/>')
    return "".join(drawn)
