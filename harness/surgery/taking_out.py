"""Taking units out of a network: tried first, and compared with what it gave before."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from harness.surgery.blame import to_blame
from harness.surgery.changes.draft import Draft
from harness.surgery.edits import Remove
from harness.surgery.errors import SurgeryError
from harness.surgery.fitting import contested, fit, fit_to
from harness.surgery.operations.comparison import Expected, check_as_expected, expected
from harness.surgery.operations.removal import Removal, cut, meets_reshapes, plan_removal
from harness.surgery.proposal import Proposal
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.tracer import Tracer
from harness.surgery.tracing.units import unit_labels
from harness.surgery.trial import trial


def take_out(draft: Draft, proposal: Proposal, edits: Sequence[Remove], example: Example) -> Removal:
    """Carry out a series of `Remove`, by the indices that units have now.

    Returns:
        What it came to; nothing was done where it takes out no class, or empties a layer.

    Raises:
        SurgeryError: for what would change the network's function although nothing should be missed.
    """
    tracer = proposal.followed()
    removal = plan_removal(tracer, draft.network, edits)
    heads, tried = contested(tracer), False
    if heads:
        if removal.refused or removal.emptied or not len(removal.roots):
            tracer = proposal.values()
        else:
            stuck = _stuck(tracer, draft.network, example, removal, heads)
            tried, tracer = stuck is None, proposal.settled(stuck or [])
        if not tried:
            removal = plan_removal(tracer, draft.network, edits)
    if removal.emptied or not len(removal.roots):
        return removal
    known = expected(tracer, removal, draft.network, example)
    if meets_reshapes(tracer, removal):
        # A branch that counts for nothing as yet shows nothing in the outputs: it must stand a trial too.
        if not tried and not _stands(tracer, draft.network, example, removal):
            raise _paired_otherwise(removal)
        cut(draft, tracer, removal)
        try:
            check_as_expected(known, removal, draft.network, example)
        except SurgeryError as error:
            raise _paired_otherwise(removal) from error
        return removal
    obstacle = _obstacle(tracer, removal, draft.network, known, example)
    if obstacle is not None:
        # Numbers that its code holds may have to follow.
        before = len(tracer.fits)
        fit_to(tracer, draft.network, example, _one_of_each(tracer, draft.network, removal).values())
        fitted = len(tracer.fits) > before
        obstacle = _obstacle(tracer, removal, draft.network, known, example) if fitted else obstacle
    if obstacle is not None:
        raise obstacle
    cut(draft, tracer, removal)
    return removal


def _stuck(
    tracer: Tracer, network: nn.Module, example: Example, removal: Removal, heads: list[int]
) -> list[int] | None:
    """None if a removal can go, and with it some of all heads that there are; else those that cannot."""
    every = np.union1d(removal.roots, heads)
    with trial(tracer, network, example, every) as state:
        if state.fails(every) is None:
            return None
        failed = fit(tracer, network, heads, state) if state.fails(np.unique(heads)) is not None else []
        return failed if failed or state.fails(every) is not None else None


def _stands(tracer: Tracer, network: nn.Module, example: Example, removal: Removal) -> bool:
    """Whether what is reshaped can go, perhaps with numbers of the code that follow."""
    with trial(tracer, network, example, removal.roots) as state:
        if state.fails(removal.roots) is None:
            return True
        before = len(tracer.fits)
        going = _one_of_each(tracer, network, removal)
        fit(tracer, network, dict.fromkeys(going[layer] for layer in to_blame(going, state)), state)
        return len(tracer.fits) > before and state.fails(removal.roots) is None


def _paired_otherwise(removal: Removal) -> SurgeryError:
    layers = ", ".join(repr(layer) for layer in removal.removed)
    return SurgeryError(
        f"Removing units of {layers} makes the network pair other units than before; it was written for "
        "fixed sizes and only whole layers of it can be changed."
    )


def _obstacle(
    tracer: Tracer, removal: Removal, network: nn.Module, known: Expected, example: Example
) -> SurgeryError | None:
    """What a removal would change that it must not; tried, and taken back."""
    tried = Draft(network, None)
    try:
        cut(tried, tracer, removal)
        check_as_expected(known, removal, network, example)
    except SurgeryError as error:
        return error
    finally:
        tried.rollback()
    return None


def _one_of_each(tracer: Tracer, network: nn.Module, removal: Removal) -> dict[str, int]:
    """Of each layer that loses some of its classes, one that goes."""
    found = {}
    for layer in removal.removed:
        own = tracer.coupling.roots(unit_labels(tracer, network, layer))
        found[layer] = int(own[np.isin(own, removal.roots)][0])
    return found
