"""The figures that show the analysis, with their words: curves, maps, fronts, forests and profiles."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.arms.arm import Arm
from reports.cost_units import unit_name
from reports.figures.budget import budget_drawing
from reports.figures.curves import draw_best_of_n, draw_cost_to_target, draw_profile
from reports.figures.forest import ForestRow, draw_forest
from reports.figures.sizes import draw_score_against_size, draw_win_maps
from reports.figures.style import Drawing, MethodStyle, Placed, file_name, grouped
from reports.settings import Settings
from reports.size_axes import PARAMETERS, SIZE_AXES
from reports.statistics.arrays import Floats
from reports.wording import ScoreWords, amount, count, estimate, interval, ratio, size

Plain = Mapping[str, Any]
Styles = Mapping[str, MethodStyle]
#: Panels that fit side by side in one win-probability figure.
_MAPS = 3


def overview_figures(analysis: Plain, styles: Styles) -> Iterator[Placed]:
    """The figures over all cells: the forest of savings, one a cost unit, and the profile."""
    contrasts = [contrast for cell in analysis["cells"] for contrast in cell["contrasts"]]
    units = [analysis["cost_unit"], *(u for u in analysis["cost_units"] if u != analysis["cost_unit"])]
    for unit in units if contrasts else ():
        yield from _forest(analysis, unit, styles)
    profiles = [p for p in analysis["profiles"] if p["unit"] == analysis["cost_unit"]]
    if profiles and max(profile["problems"] for profile in profiles) > 1:
        for part, methods in _parts(styles):
            shown = sorted(
                (p for p in profiles if p["method"] in methods), key=lambda p: methods.index(p["method"])
            )
            words = " ".join(
                f"{p['method']}: area under its curve {p['score']:.2f} of 1, {p['share'][-1] * 100:.0f} % "
                "solved within 4 times the cheapest."
                for p in shown
            )
            caption = (
                f"Share of problems (a target in a cell; {count(profiles[0]['problems'])} of them) that a "
                "method solves within a multiple of the cheapest method's "
                f"{unit_name(analysis['cost_unit'])}. Higher is "
                "better; it depends on which methods are compared."
            )
            drawing = Drawing(
                file_name("profile", part) if part else "profile",
                "Over all problems",
                caption,
                words,
                draw_profile(shown, styles),
            )
            yield Placed(drawing, "", "profile")


def cell_figures(
    trials: Mapping[str, Arm],
    cell: Plain,
    analysis: Plain,
    styles: Styles,
    score: ScoreWords,
    settings: Settings,
) -> Iterator[Placed]:
    """The figures of one cell.

    Args:
        trials: the cell's arms by method.
        cell: the cell's part of the analysis, plain data.
        analysis: the whole.
        styles: how each method looks.
        score: how scores are said.
        settings: names the score columns.
    """
    name = f"{cell['dataset']} / {cell['architecture']}"
    present = {arm["method"]: arm for arm in cell["arms"]}
    for part, methods in _parts({method: style for method, style in styles.items() if method in present}):
        arms = [present[method] for method in methods]
        key = file_name(name, part) if part else file_name(name)
        drawings = (
            _best_of_n(key, arms, cell, analysis, styles, score),
            _targets(key, arms, analysis, styles, score),
            _sizes(key, PARAMETERS, arms, trials, styles, score, settings.test_column),
            budget_drawing(key, arms, trials, styles, score, analysis["confidence"]),
        )
        for family, drawing in zip(("curves", "targets", "sizes", "budget"), drawings, strict=True):
            if drawing:
                yield Placed(drawing, name, family)
        for axis in SIZE_AXES:
            other = _sizes(key, axis, arms, trials, styles, score, settings.test_column)
            if axis != PARAMETERS and other:
                yield Placed(other, name, "axes")
    contrasts = sorted(
        (c for c in cell["contrasts"] if c["win"]), key=lambda c: list(styles).index(c["method"])
    )
    for start in range(0, len(contrasts), _MAPS):
        shown = contrasts[start : start + _MAPS]
        yield Placed(_win_maps(file_name("win", name, str(start // _MAPS + 1)), shown), name, "win")


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _parts(styles: Styles) -> list[tuple[str, list[str]]]:
    groups = grouped(list(styles))
    return [(str(number) if len(groups) > 1 else "", group) for number, group in enumerate(groups, start=1)]


def _forest(analysis: Plain, unit: str, styles: Styles) -> Iterator[Placed]:
    rows: list[ForestRow] = []
    words: list[str] = []
    for cell in analysis["cells"]:
        name = f"{cell['dataset']} / {cell['architecture']}"
        rows.append(ForestRow(name))
        for contrast in sorted(cell["contrasts"], key=lambda c: list(styles).index(c["method"])):
            saving = next((s for s in contrast["savings"] if s["unit"] == unit), None)
            if saving is None:
                continue
            adjusted = saving["ratio_adjusted"]
            rows.append(ForestRow(contrast["method"], adjusted, saving["ratio"], contrast["method"]))
            words.append(f"{name}, {contrast['method']}: {_with_limits(adjusted)}.")
    pooled = [p for p in analysis["pooled"] if p["unit"] == unit and p["these_cells"]["value"] is not None]
    if pooled and len(analysis["cells"]) > 1:
        rows.append(ForestRow("all cells, pooled"))
        for p in sorted(pooled, key=lambda p: list(styles).index(p["method"])):
            rows.append(ForestRow(p["method"], p["these_cells"], None, p["method"], pooled=True))
            words.append(
                f"Pooled over {count(p['cells'])} cells, {p['method']}: {_with_limits(p['these_cells'])}."
            )
    if not words:
        return
    primary = unit == analysis["cost_unit"]
    drawing = Drawing(
        file_name("savings", unit),
        f"Saving in {unit_name(unit)}" + (", the unit of the claim" if primary else ""),
        f"Cost of the baseline's best of {count(analysis['n'])} over the method's cost to match it; right of "
        "1 the method saves. Thin: limits adjusted for several comparisons; thick: unadjusted. An arrow: the "
        "data set no limit on that side.",
        " ".join(words),
        draw_forest(rows, styles, f"saving in {unit_name(unit)}"),
    )
    yield Placed(drawing, "", "forest")


def _with_limits(value: Plain) -> str:
    limits = interval(value, ratio)
    return estimate(value, ratio) + (f" ({limits})" if limits else "")


def _best_of_n(
    key: str, arms: Sequence[Plain], cell: Plain, analysis: Plain, styles: Styles, score: ScoreWords
) -> Drawing | None:
    drawn = [
        arm
        for arm in arms
        if arm["best_of_n"] and any(e["value"] is not None for e in arm["best_of_n"]["estimates"])
    ]
    if not drawn:
        return None
    n = analysis["n"]
    contrasts = [c for c in cell["contrasts"] if any(arm["method"] == c["method"] for arm in drawn)]
    words = []
    for arm in drawn:
        curve = arm["best_of_n"]
        at = n if n in curve["n"] else curve["n"][-1]
        here = curve["estimates"][curve["n"].index(at)]
        limits = interval(here, score.level)
        words.append(
            f"{arm['method']}: best of {count(at)} is "
            f"{estimate(here, score.level)}{f' ({limits})' if limits else ''}."
        )
    for contrast in contrasts:
        matched = next((m["trials"] for m in contrast["matched"] if m["n"] == n), None)
        if matched and matched["value"] is not None:
            words.append(
                f"{contrast['method']} matches {contrast['baseline']}'s best of {count(n)} with "
                f"{estimate(matched, count)} trials."
            )
    return Drawing(
        f"best-of-n-{key}",
        "Expected test score of the best of n trials",
        "The best by validation of n random trials, at its test score; failed trials count as Methods says. "
        f"Bands: pointwise {analysis['confidence'] * 100:.0f} % limits. Pale: fewer than five trials per n. "
        f"Circle: the baseline's best of {count(n)}; dotted: where a method reaches it, and with how many "
        "trials.",
        " ".join(words),
        draw_best_of_n(drawn, contrasts, styles, n, score.scale, f"expected test {score.axis}"),
    )


def _targets(
    key: str, arms: Sequence[Plain], analysis: Plain, styles: Styles, score: ScoreWords
) -> Drawing | None:
    unit = analysis["cost_unit"]
    shown = []
    for arm in arms:
        fitting = [t for t in arm["targets"] if t["score"] == "validation" and t["unit"] == unit]
        if fitting:
            shown.append((arm["method"], fitting[0]))
    if not shown:
        return None
    target = shown[0][1]
    words = []
    for method, entry in shown:
        cost = estimate(entry["expected_cost"], lambda value: amount(value, unit))
        words.append(
            f"{method}: {count(entry['successes'])} of {count(entry['trials'])} reach it, expected cost "
            f"{cost}."
        )
    return Drawing(
        f"target-{key}",
        f"{_first_upper(unit_name(unit))} until a validation score of {score.level(target['target'])}",
        "Independent restarts until a trial's validation score reaches the target. Target: "
        f"{target['target_source']}.",
        " ".join(words),
        draw_cost_to_target(shown, styles, unit_name(unit)),
    )


def _sizes(
    key: str,
    column: str,
    arms: Sequence[Plain],
    trials: Mapping[str, Arm],
    styles: Styles,
    score: ScoreWords,
    test_column: str,
) -> Drawing | None:
    drawn = [arm for arm in arms if column in arm["fronts"] and arm["fronts"][column]["chosen"]]
    if not drawn:
        return None
    axis = SIZE_AXES[column]
    points = {arm["method"]: _sized(trials[arm["method"]], column, test_column) for arm in drawn}
    stopped = any(arm["accounting"]["stopped"] for arm in drawn)
    trial = "trial that finished or was stopped with a test score known" if stopped else "finished trial"
    words = []
    for arm in drawn:
        chosen = sorted(arm["fronts"][column]["chosen"], key=lambda point: float(point["size"]))
        small, large = (
            f"{size(point['size'], column)} at {score.level(point['test_score'])}"
            for point in (chosen[0], chosen[-1])
        )
        words.append(f"{arm['method']}: {count(len(chosen))} networks on its front, from {small} to {large}.")
    is_primary = column == PARAMETERS
    measure = "size" if is_primary else axis.name
    reading = (
        f"Pale: every {trial}. Line: the trials that no other of the same method beats in both validation "
        f"score and {measure}, drawn at their test scores; so the line may bend back."
    )
    return Drawing(
        f"size-{key}" if is_primary else f"{file_name(column)}-{key}",
        f"Test score against {measure}",
        f"{reading} {axis.reading}".strip(),
        " ".join(words),
        draw_score_against_size(
            points,
            {arm["method"]: arm["fronts"][column] for arm in drawn},
            styles,
            (1 / axis.in_unit, score.scale),
            (axis.label, f"test {score.axis}"),
            worse_is_low=not score.lower_is_better,
        ),
    )


def _sized(arm: Arm, size_column: str, test_column: str) -> tuple[Floats, Floats]:
    """Sizes and test scores of the trials that have both."""
    sizes = arm.facts[size_column].to_numpy(dtype=float)
    known = arm.scored & (sizes > 0)
    return sizes[known], arm.facts[test_column].to_numpy(dtype=float)[known]


def _win_maps(name: str, contrasts: Sequence[Plain]) -> Drawing:
    words = []
    for contrast in contrasts:
        win = contrast["win"]
        limits = interval(win["headline"], lambda value: f"{value:.2f}")
        words.append(
            f"{contrast['method']}: best of {count(win['headline_m'])} against {contrast['baseline']}'s best "
            f"of {count(win['headline_n'])}: "
            f"{win['headline']['value']:.2f}{f' ({limits})' if limits else ''}."
        )
    return Drawing(
        name,
        "Chance of being on par or better",
        f"Probability that the best of m trials of a method is on par with or better than the best of n of "
        f"{contrasts[0]['baseline']}. Bright: likely. White line: an even chance; dashed: m = n; star: the "
        "claim.",
        " ".join(words),
        draw_win_maps(contrasts),
    )
