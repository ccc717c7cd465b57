"""Several run directories as one: a table, histories and a design, or one sentence on why that cannot be.

Runs are joined where a reader would join them: other cells, other methods on a cell, more trials of an arm
under another seed, or one plan that was run in parts on two machines. What was not alike is said; what would
make a wrong table is refused.
"""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from harness.design import ArmDesign, ReplayDesign, Score, StudyDesign
from harness.records.differences import changes
from harness.records.directory import DirectoryError, RunDirectory
from harness.results.tabulate import read_run
from harness.study.plan import Trial
from harness.study.schema import ArchitectureEntry, Method
from harness.study.seeds import splits_text
from harness.study.written import WrittenPlan

ArmKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Runs:
    """One run, or several joined.

    notes: sentences for the report on what was joined and was not alike.
    """

    table: pd.DataFrame
    histories: pd.DataFrame
    design: StudyDesign
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """One of several runs. label: how the report calls it; path: how the user did."""

    path: Path
    label: str
    plan: WrittenPlan
    table: pd.DataFrame
    histories: pd.DataFrame
    design: StudyDesign

    @property
    def arms(self) -> dict[ArmKey, ArmDesign]:
        return {(arm.dataset, arm.architecture, arm.method): arm for arm in self.design.arms}

    @property
    def seed(self) -> int:
        return self.plan.study.seeds.study

    def sources(self, key: ArmKey) -> dict[str, str]:
        """What of strangers' code an arm's trials use, as far as the plan's version tells arms apart."""
        return self.plan.plugins if self.plan.plan_version == 1 else self.plan.sources.get("/".join(key), {})

    def trained(self, architecture: str) -> dict[str, Any]:
        """What all trials of a network family have in common."""
        study = self.plan.study
        family = {
            name: value
            for name, value in _entry(study.architectures, architecture).items()
            if name != "widths"  # of each arm's space
        }
        return {
            "training": study.training.identity(),
            "split seed": splits_text(study.seeds),
            "architecture": family,
        }


def read_runs(paths: Sequence[Path], settled: Collection[str] = ()) -> Runs:
    """Reads one run directory or joins several.

    Args:
        paths: run directories, one at least.
        settled: fields of the claim that the caller sets, so that the runs may differ in them.

    Raises:
        DirectoryError: a path is no run directory, or the runs cannot be joined.
    """
    if len(paths) == 1:
        return Runs(*read_run(paths[0]))
    _refuse_twice(paths)
    names = [path.resolve().name for path in paths]
    labels = [str(path) if names.count(name) > 1 else name for path, name in zip(paths, names, strict=True)]
    parts = [
        _Part(path, label, RunDirectory(path).read_plan(), *read_run(path))
        for path, label in zip(paths, labels, strict=True)
    ]
    for one, other in combinations(parts, 2):
        _refuse_other_data(one, other)
        _refuse_same_trials(one, other)
        _refuse_unlike_arms(one, other)
    notes = [*_claim_notes(parts, settled), *_cell_notes(parts)]
    return Runs(
        table=pd.concat([_with_own_pairs(part) for part in parts], ignore_index=True),
        histories=pd.concat([part.histories for part in parts], ignore_index=True),
        design=_joined_design(parts),
        notes=tuple(notes),
    )


def load_trials(*paths: Path | str) -> pd.DataFrame:
    """The trials of a run, or of several joined, one row each, with the columns of `harness.trial_table`.

    Raises:
        DirectoryError: a path is no run directory, or the runs cannot be joined: one sentence.
    """
    return read_runs([Path(path) for path in paths], settled=("baseline", "n", "cost", "margin")).table


def plan_notes(runs: Runs) -> tuple[str, ...]:
    """What a report must still say of the runs where their plans are left out of it."""
    design = runs.design
    names = ["dataset", "architecture", "method"]
    counts = {tuple(map(str, key)): len(part) for key, part in runs.table.groupby(names)}
    notes = [
        "Runs are judged together with tables that have no plan, so planned trials, search spaces and "
        "training settings are not shown; they stand in the runs' own reports."
    ]
    for arm in design.arms:
        planned = arm.planned_trials
        absent = planned - counts.get((arm.dataset, arm.architecture, arm.method), 0)
        if absent > 0:
            notes.append(
                f"{absent:,} of {planned:,} planned trials of {arm.method} on {arm.dataset} / "
                f"{arm.architecture} have no outcome yet."
            )
    for replay in design.replays:
        notes.append(
            f"{replay.method} on {replay.dataset} / {replay.architecture} replays {replay.replay_of}, which "
            "is left out here; it stands in the runs' own reports."
        )
    if design.lost_attempts:
        notes.append(f"{design.lost_attempts:,} attempts of the runs were lost with their worker.")
    if design.set_aside:
        notes.append(f"{design.set_aside:,} records of the runs were set aside, damaged or of another plan.")
    return (*notes, *design.warnings)


def _entry(entries: Sequence[ArchitectureEntry] | Sequence[Method], name: str) -> dict[str, Any]:
    return next((entry.identity() for entry in entries if entry.name == name), {})


def _refuse_twice(paths: Sequence[Path]) -> None:
    places = [path.resolve() for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            raise DirectoryError(f"{path} is named twice; allowed is each run once")


def _refuse_other_data(one: _Part, other: _Part) -> None:
    for name in sorted({*one.plan.data} & {*other.plan.data}):
        if one.plan.data[name] != other.plan.data[name]:
            raise DirectoryError(
                f"{one.path} and {other.path}: the data set {name!r} of one is not that of the other, so "
                "their scores cannot stand in one report"
            )


def _refuse_same_trials(one: _Part, other: _Part) -> None:
    common = sorted({*one.table["trial_id"]} & {*other.table["trial_id"]})
    if common:
        raise DirectoryError(
            f"{one.path} and {other.path} hold {len(common):,} trial(s) in common, such as {common[0]}: they "
            "are runs of one study; name one of them, or give one another seed"
        )


def _refuse_unlike_arms(one: _Part, other: _Part) -> None:
    """An arm of two runs must be one arm: same space, same training; and searches that learn stay whole."""
    for key in sorted({*one.arms} & {*other.arms}):
        name = "/".join(key)
        # Trials and replicates may differ: those of the two are added.
        described = [
            {
                **{k: v for k, v in part.arms[key].asked().items() if k != "trials"},
                **part.trained(key[1]),
                "split seed": None,
                "method": _entry(part.plan.study.methods, key[2]),
                "plugins": part.sources(key),
            }
            for part in (one, other)
        ]
        differing = _places(described[0], described[1])
        if differing:
            raise DirectoryError(
                f"{one.path} and {other.path} both have the arm {name}, and not alike ({differing}): their "
                "trials cannot be counted as one arm; report them apart"
            )
        if one.arms[key].sampling != "iid" and all(_has_trials(part, key) for part in (one, other)):
            raise DirectoryError(
                f"{one.path} and {other.path} both have trials of {name}, which are not independent draws, "
                "so they cannot be added up; ask for more `replicates` in one study"
            )


def _has_trials(part: _Part, key: ArmKey) -> bool:
    table = part.table
    in_cell = (table["dataset"] == key[0]) & (table["architecture"] == key[1])
    return bool((in_cell & (table["method"] == key[2])).any())


def _places(one: Any, other: Any) -> str:
    """Where two descriptions differ, a few names."""
    found = [line.split(" was ")[0].split(" is ")[0] for line in changes(one, other)]
    return ", ".join(found[:4]) + (", ..." if len(found) > 4 else "")


def _claim_notes(parts: Sequence[_Part], settled: Collection[str]) -> list[str]:
    differing, open_fields = [], []
    for field in ("baseline", "n", "cost", "margin"):
        values = [getattr(part.design.claim, field) for part in parts]
        if len(set(values)) > 1:
            said = ", ".join(f"{value} in {part.label}" for part, value in zip(parts, values, strict=True))
            differing.append(f"{field}: {said}")
            open_fields += [] if field in settled else [f"--{field}"]
    if open_fields:
        raise DirectoryError(
            f"the runs fixed different claims ({'; '.join(differing)}); say which holds with "
            f"{' and '.join(open_fields)}"
        )
    return [f"The runs fixed different claims ({'; '.join(differing)})."] if differing else []


def _as_trained(part: _Part, architecture: str) -> dict[str, Any]:
    """What trials have in common, without what is only measured of their networks once they are trained.

    Arms of one name are not judged by it: with and without a measurement, one seed gives the same trials
    under other ids, which must not be counted twice.
    """
    found = part.trained(architecture)
    return found | {"training": {k: v for k, v in found["training"].items() if k != "measure_speed"}}


def _cell_notes(parts: Sequence[_Part]) -> list[str]:
    """One sentence for each cell with arms of several runs."""
    notes = []
    for cell in dict.fromkeys(key[:2] for part in parts for key in part.arms):
        sharing = [part for part in parts if any(key[:2] == cell for key in part.arms)]
        if len(sharing) < 2:
            continue
        arms = [
            f"{part.label}: {', '.join(key[2] for key in part.arms if key[:2] == cell)}" for part in sharing
        ]
        # The first against each other one; a difference among the others is one against the first, too.
        first = _as_trained(sharing[0], cell[1])
        unlike = [_places(first, _as_trained(part, cell[1])) for part in sharing[1:]]
        differing = ", ".join(dict.fromkeys(place for place in unlike if place))
        alike = f"not trained alike ({differing}), so they are not like for like" if differing else "alike"
        notes.append(
            f"{' / '.join(cell)} joins trials of {len(sharing)} runs ({'; '.join(arms)}), "
            f"{'' if differing else 'trained '}{alike}. Seconds of different runs compare only on the same, "
            "equally busy hardware."
        )
    return notes


def _with_own_pairs(part: _Part) -> pd.DataFrame:
    """Pairs share draws and seeds; runs under other study seeds number theirs alike, yet share none."""
    pairs = part.table["pair_id"]
    return part.table.assign(pair_id=(f"{part.seed}/" + pairs).where(pairs.notna(), pairs))


def _spanned(spans: Sequence[tuple[int, int] | None]) -> tuple[int, int] | None:
    """Least and most of several; nothing is known where one does not know."""
    known = [span for span in spans if span is not None]
    if len(known) < len(spans):
        return None
    return min(low for low, _ in known), max(high for _, high in known)


def _joined_design(parts: Sequence[_Part]) -> StudyDesign:
    arms = []
    for key in dict.fromkeys(key for part in parts for key in part.arms):
        having = [part for part in parts if key in part.arms]
        arm = having[0].arms[key]
        frozen = {trial.id for part in having for trial in _drawn(part, key)}
        # Parts of one plan share their frozen trials, runs under other seeds do not. Searches that learn have
        # none, and only one run has their trials.
        if arm.sampling == "iid" and frozen:
            arm = dataclasses.replace(arm, trials=len(frozen), replicates=1)
        spans = [(part.arms[key].epochs_planned, part.arms[key].examples) for part in having]
        epochs, examples = (_spanned(each) for each in zip(*spans, strict=True))
        arms.append(dataclasses.replace(arm, epochs_planned=epochs, examples=examples))
    designs = [part.design for part in parts]
    return StudyDesign(
        name=" + ".join(dict.fromkeys(design.name for design in designs)),
        description=" ".join(dict.fromkeys(design.description for design in designs if design.description)),
        arms=tuple(arms),
        claim=designs[0].claim,
        paired=all(design.paired for design in designs),
        settings=_joined_settings(parts),
        warnings=tuple(dict.fromkeys(line for design in designs for line in design.warnings)),
        lost_attempts=sum(design.lost_attempts for design in designs),
        set_aside=sum(design.set_aside for design in designs),
        score=_joined_score(designs),
        replays=_joined_replays(designs),
    )


def _joined_score(designs: Sequence[StudyDesign]) -> Score:
    scores = [design.score for design in designs]
    if len({(score.name, score.higher_is_better) for score in scores}) > 1:
        names = ", ".join(dict.fromkeys(score.name for score in scores))
        raise DirectoryError(f"the runs are judged by different scores ({names}); report them apart")
    return dataclasses.replace(scores[0], failed={k: v for score in scores for k, v in score.failed.items()})


def _joined_replays(designs: Sequence[StudyDesign]) -> tuple[ReplayDesign, ...]:
    """Each once, as the first run has it."""
    found: dict[ArmKey, ReplayDesign] = {}
    for design in designs:
        for replay in design.replays:
            found.setdefault((replay.dataset, replay.architecture, replay.method), replay)
    return tuple(found.values())


def _drawn(part: _Part, key: ArmKey) -> list[Trial]:
    """The trials of an arm that its plan holds, repeats left out."""
    arms = part.plan.arms
    names = {name for name, arm in arms.items() if (arm.dataset, arm.architecture, arm.method) == key}
    return [trial for trial in part.plan.trials if trial.arm in names and not trial.repeat]


def _joined_settings(parts: Sequence[_Part]) -> dict[str, str]:
    joined = {}
    for label in dict.fromkeys(label for part in parts for label in part.design.settings):
        texts: dict[str, list[str]] = {}
        for part in parts:
            texts.setdefault(part.design.settings.get(label, "not told"), []).append(part.label)
        alike = len(texts) == 1
        joined[label] = (
            next(iter(texts))
            if alike
            else "; ".join(f"{', '.join(names)}: {text}" for text, names in texts.items())
        )
    return joined
