"""Objections to what was asked for: how the table was read, what the arms were given."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from harness.design import ArmDesign, StudyDesign
from harness.design_warnings import are_compared, design_warnings
from reports.arms.arm import Arm, arms_by_cell
from reports.results.results import Warn
from reports.scope import Scope
from reports.table.checks import TrialTable


def reading(table: TrialTable, scope: Scope) -> Iterator[Warn]:
    """How the table was read, and what it lacks of what was named."""
    for note in table.notes:
        yield Warn("reading", "note" if table.has_sampling else "caution", note)
    if scope.baseline is None:
        yield Warn(
            "baseline", "serious", "No baseline was named, so there are no verdicts; name one of the methods."
        )
    present = set(table.trials["method"])
    for name in (scope.baseline, *scope.methods):
        if name is not None and len(present) and name not in present:
            sentence = f"The table has no trials of {name}; its methods are {', '.join(sorted(present))}."
            yield Warn("method", "serious", sentence, method=name)
    if table.lost:
        yield Warn(
            "lost", "note", f"{table.lost} attempts were lost with their worker; they are no outcomes."
        )


def planned(design: StudyDesign, found: Sequence[Warn]) -> Iterator[Warn]:
    """What the plan has warned of, unless one of the warnings found here says the same of the same cell."""
    kinds = {warning.sentence: warning for warning in design_warnings(design.arms, design.claim.n)}
    told = {(warn.code, warn.dataset, warn.architecture) for warn in found}
    for sentence in design.warnings:
        same = kinds.get(sentence)
        if same and {(same.kind, same.dataset, same.architecture), (same.kind, "", "")} & told:
            continue
        yield Warn("plan", "caution", sentence)


def spaces(design: StudyDesign | None, arms: Sequence[Arm]) -> Iterator[Warn]:
    """Arms of a cell that did not search the same space: as designed, or else as the draws show."""
    if design is not None:
        for first, second in combinations(design.arms, 2):
            if are_compared(first, second):
                yield from _designed_spaces(first, second)
        return
    for (dataset, architecture), members in arms_by_cell(arms).items():
        for one, other in combinations(members, 2):
            for name in sorted(set(one.parameters) & set(other.parameters)):
                ranges = [
                    (np.nanmin(a.parameters[name]), np.nanmax(a.parameters[name])) for a in (one, other)
                ]
                overlap = min(ranges[0][1], ranges[1][1]) - max(ranges[0][0], ranges[1][0])
                widest = max(ranges[0][1] - ranges[0][0], ranges[1][1] - ranges[1][0])
                if overlap < widest / 2:
                    spans = " and ".join(f"{low:.4g} to {high:.4g}" for low, high in ranges)
                    yield Warn(
                        "spaces",
                        "serious",
                        f"{one.method} and {other.method} did not draw {name} from the same range ({spans}).",
                        dataset,
                        architecture,
                    )


def _designed_spaces(first: ArmDesign, second: ArmDesign) -> Iterator[Warn]:
    place = first.dataset, first.architecture
    names = f"{first.method} and {second.method}"
    differing = [
        name for name in sorted({*first.space} & {*second.space}) if first.space[name] != second.space[name]
    ]
    if differing:
        sentence = (
            f"{names} searched different ranges of {', '.join(differing)}: that may explain a difference."
        )
        yield Warn("spaces", "serious", sentence, *place)
    layers = [
        name
        for name in sorted({*first.reach} & {*second.reach})
        if _upper(first, name) != _upper(second, name)
    ]
    if layers and first.origin is second.origin is None:
        ends = ", ".join(f"{name}: {_upper(first, name)} and {_upper(second, name)}" for name in layers)
        sentence = f"{names} cannot end with the same largest numbers of units ({ends})."
        yield Warn("reach", "caution", sentence, *place)
    if first.epochs != second.epochs:
        sentence = f"{names} were trained for {first.epochs} and {second.epochs} epochs."
        yield Warn("epochs", "serious", sentence, *place)


def _upper(arm: ArmDesign, layer: str) -> int:
    return arm.reach[layer][1]


def epochs(arms: Sequence[Arm]) -> Iterator[Warn]:
    """Arms of a cell whose trials were to train for different numbers of epochs; how long a control trains is
    what it is for."""
    judged = [arm for arm in arms if not _is_control(arm)]
    for (dataset, architecture), members in arms_by_cell(judged).items():
        planned = {
            arm.method: sorted({int(e) for e in arm.facts["epochs_planned"].dropna()})
            for arm in members
            if "epochs_planned" in arm.facts
        }
        if len({tuple(epochs) for epochs in planned.values() if epochs}) > 1:
            said = ", ".join(f"{method} {'/'.join(map(str, epochs))}" for method, epochs in planned.items())
            sentence = f"The arms were not given the same number of epochs ({said})."
            yield Warn("epochs", "serious", sentence, dataset, architecture)


def _is_control(arm: Arm) -> bool:
    return "origin_trial_id" in arm.facts and bool(arm.facts["origin_trial_id"].notna().any())
