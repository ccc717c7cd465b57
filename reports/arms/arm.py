"""One method's trials on one cell: what every formula, table, figure and warning takes its numbers from."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.trial_table import FAILURES, OUTCOMES, SEARCHED
from reports.size_axes import PARAMETERS
from reports.statistics.arrays import Floats, Integers


class DependentTrialsError(ValueError):
    """A formula for independent trials was asked for trials that are not independent."""


@dataclass(frozen=True, eq=False)
class Arm:
    """The trials of one method on one cell. All arrays have one entry a trial, N in all.

    status: outcome of each trial, one of `harness.trial_table.OUTCOMES`.
    validation: larger is better; minus infinity for a trial that cannot be chosen: one that failed, or that
        was stopped before its test score was known.
    test: larger is better; the score of a failed trial for one that cannot be chosen.
    costs: unit -> cost of each trial ("trials" is always there, 1 each).
    withheld: unit of cost or axis of sizes -> why it is not told of the arm, though it was recorded.
    sizes: axis (`reports.size_axes`) -> of each trial; axes without values are not there.
    search: number of the whole search a trial belongs to (adaptive and pruned arms), else None.
    pair: label shared with the other arm's trial, else None.
    position: order of drawing, else None.
    facts: the trials' rows of the table, for warnings and figures.
    """

    dataset: str
    architecture: str
    method: str
    sampling: str
    sampler: str
    validation: Floats
    test: Floats
    status: npt.NDArray[np.str_]
    failed_score: float
    costs: Mapping[str, Floats]
    filled: Mapping[str, int]
    withheld: Mapping[str, str]
    sizes: Mapping[str, Floats]
    search: Integers | None
    pair: npt.NDArray[np.str_] | None
    position: Floats | None
    parameters: Mapping[str, Floats]
    lost: int
    facts: pd.DataFrame

    @property
    def name(self) -> tuple[str, str, str]:
        """Data set, architecture, method."""
        return self.dataset, self.architecture, self.method

    @property
    def size(self) -> Floats | None:
        """Parameters of each trial's network, None where unknown."""
        return self.sizes.get(PARAMETERS)

    @property
    def trials(self) -> int:
        """N: outcomes of any status."""
        return int(self.test.size)

    @cached_property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Trials that failed. A trial that was stopped did not."""
        return np.isin(self.status, FAILURES)

    @cached_property
    def scored(self) -> npt.NDArray[np.bool_]:
        """Trials with both scores: those that can be chosen, and that descriptions of scores are over."""
        return np.isfinite(self.validation)

    @cached_property
    def outcomes(self) -> Mapping[str, int]:
        """Number of trials of every status, in the order of `OUTCOMES`, zeros kept."""
        return {status: int((self.status == status).sum()) for status in OUTCOMES}

    @property
    def is_independent(self) -> bool:
        """Its trials are independent draws from one space."""
        return self.sampling == "iid"

    @property
    def is_search(self) -> bool:
        """Its trials depend on each other, so that only whole searches can be compared."""
        return self.sampling in SEARCHED

    @property
    def searches(self) -> int:
        """Number of replicated whole searches of an adaptive or pruned arm, 0 for others."""
        return 0 if self.search is None else int(np.unique(self.search).size)

    def taken(self, which: Integers | npt.NDArray[np.bool_]) -> "Arm":
        """The arm with some of its trials, or with its trials in another order."""
        return replace(
            self,
            validation=self.validation[which],
            test=self.test[which],
            status=self.status[which],
            costs={unit: cost[which] for unit, cost in self.costs.items()},
            sizes={axis: values[which] for axis, values in self.sizes.items()},
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
        if not self.is_independent:
            raise DependentTrialsError(
                f"{self.dataset}/{self.architecture}/{self.method}: trials are {self.sampling}, "
                "not independent draws from one space"
            )


def arms_by_cell(arms: Sequence[Arm]) -> dict[tuple[str, str], list[Arm]]:
    cells: dict[tuple[str, str], list[Arm]] = {}
    for arm in arms:
        cells.setdefault((arm.dataset, arm.architecture), []).append(arm)
    return cells
