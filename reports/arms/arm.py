"""One method's trials on one cell: what every formula, table, figure and warning takes its numbers from."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.statistics.arrays import Floats, Integers


class DependentTrialsError(ValueError):
    """A formula for independent trials was asked for trials that are not independent."""


@dataclass(frozen=True, eq=False)
class Arm:
    """The trials of one method on one cell. All arrays have one entry a trial, N in all.

    validation: larger is better; minus infinity for a failed trial.
    test: larger is better; the score of a failed trial for a failed one.
    costs: unit -> cost of each trial ("trials" is always there, 1 each).
    search: number of the whole search a trial belongs to (adaptive arms), else None.
    pair: label shared with the other arm's trial, else None.
    position: order of drawing, else None.
    facts: further columns of the table, for warnings only.
    """

    dataset: str
    architecture: str
    method: str
    sampling: str
    sampler: str
    validation: Floats
    test: Floats
    failed: npt.NDArray[np.bool_]
    failed_score: float
    costs: Mapping[str, Floats]
    filled: Mapping[str, int]
    withheld: Mapping[str, str]
    size: Floats | None
    search: Integers | None
    pair: npt.NDArray[np.str_] | None
    position: Floats | None
    parameters: Mapping[str, Floats]
    failed_by_status: Mapping[str, int]
    lost: int
    facts: pd.DataFrame

    @property
    def trials(self) -> int:
        """N: finished and failed trials."""
        return int(self.test.size)

    @property
    def searches(self) -> int:
        """Number of replicated whole searches of an adaptive arm, 0 for others."""
        return 0 if self.search is None else int(np.unique(self.search).size)

    def taken(self, which: Integers | npt.NDArray[np.bool_]) -> "Arm":
        """The arm with some of its trials, or with its trials in another order."""
        return replace(
            self,
            validation=self.validation[which],
            test=self.test[which],
            failed=self.failed[which],
            costs={unit: cost[which] for unit, cost in self.costs.items()},
            size=None if self.size is None else self.size[which],
            search=None if self.search is None else self.search[which],
            pair=None if self.pair is None else self.pair[which],
            position=None if self.position is None else self.position[which],
            parameters={name: values[which] for name, values in self.parameters.items()},
            facts=self.facts.iloc[np.arange(self.trials)[which]],
        )

    def generator(self, seed: int, purpose: str) -> np.random.Generator:
        """A generator of its own for this arm and purpose: results do not depend on what else is analysed."""
        label = "\x1f".join((self.dataset, self.architecture, self.method, purpose))
        return np.random.default_rng([seed, zlib.crc32(label.encode())])

    def require_independent(self) -> None:
        """Guards formulas for independent trials.

        Raises:
            DependentTrialsError: the arm's trials depend on each other or are a design.
        """
        if self.sampling != "iid":
            raise DependentTrialsError(
                f"{self.dataset}/{self.architecture}/{self.method}: trials are {self.sampling}, "
                "not independent draws from one space"
            )


def arms_by_cell(arms: Sequence[Arm]) -> dict[tuple[str, str], list[Arm]]:
    cells: dict[tuple[str, str], list[Arm]] = {}
    for arm in arms:
        cells.setdefault((arm.dataset, arm.architecture), []).append(arm)
    return cells
