"""What a data set is to the rest of the house: facts that a plan needs, and tensors that training needs."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor


#: What the targets of a data set are: classes that exclude each other, or numbers.
Target = Literal["classes", "numbers"]


class DataError(ValueError):
    """A data set cannot be used; the message says which file or field, what was found and what is allowed."""


def data_root(given: Path | str | None) -> Path | None:
    """The folder of the data sets: the given one, else HARNESS_DATA's, else None for the cache's own.

    Raises:
        DataError: if the given one is no folder.
    """
    if given is not None and not Path(given).is_dir():
        raise DataError(f"--data: {given} is not a folder")
    named = given or os.environ.get("HARNESS_DATA") or None
    return None if named is None else Path(named).resolve()


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A data set as a study names it.

    name: how the study and its report call it. source: a known data set ("mnist"), or the format of files
    given by the user ("npz", "parquet"). path: file or folder, looked for beside the study file, then in the
    data folder, unless absolute; None for known data sets. settings: what else the study says of it, by the
    name of the field. beside: the study file's folder, or the folder that
    the study was made in; None where nothing is to be looked for beside it.
    """

    name: str
    source: str
    path: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    beside: Path | None = None


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What planning needs of a data set.

    outputs: classes, or numbers a target has. fingerprint: SHA-256 of the decoded examples and targets.
    target: what an example's target is made of. target_shape: () for one class or one number an example;
        (height, width) for a class a pixel.
    constant_scores: name of a score -> what a network that gives every example the same answer scores on the
        test part (see `constant_scores`). Told, never compared.
    """

    name: str
    example_shape: tuple[int, ...]
    outputs: int
    train_examples: int
    test_examples: int
    fingerprint: str
    target: Target = "classes"
    target_shape: tuple[int, ...] = ()
    constant_scores: Mapping[str, float] = field(default_factory=dict, compare=False)

    def identity(self) -> dict[str, Any]:
        """What trials' ids are made of, and plans are compared by: without what came later, at its default.

        The fingerprint says the same and more; a plan that was written before must be equal still.
        """
        facts = asdict(self)
        del facts["constant_scores"]
        if self.target == "classes":
            del facts["target"]
        if self.target_shape == ():
            del facts["target_shape"]
        return facts


class Examples(Protocol):
    """A tensor of examples, or what stands for one that fits nowhere: indexed alike, it gives tensors."""

    @property
    def shape(self) -> "torch.Size":
        """[examples, *example_shape]."""
        ...

    @property
    def device(self) -> "torch.device":
        """Where the tensors are that indexing gives."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: "slice | Tensor", /) -> "Tensor": ...


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """x: float32 [examples, *example_shape], normalised; `x[:]` for a tensor of them all.

    y: [examples, *target_shape], class indices as int64, or numbers as float32, in the source's own units.
    """

    x: Examples
    y: "Tensor"

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What the source's values became the parts' by: (x - mean) / std, one number a channel.

    The channel is the axis after the examples. In double precision, rounded to float32 at the end.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The three parts of a data set on one device. The validation part comes out of the training set.

    residence: what is kept where, for readers.
    """

    facts: DatasetFacts
    normalisation: Normalisation
    train: Part
    validation: Part
    test: Part
    residence: str = ""
