"""The warnings a careful reviewer would give, found by the report itself.

Each check is one function that yields sentences; none changes a number. "serious" may overturn a verdict,
"caution" weakens it, "note" is for the record.
"""

from collections.abc import Iterator
from typing import cast

import pandas as pd

from harness.trial_table import PARAMETER_PREFIX, ArmDesign, StudyDesign
from reports.accounting import Arm, account
from reports.cautions_trials import trial_warnings
from reports.results import Results, Warn
from reports.settings import Settings
from reports.table import TrialTable
from reports.wording import count

_ORDER = {"serious": 0, "caution": 1, "note": 2}
#: Simulated: at N = 10 n a true 4-fold saving is found in about half of the studies, below that hardly ever.
_TRIALS_PER_N = 10


def find_warnings(
    table: TrialTable, design: StudyDesign | None, settings: Settings, results: Results | None
) -> tuple[Warn, ...]:
    """Every warning about a table, its design and its analysis, most serious first.

    Args:
        table: the checked trials.
        design: what the study asked for, if known.
        settings: names the score columns.
        results: what the analysis yielded, if there was one; its own warnings are taken in.
    """
    found = [
        *(results.warnings if results else ()),
        *_accounting_warnings(table, design),
        *_unequal_numbers(table.trials, design),
        *(_different_spaces(design) if design else _different_ranges(table.trials)),
        *(_too_few(results) if results else ()),
        *(_noise_and_optimism(results, table.trials) if results else ()),
        *trial_warnings(table.trials, settings, results.cost_unit if results else ""),
    ]
    once = list({(w.code, w.dataset, w.architecture, w.method): w for w in reversed(found)}.values())[::-1]
    return tuple(sorted(once, key=lambda warning: _ORDER[warning.severity]))


def _accounting_warnings(table: TrialTable, design: StudyDesign | None) -> Iterator[Warn]:
    accounting = account(table.trials, design, table.lost, "")
    for problem in accounting.problems:
        yield Warn("accounting", "serious", f"The trials do not add up: {problem}")
    if accounting.not_run:
        missing = count(accounting.not_run)
        yield Warn(
            "missing trials",
            "caution",
            f"{missing} planned {'trial is' if accounting.not_run == 1 else 'trials are'} missing. If slow "
            "or "
            "hard trials are the ones missing, the rest flatters its method.",
        )
    if accounting.set_aside:
        yield Warn(
            "set aside",
            "caution",
            f"{count(accounting.set_aside)} damaged records were set aside; their trials count as not yet "
            "run.",
        )
    if accounting.lost_attempts > 0.1 * max(accounting.total, 1):
        yield Warn(
            "lost attempts",
            "note",
            f"{count(accounting.lost_attempts)} attempts were lost with their worker. If a method's trials "
            "kill "
            "workers, that is a failure of the method which this count hides.",
        )
    for arm in accounting.arms:
        failed = arm.total - arm.outcomes["ok"]
        if arm.total >= 4 and failed > arm.total / 4:
            yield Warn(
                "many failures",
                "caution",
                f"{count(failed)} of {count(arm.total)} trials of {arm.method} on {arm.dataset} / "
                f"{arm.architecture} failed: its results depend on how a failed trial is scored.",
                arm.dataset,
                arm.architecture,
                arm.method,
            )


def _unequal_numbers(trials: pd.DataFrame, design: StudyDesign | None) -> Iterator[Warn]:
    keys = ["dataset", "architecture"]
    for (dataset, architecture), cell in trials.groupby(keys):
        sizes = cell["method"].value_counts()
        if len(sizes) > 1 and sizes.min() != sizes.max():
            yield Warn(
                "unequal N",
                "note",
                f"On {dataset} / {architecture} the arms have {_few_of_most(sizes)} trials. "
                "Expected bests are compared at equal n, but the intervals of the smaller arm are wider.",
                str(dataset),
                str(architecture),
            )
    planned = _planned_epochs(trials, design)
    for (dataset, architecture), of_methods in planned.items():
        if len(set(of_methods.values())) > 1:
            words = ", ".join(f"{method} {count(epochs)}" for method, epochs in of_methods.items())
            yield Warn(
                "unequal epochs",
                "caution",
                f"On {dataset} / {architecture} the arms were given different numbers of epochs ({words}): a "
                "difference between them may be one of training time.",
                dataset,
                architecture,
            )


def _few_of_most(sizes: "pd.Series[int]") -> str:
    return (
        f"from {count(int(sizes.min()))} ({sizes.idxmin()}) to {count(int(sizes.max()))} ({sizes.idxmax()})"
    )


def _planned_epochs(
    trials: pd.DataFrame, design: StudyDesign | None
) -> dict[tuple[str, str], dict[str, float]]:
    epochs: dict[tuple[str, str], dict[str, float]] = {}
    if design:
        for arm in design.arms:
            epochs.setdefault((arm.dataset, arm.architecture), {})[arm.method] = arm.epochs
    elif "epochs_planned" in trials:
        largest = trials.groupby(["dataset", "architecture", "method"])["epochs_planned"].max().dropna()
        for key, value in largest.items():
            dataset, architecture, method = cast(Arm, key)
            epochs.setdefault((dataset, architecture), {})[method] = float(value)
    return epochs


def _different_spaces(design: StudyDesign) -> Iterator[Warn]:
    cells: dict[tuple[str, str], list[ArmDesign]] = {}
    for arm in design.arms:
        cells.setdefault((arm.dataset, arm.architecture), []).append(arm)
    said: dict[str, list[str]] = {}
    for (dataset, architecture), arms in cells.items():
        for position, first in enumerate(arms):
            for second in arms[position + 1 :]:
                for difference in _differences(first, second):
                    said.setdefault(difference, []).append(f"{dataset} / {architecture}")
    for difference, where in said.items():
        yield Warn(
            f"space: {difference}",
            "caution",
            f"The arms did not search the same space ({', '.join(where)}): {difference}. What looks like a "
            "better method may be a better space.",
        )


def _differences(first: ArmDesign, second: ArmDesign) -> Iterator[str]:
    for name in first.space:
        if name in second.space and first.space[name] != second.space[name]:
            yield f"{name} has other limits in {first.method} than in {second.method}"
    layers = [layer for layer in first.reach if layer in second.reach]
    unequal = [layer for layer in layers if tuple(first.reach[layer]) != tuple(second.reach[layer])]
    if unequal:
        layer = unequal[0]
        ends = " and ".join(
            f"{count(low)} to {count(high)} units in {arm.method}"
            for arm in (first, second)
            for low, high in [arm.reach[layer]]
        )
        more = f" (and {len(unequal) - 1} more layers)" if len(unequal) > 1 else ""
        yield f"{layer} can end with {ends}{more}"


def _different_ranges(trials: pd.DataFrame) -> Iterator[Warn]:
    """Without a design only the values that were tried tell of the spaces."""
    for name in sorted(column for column in map(str, trials.columns) if column.startswith(PARAMETER_PREFIX)):
        values = pd.to_numeric(trials[name], errors="coerce")
        for (dataset, architecture), cell in values.groupby([trials["dataset"], trials["architecture"]]):
            ends = cell.groupby(trials["method"]).agg(["min", "max", "count"])
            ends = ends[ends["count"] >= 10]
            if len(ends) > 1 and (ends["max"].max() > 2 * ends["max"].min() > 0):
                wide, narrow = ends["max"].idxmax(), ends["max"].idxmin()
                yield Warn(
                    f"range: {name}",
                    "caution",
                    f"On {dataset} / {architecture}, {name.removeprefix(PARAMETER_PREFIX)} went up to "
                    f"{ends['max'].max():g} in {wide} but only to {ends['max'].min():g} in {narrow}: the "
                    "arms "
                    "may not have searched the same space.",
                    str(dataset),
                    str(architecture),
                )


def _too_few(results: Results) -> Iterator[Warn]:
    few = [
        arm
        for cell in results.cells
        for arm in cell.arms
        if arm.sampling == "iid" and arm.trials < _TRIALS_PER_N * results.n
    ]
    if few:
        least = min(few, key=lambda arm: arm.trials)
        yield Warn(
            "few trials",
            "caution",
            f"For n = {results.n} an arm should have {count(_TRIALS_PER_N * results.n)} trials or more; "
            f"{count(len(few))} {'arm has' if len(few) == 1 else 'arms have'} fewer, the smallest "
            f"{count(least.trials)} ({least.method} on {least.dataset} / {least.architecture}). Expect wide "
            "or "
            "open intervals.",
        )


def _noise_and_optimism(results: Results, trials: pd.DataFrame) -> Iterator[Warn]:
    for cell in results.cells:
        part = trials[(trials["dataset"] == cell.dataset) & (trials["architecture"] == cell.architecture)]
        n_test = float(part["n_test"].median()) if "n_test" in part else 0.0
        for contrast in cell.contrasts:
            difference = contrast.difference.value if contrast.difference else None
            baseline = next((arm for arm in cell.arms if arm.is_baseline), None)
            level = baseline.summary.best_by_validation if baseline else None
            if difference is None or level is None or not n_test > 0 or not 0 < level < 1:
                continue
            noise = (2 * level * (1 - level) / n_test) ** 0.5
            if abs(difference) < noise:
                yield Warn(
                    "test noise",
                    "caution",
                    f"On {cell.dataset} / {cell.architecture}, {contrast.method} and {contrast.baseline} "
                    "differ "
                    f"by {abs(difference) * 100:.2f} points at best of {contrast.n}; a test set of "
                    f"{count(n_test)} examples alone gives such a difference a standard error of "
                    f"{noise * 100:.2f} points.",
                    cell.dataset,
                    cell.architecture,
                    contrast.method,
                )
        for arm in cell.arms:
            curve = arm.optimism_of_n
            if curve is None or results.n not in curve.n:
                continue
            gap = curve.estimates[curve.n.index(results.n)]
            if gap.value is None or gap.interval is None or gap.interval.low is None or gap.value < 0.005:
                continue
            if gap.interval.low > 0 and not results.lower_is_better:
                yield Warn(
                    "optimism",
                    "note",
                    f"On {cell.dataset} / {cell.architecture}, the validation score of the chosen trial of "
                    f"{arm.method} is {gap.value:.2g} above its test score at best of {results.n}: the "
                    "search "
                    "fits the validation set.",
                    cell.dataset,
                    cell.architecture,
                    arm.method,
                )
