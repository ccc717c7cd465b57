"""Objections to looking again: each look at more trials is another chance to find what is not there."""

from collections.abc import Iterator

from harness.design import StudyDesign
from reports.results.results import Warn
from reports.scope import Scope


def looks(look: int, design: StudyDesign | None, scope: Scope) -> Iterator[Warn]:
    """Pages that were made before of other trials, beyond what the study declared."""
    declared = len(design.claim.looks) if design else 0
    if look <= max(declared, 1):
        return
    said = f"This is look {look} at these trials"
    if declared:
        said += f", and the study declared {declared}: verdicts are too sure."
    else:
        said += (
            ". Looked at as they come, arms that are alike are told apart in up to .20 of studies (six) "
            "instead of .05; a study that means to look declares it (claim.looks)."
        )
    yield Warn("looks", "serious" if scope.baseline else "note", said)
