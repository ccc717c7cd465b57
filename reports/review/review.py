"""What a careful reviewer would object to, found by the report itself."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from scipy import stats

from harness.trial_table import ArmDesign, StudyDesign
from reports.arms.from_table import Arm
from reports.results.results import ArmResult, Contrast, Warn
from reports.scope import Scope, score_noise
from reports.table.checks import TrialTable
from reports.wording import ScoreWords, number

#: A drift with trial order is told below this p-value, shared among the arms.
DRIFT_ALPHA = 0.05
#: Trials that a two-sided distribution-free limit of the median best of n needs, per n: ln .025 / ln .5.
TRIALS_PER_N = 5.32
#: Numbers of trials (or epochs) count as unequal beyond this ratio.
UNEQUAL = 1.1


def review(
    table: TrialTable,
    design: StudyDesign | None,
    arms: Sequence[Arm],
    results: Sequence[ArmResult],
    contrasts: Sequence[Contrast],
    scope: Scope,
    score: ScoreWords,
) -> tuple[Warn, ...]:
    """All warnings, the gravest first."""
    found = [
        *_reading(table, design, scope),
        *_spaces(design, arms),
        *_epochs(arms),
        *_sizes(arms),
        *_few(arms, scope),
        *_missing(results, design),
        *_noise(arms, contrasts, scope, score),
        *_optimism(results, contrasts, scope, score),
        *_drift(arms),
        *_hardware(arms, scope),
        *_splits(arms),
        *_copies(arms),
        *_drops(results, scope),
        *_filled(arms),
    ]
    order = {"serious": 0, "caution": 1, "note": 2}
    return tuple(sorted(found, key=lambda warn: order[warn.severity]))


def _reading(table: TrialTable, design: StudyDesign | None, scope: Scope) -> Iterator[Warn]:
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
    for sentence in design.warnings if design else ():
        yield Warn("plan", "caution", sentence)


def _cells(arms: Sequence[Arm]) -> dict[tuple[str, str], list[Arm]]:
    cells: dict[tuple[str, str], list[Arm]] = {}
    for arm in arms:
        cells.setdefault((arm.dataset, arm.architecture), []).append(arm)
    return cells


def _spaces(design: StudyDesign | None, arms: Sequence[Arm]) -> Iterator[Warn]:
    if design is not None:
        for first, second in combinations(design.arms, 2):
            if (first.dataset, first.architecture) == (second.dataset, second.architecture):
                yield from _designed_spaces(first, second)
        return
    for (dataset, architecture), members in _cells(arms).items():
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
    if layers:
        ends = ", ".join(f"{name}: {_upper(first, name)} and {_upper(second, name)}" for name in layers)
        sentence = f"{names} cannot end with the same largest numbers of units ({ends})."
        yield Warn("reach", "caution", sentence, *place)
    if first.epochs != second.epochs:
        sentence = f"{names} were trained for {first.epochs} and {second.epochs} epochs."
        yield Warn("epochs", "serious", sentence, *place)


def _upper(arm: ArmDesign, layer: str) -> int:
    return arm.reach[layer][1]


def _epochs(arms: Sequence[Arm]) -> Iterator[Warn]:
    for (dataset, architecture), members in _cells(arms).items():
        planned = {
            arm.method: sorted({int(e) for e in arm.facts["epochs_planned"].dropna()})
            for arm in members
            if "epochs_planned" in arm.facts
        }
        if len({tuple(epochs) for epochs in planned.values() if epochs}) > 1:
            said = ", ".join(f"{method} {'/'.join(map(str, epochs))}" for method, epochs in planned.items())
            sentence = f"The arms were not given the same number of epochs ({said})."
            yield Warn("epochs", "serious", sentence, dataset, architecture)


def _sizes(arms: Sequence[Arm]) -> Iterator[Warn]:
    for (dataset, architecture), members in _cells(arms).items():
        counts = {arm.method: arm.trials for arm in members}
        if counts and max(counts.values()) > UNEQUAL * max(min(counts.values()), 1):
            said = ", ".join(f"{method} {count}" for method, count in counts.items())
            sentence = f"The arms have unequal numbers of trials ({said})."
            yield Warn("unequal", "caution", sentence, dataset, architecture)


def _few(arms: Sequence[Arm], scope: Scope) -> Iterator[Warn]:
    short = [arm for arm in arms if arm.sampling == "iid" and arm.trials < TRIALS_PER_N * scope.n]
    if short:
        sizes = sorted({arm.trials for arm in short})
        have = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        sentence = (
            f"{len(short)} of {len(arms)} arms have too few trials ({have}) for n = {scope.n}: it asks for "
            f"{int(np.ceil(TRIALS_PER_N * scope.n))} at least, and for {10 * scope.n} if a difference is to "
            "be found."
        )
        yield Warn("few", "caution", sentence)


def _missing(results: Sequence[ArmResult], design: StudyDesign | None) -> Iterator[Warn]:
    present = {(arm.dataset, arm.architecture, arm.method) for arm in results}
    planned = [(arm.dataset, arm.architecture, arm.method) for arm in design.arms] if design else []
    absent = ["/".join(place) for place in planned if place not in present]
    if absent:
        sentence = f"{len(absent)} of {len(planned)} planned arms have no outcome yet: {', '.join(absent)}."
        yield Warn("missing", "caution", sentence)
    for arm in results:
        place = arm.dataset, arm.architecture, arm.method
        count = arm.accounting
        if count.not_run:
            sentence = (
                f"{count.not_run} of {count.planned} planned trials of {arm.method} have no outcome yet."
            )
            yield Warn("missing", "caution", sentence, *place)
        if not count.balanced:
            sentence = (
                f"{arm.method} has {count.done + count.failed} outcomes for {count.planned} planned trials: "
                "more than there can be."
            )
            yield Warn("accounting", "serious", sentence, *place)
        if count.failed == arm.trials and arm.trials:
            yield Warn("failed", "serious", f"Every trial of {arm.method} failed.", *place)


def _noise(
    arms: Sequence[Arm], contrasts: Sequence[Contrast], scope: Scope, score: ScoreWords
) -> Iterator[Warn]:
    by_name = {(arm.dataset, arm.architecture, arm.method): arm for arm in arms}
    found: dict[str, list[str]] = {}
    for contrast in contrasts:
        arm = by_name[contrast.dataset, contrast.architecture, contrast.method]
        if contrast.difference is None or contrast.difference.value is None:
            continue
        noise = score_noise(scope, arm, float(np.median(arm.test))) * np.sqrt(2)
        value = contrast.difference.value
        if 0 < abs(value) < noise:
            numbers = f"{score.difference(value)} against {score.difference(noise).lstrip('+')}"
            found.setdefault(contrast.method, []).append(f"{_place(arm)}: {numbers}")
    for method, cells in found.items():
        sentence = (
            f"The difference between {method} and {scope.baseline} at n = {scope.n} is smaller than the "
            f"noise of the test set, so another test set could turn it round ({'; '.join(cells)})."
        )
        yield Warn("noise", "caution", sentence, method=method)


def _place(arm: Arm | ArmResult) -> str:
    return f"{arm.dataset} / {arm.architecture}"


def _optimism(
    results: Sequence[ArmResult], contrasts: Sequence[Contrast], scope: Scope, score: ScoreWords
) -> Iterator[Warn]:
    differences = {
        (c.dataset, c.architecture): abs(c.difference.value)
        for c in contrasts
        if c.difference is not None and c.difference.value is not None
    }
    found: dict[str, list[str]] = {}
    for arm in results:
        curve = arm.optimism_of_n
        if curve is None or scope.n not in curve.n:
            continue
        excess = curve.estimates[curve.n.index(scope.n)]
        limits = excess.interval
        largest = max(differences.get((arm.dataset, arm.architecture), 0.0), scope.margin or 0.0)
        if limits is None or limits.low is None or excess.value is None:
            continue
        if limits.low > 0 and excess.value > largest:
            points = score.difference(excess.value).lstrip("+")
            found.setdefault(arm.method, []).append(f"{_place(arm)}: {points}")
    for method, cells in found.items():
        sentence = (
            f"The trial of {method} that validation selects among {scope.n} scores better on validation than "
            f"on test, by more than the arms differ: trust test scores only ({'; '.join(cells)})."
        )
        yield Warn("optimism", "caution", sentence, method=method)


def _drift(arms: Sequence[Arm]) -> Iterator[Warn]:
    judged = [arm for arm in arms if arm.sampling == "iid" and arm.position is not None and arm.trials >= 10]
    for arm in judged:
        position = arm.position
        if position is None or np.ptp(arm.test) == 0 or np.ptp(position) == 0:
            continue
        outcome = stats.spearmanr(position, np.where(arm.failed, arm.test.min() - 1.0, arm.test))
        if outcome.pvalue < DRIFT_ALPHA / len(judged):
            sentence = (
                f"Scores of {arm.method} drift with the order of its trials (rank correlation "
                f"{number(float(outcome.statistic), 2)}): independent draws do not."
            )
            yield Warn("drift", "serious", sentence, arm.dataset, arm.architecture, arm.method)


def _hardware(arms: Sequence[Arm], scope: Scope) -> Iterator[Warn]:
    for (dataset, architecture), members in _cells(arms).items():
        devices: set[str] = set()
        for arm in members:
            if "device" in arm.facts and "train_seconds" in arm.costs:
                devices |= set(arm.facts["device"].dropna().astype(str)) - {""}
        if len(devices) > 1:
            grave = scope.cost in ("train_seconds", "device_seconds", "joules")
            sentence = (
                f"Trials ran on {len(devices)} kinds of device ({', '.join(sorted(devices))}): seconds and "
                "joules are not comparable between them; FLOPs are."
            )
            yield Warn("hardware", "serious" if grave else "caution", sentence, dataset, architecture)


def _splits(arms: Sequence[Arm]) -> Iterator[Warn]:
    alone = []
    for dataset in sorted({arm.dataset for arm in arms}):
        frames = [arm.facts for arm in arms if arm.dataset == dataset]
        seeds = {seed for frame in frames if "split_seed" in frame for seed in frame["split_seed"].dropna()}
        if len(seeds) == 1:
            alone.append(dataset)
    if alone:
        sentence = (
            f"One validation split only, the same for every trial ({', '.join(alone)}): what another split "
            "would select is not part of any interval."
        )
        yield Warn("split", "note", sentence)


def _copies(arms: Sequence[Arm]) -> Iterator[Warn]:
    for arm in arms:
        if arm.sampling != "iid" or not arm.parameters:
            continue
        columns = [*arm.parameters.values(), arm.validation, arm.test]
        rows = np.unique(np.column_stack(columns)[~arm.failed], axis=0).shape[0]
        copies = int((~arm.failed).sum()) - rows
        if copies:
            sentence = (
                f"{copies} trials of {arm.method} repeat another one in every searched value and score: two "
                "workers may have drawn with one seed, and N is smaller than it looks."
            )
            yield Warn("copies", "serious", sentence, arm.dataset, arm.architecture, arm.method)


def _drops(results: Sequence[ArmResult], scope: Scope) -> Iterator[Warn]:
    """Expected test score that falls with more trials: validation selects noise."""
    for arm in results:
        curve = arm.best_of_n
        if curve is None or arm.sampling != "iid":
            continue
        reliable = [
            e for n, e in zip(curve.n, curve.estimates, strict=True) if n <= max(curve.reliable_to, 1)
        ]
        values = [e.value for e in reliable if e.value is not None]
        last = reliable[-1].interval if reliable else None
        if len(values) < 2 or last is None or last.low is None or last.high is None:
            continue
        drop = max(scope.sign * value for value in values) - scope.sign * values[-1]
        if drop > (last.high - last.low) / 4:  # about one standard error
            sentence = f"More trials of {arm.method} give a worse selected model: validation selects noise."
            yield Warn("drop", "caution", sentence, arm.dataset, arm.architecture, arm.method)


def _filled(arms: Sequence[Arm]) -> Iterator[Warn]:
    for arm in arms:
        for unit, count in arm.filled.items():
            if count:
                sentence = (
                    f"{count} trials of {arm.method} have no {unit}; they count at the mean of the others."
                )
                yield Warn("cost", "caution", sentence, arm.dataset, arm.architecture, arm.method)
        for unit, why in arm.withheld.items():
            sentence = f"{arm.method}: no costs in {unit} ({why})."
            yield Warn("cost", "caution", sentence, arm.dataset, arm.architecture, arm.method)
