"""What a run's certificates say: how much edits changed what networks give out."""

from dataclasses import dataclass

from harness.records.directory import RunDirectory
from harness.records.record import NOTED

_Change = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest changes of an output over an arm's edits of networks, by mode; absolute.

    edits: certified ones. evaluation, training: None where no change was measured. not_finite: certified
    edits of networks that gave infinite or undefined numbers. bare: edits of trials run without `--certify`.
    """

    edits: int
    evaluation: float | None
    training: float | None
    not_finite: int
    bare: int


def largest_changes(directory: RunDirectory) -> dict[str, Largest]:
    """Arm -> what its certificates say; arms without edits are left out.

    Edits that would have emptied a layer are no edits: they were not carried out. What was noted is none.
    """
    found: dict[str, list[_Change | None]] = {}
    for record in directory.read_records(directory.read_plan())[0].values():
        for event in record.events:
            if "emptied" not in event.account and NOTED not in event.account:
                found.setdefault(record.arm, []).append(event.account.get("output_change"))
    return {arm: _largest(changes) for arm, changes in sorted(found.items())}


def _largest(changes: list[_Change | None]) -> Largest:
    certified = [change for change in changes if change is not None]
    return Largest(
        edits=len(certified),
        evaluation=max((change for change, _ in certified if change is not None), default=None),
        training=max((change for _, change in certified if change is not None), default=None),
        not_finite=sum(None in change for change in certified),
        bare=len(changes) - len(certified),
    )
