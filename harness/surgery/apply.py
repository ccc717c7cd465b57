"""Carrying edits out: all of them, or none."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.optim import Optimizer

from harness.surgery.certificate import largest_change, outputs
from harness.surgery.changes.draft import Draft
from harness.surgery.edits import (
    Assign,
    InsertBlock,
    Mask,
    NetworkEdit,
    Receipt,
    Remove,
    RemoveBlock,
    Reset,
    Unmask,
    Widen,
)
from harness.surgery.operations.blocks import remove_block
from harness.surgery.operations.insertion import insert_block
from harness.surgery.operations.masks import assign, mask, unmask
from harness.surgery.operations.removal import (
    Removal,
    differing,
)
from harness.surgery.operations.resetting import reset
from harness.surgery.operations.widening import widen
from harness.surgery.proposal import Proposal
from harness.surgery.severed import severed
from harness.surgery.taking_out import take_out
from harness.surgery.tracing.example import Example
from harness.surgery.tracing.plain import check_plain, check_values


@torch.inference_mode(mode=False)  # parameters made in it could not be trained
@torch.no_grad()
def apply(
    network: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer] | None,
    edits: Sequence[NetworkEdit],
    example: Example,
    *,
    copies: Sequence[nn.Module] = (),
    certify: bool = False,
) -> Receipt:
    """Carry out edits, in their order, on parameters, buffers and optimizer state in one step.

    Parameters that change shape or value become new `nn.Parameter` objects, in the module and in the
    optimizer's groups and state: whoever holds old ones must ask the network again.

    Args:
        network: a plain module; its modes are left as they are.
        optimizer: that trains it, or all that do, or None. What one remembers of an entry of a parameter goes
            with it. One whose steps mix the entries of a parameter (Muon) mixes those that are left.
        edits: what to do; all of them speak of the network as it is now (`harness.surgery.edits`).
        example: a batch of the network's input, [batch, ...], on its device; several inputs in a tuple or a
            mapping (`harness.surgery.Example`). Two entries are plenty.
        copies: networks of the same structure that follow along, e.g. `AveragedModel.module`.
        certify: measure the largest change of the output on the example (two more forward passes each
            before and after).

    Returns:
        What was done. With `emptied` set, nothing was done.

    Raises:
        SurgeryError: for an edit that cannot be carried out; network, copies and optimizers are untouched.
    """
    for each in (network, *copies):
        check_plain(each)
        check_values(each)
    draft = Draft(network, optimizer, copies)
    before = outputs(network, example) if certify else None
    report = Report()
    try:
        proposal = Proposal(draft, edits, example)
        for series in _series(edits):
            _carry_out(draft, proposal, series, example, report)
            if report.emptied:
                break
        report.emptied = report.emptied or _lost(draft.network, example, report)
        if report.emptied:
            draft.rollback()
            return Receipt({}, {}, {}, {}, emptied=report.emptied)
        change = largest_change(before, outputs(network, example)) if before is not None else None
    except BaseException:
        draft.rollback()
        raise
    draft.commit()
    return report.receipt(change)


@dataclass(slots=True)
class Report:
    """A receipt in the making."""

    removed: dict[str, int] = field(default_factory=dict)
    added: dict[str, int] = field(default_factory=dict)
    masked: dict[str, int] = field(default_factory=dict)
    reset: dict[str, int] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)
    folded: dict[str, bool] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    emptied: tuple[str, ...] = ()
    assigned: dict[str, int] = field(default_factory=dict)
    unmasked: dict[str, int] = field(default_factory=dict)
    inserted: list[str] = field(default_factory=list)
    behind: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)

    def take(self, removal: Removal) -> None:
        """Note what a series of `Remove` came to."""
        self.refused.update(removal.refused)
        self.emptied = removal.emptied
        if self.emptied or not len(removal.roots):
            return
        for layer, count in removal.removed.items():
            _count(self.removed, layer, count)
        for layer, differs in differing(removal).items():
            self.folded[layer] = self.folded.get(layer, False) or differs

    def receipt(self, change: tuple[float, float] | None) -> Receipt:
        """The receipt for good."""
        return Receipt(
            self.removed,
            self.added,
            self.masked,
            self.reset,
            tuple(self.blocks),
            tuple(self.folded),
            tuple(layer for layer, differs in self.folded.items() if differs),
            self.refused or None,
            (),
            change,
            self.assigned,
            self.unmasked,
            tuple(self.inserted),
            self.dropped,
        )


def _series(edits: Sequence[NetworkEdit]) -> list[list[NetworkEdit]]:
    """Edits one by one, but removals that follow each other together: they share one look at the network."""
    series: list[list[NetworkEdit]] = []
    for edit in edits:
        if series and isinstance(edit, Remove) and isinstance(series[-1][0], Remove):
            series[-1].append(edit)
        else:
            series.append([edit])
    return series


def _carry_out(
    draft: Draft, proposal: Proposal, series: list[NetworkEdit], example: Example, report: Report
) -> None:
    match series[0]:
        case Remove():
            asked = [proposal.removal(edit) for edit in series if isinstance(edit, Remove)]
            there = [edit for edit in asked if edit is not None]
            if there:
                report.take(take_out(draft, proposal, there, example))
        case Widen() as edit:
            widened = proposal.widening(edit)
            if widened is not None:
                _count(report.added, edit.layer, widen(draft, proposal.structure(), widened))
                proposal.structure()
        case Reset() as edit:
            left, gone = proposal.reset(edit)
            _count(report.dropped, edit.layer, gone)
            if left is not None:
                _count(report.reset, edit.layer, reset(draft, proposal.structure(), left))
        case Mask() as edit:
            _count(report.masked, edit.parameter, mask(draft, edit))
        case Unmask() as edit:
            _count(report.unmasked, edit.parameter, unmask(draft, edit))
        case Assign() as edit:
            _count(report.assigned, edit.parameter, assign(draft, edit))
        case RemoveBlock() as edit:
            if remove_block(draft, edit.block, example):
                proposal.structure()
                report.blocks.append(edit.block)
        case InsertBlock() as edit:
            report.inserted.append(insert_block(draft, edit, example, report.behind))
            proposal.structure()


def _count(counts: dict[str, int], name: str, more: int) -> None:
    if more:
        counts[name] = counts.get(name, 0) + more


def _lost(network: nn.Module, example: Example, report: Report) -> tuple[str, ...]:
    """What the network has lost with which it has lost everything, though every layer has units."""
    if report.blocks and next(network.parameters(), None) is None:
        return tuple(report.blocks)
    return severed(network, example, report.masked) if report.masked else ()
