"""The plan: arms, search spaces, seeds, and the frozen list of trials. `planning` makes it."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.datasets import validation_count
from harness.datasets.base import DatasetFacts, DatasetSpec
from harness.design import ArmDesign, ReplayDesign, Score
from harness.objectives.base import Objective
from harness.search.seeding import derive_seed, digest
from harness.search.space import Scalar, Space, domain_to_json
from harness.sizing.base import Cell, Params, Phase, Schedule, SizingMethod
from harness.study.beside import (
    batch_size,
    learning_rate,
    optimizer_of,
    options_drawn,
    with_options,
)
from harness.study.lengths import Length, length
from harness.study.making import dataset_spec, entry_named, make_cell, make_method, make_objective
from harness.study.schema import ArchitectureEntry, Method, Sampler, Study
from harness.study.seeds import split_seed, training_seeds
from harness.study.training import Optimizer

#: 1: trials' ids hold the digests of all plug-in files of the study. 2: of what their own arm uses.
#: 3: the same, with more that a study may ask.
PLAN_VERSION = 3


@dataclass(frozen=True, slots=True)
class Arm:
    """Cell x method, with its search. key: "dataset/architecture/method", unique in a plan.

    origin: key of the arm whose trials those of this one begin from; it has the sampler of that one then.
    sampler_text: the sampler with every option. sampler_options: the same as values, with the defaults of the
    Optuna that the run was begun under. trials: points drawn in each replicate. repeats: how often each is
    trained. reach: smallest and largest size each
    layer can end with. epochs: that the study asks for. epochs_planned, examples, pruner, registered,
    controls: as in `ArmDesign`.
    """

    key: str
    dataset: str
    architecture: str
    method: str
    sampler: Sampler
    sampler_text: str
    sampling: str
    space: Space
    reach: Mapping[str, tuple[int, int]]
    trials: int
    epochs: int
    origin: str | None = None
    sampler_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    epochs_planned: tuple[int, int] | None = None
    examples: tuple[int, int] | None = None
    repeats: int = 1
    pruner: Mapping[str, Any] | None = None
    registered: str = ""
    controls: tuple[str, ...] = ()

    @property
    def replicates(self) -> int:
        """Whole searches."""
        return self.sampler.replicates

    @property
    def planned_trials(self) -> int:
        """Trials of all its searches, repeats included."""
        return self.trials * self.replicates * self.repeats

    def design(self) -> ArmDesign:
        """The arm as plans are written and reports read it."""
        return ArmDesign(
            dataset=self.dataset,
            architecture=self.architecture,
            method=self.method,
            sampler=self.sampler_text,
            sampling=self.sampling,
            trials=self.trials,
            epochs=self.epochs,
            space={name: domain_to_json(domain) for name, domain in self.space.items()},
            reach={layer: (low, high) for layer, (low, high) in self.reach.items()},
            replicates=self.sampler.replicates,
            origin=self.origin,
            sampler_options=dict(self.sampler_options),
            epochs_planned=self.epochs_planned,
            examples=self.examples,
            repeats=self.repeats,
            pruner=None if self.pruner is None else dict(self.pruner),
            registered=self.registered,
            controls=self.controls,
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """One model to be trained once. id: hash of all that defines the trial.

    seeds: "init" for weights, "order" for the order of examples, "method" for the method's own choices.
    pair_id: shared by trials that share draws and seeds: those of a cell in a paired study, a control's and
    its origin's in any; None else. origin: id of the trial that it begins from. repeat: number of
    the training of its point, from 0; that of its origin.
    """

    id: str
    arm: str
    replicate: int
    index: int
    params: Mapping[str, Scalar]
    seeds: Mapping[str, int]
    pair_id: str | None = None
    origin: str | None = None
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run. Trials of adaptive arms are not in it: they are asked for while the study runs.

    sources: arm key -> what of strangers' code its trials use (`sources`), name -> SHA-256 or version.
    frozen: (arm key, replicate) -> trials in the order they were drawn; all points first, then their repeats.
    replays: what trains nothing and is computed from an arm's curves, by key.
    version: of the rule for trials' ids; a run goes on under the one it was begun under.
    """

    study: Study
    facts: Mapping[str, DatasetFacts]
    arms: Mapping[str, Arm]
    plugin_digests: Mapping[str, str]
    frozen: Mapping[tuple[str, int], tuple[Trial, ...]] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sources: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    version: int = PLAN_VERSION
    replays: Mapping[str, ReplayDesign] = dataclasses.field(default_factory=dict)

    @property
    def planned_trials(self) -> int:
        """Number of trials of the whole study, adaptive arms included."""
        return sum(arm.planned_trials for arm in self.arms.values())

    def cell(self, arm: Arm, params: Params) -> Cell:
        """Where the arm's method is put to work in a trial that drew `params`.

        Raises:
            ValueError: if there is no architecture of drawn options; of looked at ones there is.
        """
        facts = self.facts[arm.dataset]
        return make_cell(self.architecture(arm, params), facts, self.objective.outputs(facts))

    def architecture(self, arm: Arm, params: Params) -> ArchitectureEntry:
        """The entry of the architecture of a trial: with the options that it drew."""
        entry = entry_named(self.study.architectures, arm.architecture)
        return with_options(entry, options_drawn(self.study, self._method_entry(arm), params))

    def method(self, arm: Arm) -> SizingMethod:
        """The arm's sizing method with its options."""
        return make_method(self._method_entry(arm))

    @property
    def objective(self) -> Objective:
        """What every trial learns."""
        return make_objective(self.study)

    @property
    def score(self) -> Score:
        """What trials are judged by. A failed one counts as what a constant answer scores on the data set's
        test part, where that is known for such a score, unless the study says other."""
        objective, said = self.objective, self.study.claim.failed_score
        failed = {
            name: facts.constant_scores.get(objective.score_name) if said is None else said
            for name, facts in self.facts.items()
        }
        known = {name: score for name, score in failed.items() if score is not None}
        return Score(objective.score_name, objective.higher_is_better, known)

    def is_replayed(self, arm: Arm) -> bool:
        """Whether a pruner is replayed on the arm's trials, which wants their test scores along the way: for
        another arm, or as its own search is told of them."""
        place = arm.dataset, arm.architecture, arm.method
        replayed = any((r.dataset, r.architecture, r.replay_of) == place for r in self.replays.values())
        return replayed or arm.pruner is not None

    def schedule(self, arm: Arm, params: Params) -> Schedule:
        """What is asked of the training of a trial: by the study, or where it says so by what was drawn."""
        rate = learning_rate(self.study, self._method_entry(arm), params)
        return Schedule(arm.epochs, rate, self.train_examples(arm))

    def optimizer(self, arm: Arm) -> Optimizer:
        """What the arm's trials are trained by."""
        return optimizer_of(self.study, self._method_entry(arm))

    def batch_size(self, arm: Arm, params: Params) -> int:
        """Examples in a trial's batches: the study's number, or the one that was drawn."""
        return batch_size(self.study, self._method_entry(arm), params)

    def length(self, arm: Arm, params: Params, phases: Iterable[Phase]) -> Length:
        """How long a trial with these phases trains."""
        return length(phases, self.batch_size(arm, params), self.train_examples(arm))

    def train_examples(self, arm: Arm) -> int:
        """Examples of one pass over the arm's training part."""
        facts, fraction = self.facts[arm.dataset], self.study.training.validation_fraction
        held_out = validation_count(facts.name, facts.train_examples, fraction, self.study.seeds.split)
        return facts.train_examples - held_out

    def dataset(self, arm: Arm) -> DatasetSpec:
        """The arm's data set, as the loaders want it."""
        return dataset_spec(entry_named(self.study.datasets, arm.dataset))

    def search_seed(self, arm: Arm, replicate: int) -> int:
        """Seed of the arm's sampler; in a paired study the same for the arms of a cell."""
        return derive_seed("search", self.study.seeds.study, self._stream(arm), replicate)

    def make_trial(
        self,
        arm: Arm,
        replicate: int,
        index: int,
        params: Mapping[str, Scalar],
        origin: str | None = None,
        repeat: int = 0,
    ) -> Trial:
        """The trial at a drawn point, with its seeds and its id; origin: id of the trial it begins from."""
        stream = self._stream(arm)
        seeds = training_seeds(self.study.seeds.study, stream, replicate, index, repeat)
        common = self._definition(arm, split_seed(self.study.seeds, arm.sampling, replicate, index))
        definition = [common, replicate, index, dict(params), seeds]
        definition += [] if origin is None else [origin]
        definition += [{"repeat": repeat}] if repeat else []
        pair_id = None
        if self.study.paired or self._has_controls(arm):
            pair_id = f"{stream}/{replicate}/{index}" + (f"/{repeat}" if repeat else "")
        name = digest(definition)[:16]
        return Trial(name, arm.key, replicate, index, dict(params), seeds, pair_id, origin, repeat)

    def split_seed(self, trial: Trial) -> int:
        """Seed of the validation split that a trial is trained and selected on."""
        sampling = self.arms[trial.arm].sampling
        return split_seed(self.study.seeds, sampling, trial.replicate, trial.index)

    def points(self, arm: Arm) -> list[Mapping[str, Scalar]]:
        """Values of the arm's drawn trials, each point once; empty where they are not known yet."""
        return points_of(self.frozen, arm)

    def to_json(self) -> dict[str, Any]:
        """The plan as it is written to the run directory: the same study and data give the same plan."""
        return {
            "plan_version": self.version,
            "study": self.study.model_dump(mode="json") | {"plugins": sorted(self.plugin_digests)},
            "data": {name: dataclasses.asdict(facts) for name, facts in self.facts.items()},
            "plugins": dict(self.plugin_digests),
            "sources": {key: dict(used) for key, used in self.sources.items() if used},
            "arms": {arm.key: dataclasses.asdict(arm.design()) for arm in self.arms.values()},
            "replays": {key: dataclasses.asdict(replay) for key, replay in self.replays.items()},
            "score": dataclasses.asdict(self.score),
            "warnings": list(self.warnings),
            "trials": [dataclasses.asdict(trial) for trials in self.frozen.values() for trial in trials],
        }

    def _method_entry(self, arm: Arm) -> Method:
        entry: Method = entry_named(self.study.methods, arm.method)
        return entry

    def _definition(self, arm: Arm, split: int) -> dict[str, Any]:
        """All that the trials of an arm have in common on a split and that decides what they give."""
        architecture = entry_named(self.study.architectures, arm.architecture)
        method = self._method_entry(arm)
        return {
            "data": self.facts[arm.dataset].identity(),
            "split_seed": split,
            "architecture": architecture.identity(),
            "method": [method.name, method.method, method.options],
            "training": self.study.training.model_copy(update={"optimizer": self.optimizer(arm)}).identity(),
            "resources": self.study.resources.identity(),
            "plugins": dict(self.plugin_digests if self.version == 1 else self.sources.get(arm.key, {})),
        }

    def _has_controls(self, arm: Arm) -> bool:
        """Whether the arm is one of a control and its origin."""
        return arm.origin is not None or any(other.origin == arm.key for other in self.arms.values())

    def _stream(self, arm: Arm) -> str:
        """What draws and seeds depend on: the arm, or in a paired study the cell alone; a control shares its
        origin's."""
        if arm.origin is not None:
            return self._stream(self.arms[arm.origin])
        return f"{arm.dataset}/{arm.architecture}" if self.study.paired else arm.key


def points_of(frozen: Mapping[tuple[str, int], Iterable[Trial]], arm: Arm) -> list[Mapping[str, Scalar]]:
    """Values of an arm's trials, in all its replicates; of repeats, which share theirs, the first alone."""
    return [
        trial.params
        for (key, _), trials in frozen.items()
        if key == arm.key
        for trial in trials
        if not trial.repeat
    ]
