"""What a run's certificates say: how much edits changed what networks give out."""

from dataclasses import dataclass

from rich.console import Console

from harness.run_directory import RunDirectory


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest changes of an output over the certified edits of an arm, by mode; absolute.

    bare: edits that have no certificate, because their trials ran without `--certify`.
    """

    edits: int
    evaluation: float
    training: float
    bare: int


def largest_changes(directory: RunDirectory) -> dict[str, Largest]:
    """Arm -> what its certificates say; arms without edits are left out."""
    found: dict[str, list[tuple[float, float] | None]] = {}
    for record in directory.store.read_all()[0].values():
        for event in record.events:
            found.setdefault(record.arm, []).append(event.account.get("output_change"))
    return {arm: _largest(changes) for arm, changes in sorted(found.items())}


def _largest(changes: list[tuple[float, float] | None]) -> Largest:
    certified = [change for change in changes if change is not None]
    return Largest(
        edits=len(certified),
        evaluation=max((evaluation for evaluation, _ in certified), default=0.0),
        training=max((training for _, training in certified), default=0.0),
        bare=len(changes) - len(certified),
    )


def show_certificates(directory: RunDirectory, console: Console) -> None:
    """One line an arm."""
    for arm, largest in largest_changes(directory).items():
        bare = f"; {largest.bare} more without a certificate" if largest.bare else ""
        console.print(
            f"{arm}: {largest.edits} certified edits, largest change of an output {largest.evaluation:.1e} "
            f"(evaluation), {largest.training:.1e} (training){bare}",
            markup=False,
            soft_wrap=True,
        )
