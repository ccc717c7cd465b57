"""What the user wrote: the schema of a study. `harness.study.file` reads it from a file."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    model_validator,
)

from harness.plugins.attributes import file_of, is_attribute
from harness.study.parts import Count, Label, Options, Part, Seed, Size, added, named
from harness.study.ranges import SpaceEntry, Start, Widths
from harness.study.training import Optimizer, Training


class Dataset(Part):
    """A data set: a known one by its name, or the user's own files."""

    name: Label
    source: str | None = Field(
        default=None, description="a known data set or a file format; the name unless said"
    )
    path: str | None = Field(
        default=None, description="file or folder, looked for beside the study file, then in the data folder"
    )
    kind: Literal["classes", "numbers"] | None = added(
        3, None, description="what targets are; unless said, fractional numbers are numbers"
    )
    target: str | list[str] | None = added(3, None, description="of tables: the target's column, or columns")
    features: list[str] | None = added(3, None, description="of tables: columns; all others unless said")
    columns: dict[Literal["image", "label"], str] | None = added(
        3, None, description="of parquet: their names"
    )
    channels: Literal["first", "last"] | None = added(3, None, description="of npz: which axis they are")
    resize: Annotated[list[Size], Field(min_length=2, max_length=2)] | None = added(
        3, None, description="of images: height and width that all are brought to"
    )
    test: str | None = added(
        3, None, description="the test part, where it is a file or attribute, or has another name"
    )
    test_fraction: float | None = added(3, None, gt=0, lt=1, description="drawn for the test part")
    test_seed: Seed = added(3, 0, description="of that draw")
    train_examples: int | None = added(
        3, None, ge=1, description="of the training part, drawn from every class alike; all unless said"
    )
    options: Options = added(3, {}, description="of a plug-in's, or what a module's attribute is called with")
    _study_folder: Path | None = PrivateAttr(default=None)

    @property
    def study_folder(self) -> Path | None:
        """Where the study file lies; None if the study lies in no file. Never part of what a study is."""
        return self._study_folder

    def settings(self) -> dict[str, Any]:
        """What is said beside name, source and path, by field, ready for JSON."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"name", "source", "path"})


class ArchitectureEntry(Part):
    """A family of networks and the bounds of its sized layers."""

    name: Label
    family: str | None = Field(
        default=None,
        description="a registered architecture, torchvision:NAME, timm:NAME, module:attribute or "
        "file.py:attribute; the name unless said",
    )
    options: Options = {}
    widths: Widths | None = added(
        3,
        None,
        description="searched sizes, for all layers, per layer, or as one multiplier of a network by name; "
        "none where no layer is sized",
    )
    start: Start | None = Field(
        default=None,
        description="units that shrinking methods start with; the upper bound of widths unless said",
    )
    epochs: Count | None = Field(default=None, description="instead of training.epochs")
    weights: str | None = added(
        3,
        None,
        description="safetensors that networks start with, beside the study file or in the data folder",
    )
    _study_folder: Path | None = PrivateAttr(default=None)
    _weights_file: Path | None = PrivateAttr(default=None)

    def beside(self, file: str) -> Path:
        """A file beside the study's; of a study that lies in none, in the working directory."""
        return (self._study_folder or Path()) / file

    @property
    def weights_file(self) -> Path | None:
        """Where the weights lie, once they were found; never part of what a study is."""
        return self._weights_file

    def lying_in(self, folder: Path) -> "ArchitectureEntry":
        """The same entry of a study whose file lies in this folder."""
        entry = self.model_copy()
        entry._study_folder = folder
        return entry

    def with_weights_at(self, file: Path) -> "ArchitectureEntry":
        """The same entry, knowing where its weights lie."""
        entry = self.model_copy()
        entry._weights_file = file
        return entry


class Sampler(Part):
    """An Optuna sampler by the name of its class, with its options."""

    name: str
    options: Options = {}
    round_size: Count | None = Field(
        default=None, description="adaptive samplers: trials asked for at once, before any is told"
    )
    replicates: Count = Field(default=1, description="whole searches, each with its own seed")


class Origin(Part):
    """Another arm, whose trials those of a method begin from; its architecture is always the same."""

    method: str
    dataset: str | None = Field(default=None, description="the arm's own unless said")

    @model_validator(mode="before")
    @classmethod
    def _same_architecture(cls, value: Any) -> Any:
        if isinstance(value, dict) and "architecture" in value:
            raise ValueError(
                "an origin has the architecture of the arm that begins from it; found architecture "
                f"{value['architecture']!r:.80}, allowed: method, dataset"
            )
        return value


def _method_label(value: str) -> str:
    if "/" in value:
        raise ValueError(
            f"an origin is a method of this study, on another data set with {{method: ..., dataset: ...}}, "
            f"and never of another architecture; found {value!r:.80}"
        )
    return value


Of = Annotated[
    Annotated[str, AfterValidator(_method_label), Tag("<method>")] | Annotated[Origin, Tag("<elsewhere>")],
    Discriminator(lambda v: "<elsewhere>" if isinstance(v, dict | Origin) else "<method>"),
]


class Pruner(Part):
    """An Optuna pruner by the name of its class, with its options."""

    name: str
    options: Options = {}


class Method(Part):
    """A sizing method: its options and its search space, where they differ from its own."""

    name: Label
    method: str | None = Field(default=None, description="a registered method; the name unless said")
    options: Options = {}
    space: dict[str, SpaceEntry] = {}
    sampler: Sampler | None = Field(default=None, description="instead of the study's")
    trials: Count | None = Field(default=None, description="instead of the study's")
    search: dict[str, SpaceEntry] = added(3, {}, description="beside its own space; goes before the study's")
    optimizer: Annotated[Optimizer, BeforeValidator(named, json_schema_input_type=str | Optimizer)] | None = (
        added(3, None, description="instead of training.optimizer; of a control, its origin's unless said")
    )
    of: Of | None = added(
        3, None, description="the method whose trials those of this one begin from, trial by trial"
    )
    replay_of: str | None = added(
        3, None, description="the method whose search is replayed under a pruner; nothing is trained"
    )
    pruner: Annotated[Pruner, BeforeValidator(named, json_schema_input_type=str | Pruner)] | None = added(
        3, None, description="of a replay, or of a search that learns, as it would have been"
    )

    @property
    def origin_method(self) -> str | None:
        """The method whose trials those of this one begin from."""
        return self.of.method if isinstance(self.of, Origin) else self.of


class Seeds(Part):
    """Roots of all randomness: `study` for draws and training, `split` for the validation split."""

    study: Seed = 0
    split: Seed = 0
    splits: Count = added(3, 1, description="validation splits, from `split` on, that trials are dealt over")
    repeats: Count = added(
        3, 1, description="how often each point is trained, with other seeds; described, never judged"
    )


class Resources(Part):
    """What one trial is given; fractions let trials share a device."""

    cpus: float = Field(default=1, gt=0)
    gpus: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _whole_above_one(self) -> "Resources":
        for name, amount in (("cpus", self.cpus), ("gpus", self.gpus)):
            if amount > 1 and amount != int(amount):
                raise ValueError(f"{name} {amount:g}: a fraction must be below 1, above 1 only whole numbers")
        if self.gpus > 1:
            raise ValueError(f"gpus {self.gpus:g}: a trial uses one GPU at most")
        return self


class Claim(Part):
    """The claim, fixed before running."""

    baseline: str = Field(description="the method the others are compared with")
    n: Count = Field(default=5, description="primary number of trials of a search")
    cost: Literal["trials", "train_flops", "train_seconds", "total_train_flops", "total_train_seconds"] = (
        Field(default="train_flops", description="`total_`: with the cost of the trials that one begins from")
    )
    margin: float = Field(default=0.0, ge=0, description="how much worse still counts as on par")
    failed_score: float | None = added(
        3,
        None,
        allow_inf_nan=False,
        description="what a failed trial counts as; what a constant answer scores unless said",
    )
    saving: float = added(
        3, 2.0, gt=1.0, allow_inf_nan=False, description="the plan and the report tell the chance to find it"
    )
    looks: tuple[int, ...] = added(
        3,
        (),
        description="trials of an arm at which verdicts are looked at, growing; else once, at the end",
    )
    pilot: str | None = added(
        3,
        None,
        description="a run or a trial table, beside the study file, with trials of the baseline to plan by",
    )

    @model_validator(mode="after")
    def _grow(self) -> "Claim":
        if any(later <= earlier for earlier, later in zip((0, *self.looks), self.looks, strict=False)):
            raise ValueError("looks: numbers of trials from 1 up that grow, such as [20, 50, 100]")
        return self


class Study(Part):
    """One comparison, asked for in one file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
    description: str = ""
    datasets: list[Annotated[Dataset, BeforeValidator(named, json_schema_input_type=str | Dataset)]] = Field(
        min_length=1
    )
    architectures: list[ArchitectureEntry] = Field(min_length=1)
    methods: list[Annotated[Method, BeforeValidator(named, json_schema_input_type=str | Method)]] = Field(
        min_length=1
    )
    sampler: Sampler = Sampler(name="RandomSampler")
    trials: Count = Field(description="of each arm (of each replicate)")
    training: Training
    seeds: Seeds = Seeds()
    resources: Resources = Resources()
    search: dict[str, SpaceEntry] = added(
        3, {}, description="of all arms: learning_rate, batch_size, architecture.OPTION"
    )
    controls: Literal["all"] | None = added(
        3, None, description="all: for each method the controls that it names, begun from its trials"
    )
    paired: bool = Field(default=False, description="arms of a cell share draws and seeds, trial by trial")
    claim: Claim
    plugins: list[str] = Field(
        default=[], description="Python files that define METHODS, ARCHITECTURES or DATASETS"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        for field in ("datasets", "architectures", "methods"):
            labels = [entry.name for entry in getattr(self, field)]
            twice = sorted({label for label in labels if labels.count(label) > 1})
            if twice:
                raise ValueError(f"{field}: {twice[0]!r} is named twice; give one of them another name")
        files = [Path(plugin).name for plugin in self.plugins]
        for file in files:
            if files.count(file) > 1:
                raise ValueError(f"plugins: two files are called {file!r}; give one of them another name")
        named = self.named_files()
        for file in named:
            if len({other for other in named if Path(other).name == Path(file).name}) > 1:
                raise ValueError(f"two files are called {Path(file).name!r}; give one of them another name")
        if self.claim.looks and self.claim.looks[-1] != self.trials:
            raise ValueError(
                f"claim.looks: the last look is at {self.claim.looks[-1]} trials an arm, of {self.trials}; "
                "the last is at all of them"
            )
        if self.training.precision == "tf32" and not self.resources.gpus:
            raise ValueError("training.precision: tf32 is a way that GPUs multiply; resources.gpus is 0")
        return self

    @property
    def trained_methods(self) -> list[Method]:
        """The methods that train trials of their own: all but replays."""
        return [method for method in self.methods if method.replay_of is None]

    def lying_in(self, folder: Path) -> "Study":
        """The same study, whose data and weights are looked for in this folder first."""
        datasets = []
        for dataset in self.datasets:
            datasets.append(dataset.model_copy())
            datasets[-1]._study_folder = folder
        architectures = [entry.lying_in(folder) for entry in self.architectures]
        return self.model_copy(update={"datasets": datasets, "architectures": architectures})

    def named_files(self) -> tuple[str, ...]:
        """Files, as written, of which a part is named as `file.py:attribute`; each once.

        They are plug-in files, whether or not `plugins` names them.
        """
        files = (file_of(part) for part in self._named())
        return tuple(dict.fromkeys(file for file in files if file is not None))

    def named_modules(self) -> tuple[str, ...]:
        """Parts named as `module:attribute`, whose modules Python imports; each once."""
        named = (part for part in self._named() if is_attribute(part) and file_of(part) is None)
        return tuple(dict.fromkeys(named))

    def _named(self) -> list[str]:
        """What names the parts that may be others' code."""
        parts = [entry.family or entry.name for entry in self.architectures]
        parts += [dataset.source or dataset.name for dataset in self.datasets]
        parts.append(self.training.task.name)
        return [*parts, *(str(entry.options.get("initialise", "")) for entry in self.architectures)]
