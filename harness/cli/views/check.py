"""Prints what the conformance suite finds."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness import registry
from harness.nearest import nearest
from harness.study.parts import StudyError
from harness.testing.architectures import check_architecture
from harness.testing.datasets import check_dataset
from harness.testing.methods import check_method
from harness.testing.objectives import check_objective

_CHECKS = {
    "methods": check_method,
    "architectures": check_architecture,
    "datasets": check_dataset,
    "objectives": check_objective,
}


def show_check(part: str, console: Console) -> bool:
    """Check a part by its name, or all parts that a plug-in file defines; whether all rules are kept.

    Raises:
        StudyError: if there is no such part, or the file cannot be used.
    """
    wanted = _parts_of_file(Path(part)) if part.endswith(".py") else _parts_called(part)
    kept = True
    for kind, name in wanted:
        console.print(Text(f"{kind[:-1]} {name}", style="bold"))
        try:
            findings = _CHECKS[kind](name)
        except ValueError as error:
            raise StudyError(f"{name}: {error}") from error
        for finding in findings:
            console.print(Text(f"  {'kept  ' if finding.kept else 'BROKEN'}  {finding.rule}"))
            if not finding.kept:
                console.print(Text(f"          {finding.fault}"))
                kept = False
    return kept


def _parts_of_file(path: Path) -> list[tuple[str, str]]:
    try:
        registry.load_file(path)
    except ValueError as error:
        raise StudyError(str(error)) from error
    origin = {kind: registry.names(kind) for kind in _CHECKS}
    own = f"file {path.resolve()}"
    return [(kind, name) for kind, names in origin.items() for name in names if names[name] == own]


def _parts_called(name: str) -> list[tuple[str, str]]:
    wanted = [(kind, name) for kind in _CHECKS if name in registry.names(kind)]
    if not wanted:
        known = [known for kind in _CHECKS for known in registry.names(kind)]
        raise StudyError(
            f"there is no method, architecture, data set or objective {name!r}{nearest(name, known)}"
        )
    return wanted
