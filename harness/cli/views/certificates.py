"""Shows what a run's certificates say."""

from rich.console import Console

from harness.records.directory import RunDirectory
from harness.results.certificates import largest_changes


def show_certificates(directory: RunDirectory, console: Console) -> None:
    """One line an arm."""
    for arm, largest in largest_changes(directory).items():
        said = [f"{largest.edits} certified edits"]
        if largest.evaluation is not None and largest.training is not None:
            said.append(
                f"largest change of an output {largest.evaluation:.1e} (evaluation), "
                f"{largest.training:.1e} (training)"
            )
        if largest.not_finite:
            said.append(f"{largest.not_finite} of networks whose output was not finite")
        if largest.bare:
            said.append(f"{largest.bare} more without a certificate")
        console.print(f"{arm}: {'; '.join(said)}", markup=False, soft_wrap=True)
