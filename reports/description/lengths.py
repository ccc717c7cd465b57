"""How long the trials of an arm really train, where the arms of a cell differ in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reports.arms.arm import Arm
from reports.wording import amount, count

_FLOPS = "train_flops"


@dataclass(frozen=True, slots=True)
class Length:
    """What a trial of an arm takes, medians; None where not recorded.

    epochs: trained, or asked of the method where no trial says how many it ran. flops: of training.
    """

    method: str
    epochs: float | None
    flops: float | None


def length(arm: Arm) -> Length:
    """Over the trials that finished; those that failed or were stopped end earlier for other reasons."""
    epochs = _median(arm, "epochs_run")
    return Length(
        arm.method, _median(arm, "epochs_planned") if epochs is None else epochs, _median(arm, _FLOPS)
    )


def unequal(arms: Sequence[Arm], baseline: str | None, methods: Sequence[str]) -> Iterator[str]:
    """A sentence for each cell in which methods and baseline do not train for equally many epochs."""
    cells: dict[tuple[str, str], list[Length]] = {}
    for arm in sorted(arms, key=lambda arm: arm.method != baseline):
        if arm.method == baseline or arm.method in methods:
            cells.setdefault((arm.dataset, arm.architecture), []).append(length(arm))
    for (dataset, architecture), lengths in cells.items():
        if len({each.epochs for each in lengths if each.epochs is not None}) > 1:
            told = ", ".join(_told(each) for each in lengths if each.epochs is not None)
            yield f"On {dataset} / {architecture} trials are not equally long: {told}."


def _told(each: Length) -> str:
    flops = "" if each.flops is None else f" ({amount(each.flops, _FLOPS)})"
    return f"{each.method} {count(each.epochs)} epochs{flops}"


def _median(arm: Arm, column: str) -> float | None:
    if column not in arm.facts:
        return None
    values = arm.facts[column].to_numpy(dtype=float, na_value=np.nan)[arm.status == "ok"]
    kept = values[np.isfinite(values)]
    return float(np.median(kept)) if kept.size else None
