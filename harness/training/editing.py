"""Asking a method for edits, and carrying them out."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from harness import surgery
from harness.datasets.base import Part
from harness.objectives.base import Objective
from harness.records.record import NOTED, Event
from harness.sizing.base import Cell, Moment, Params, Situation, SizingMethod, State
from harness.sizing.ledger.metering import Meter
from harness.sizing.probe import Probe
from harness.surgery.edits import NetworkEdit, NextPhase, Note, Receipt, Stop
from harness.training.fault import TrialFaultError, refusals, strangers
from harness.training.journal import Journal, TrialEndedError
from harness.training.proposals import checked_edits

#: On so many a certificate compares outputs.
_CERTIFIED_EXAMPLES = 64


@dataclass(frozen=True, slots=True)
class Edited:
    """What came of asking. ended: NextPhase or Stop, if that was proposed. changed: the network was."""

    ended: type[NextPhase] | type[Stop] | None = None
    changed: bool = False


@contextmanager
def in_evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Every module as it was afterwards: parts that a network keeps in evaluation mode stay so."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@dataclass(slots=True)
class Editor:
    """A method in its training: with its state, its random numbers and what it may look at."""

    method: SizingMethod
    params: Params
    cell: Cell
    part: Part
    objective: Objective
    batch_size: int
    generator: torch.Generator
    certify: bool
    network: nn.Module
    state: State
    journal: Journal

    def edit(
        self,
        moment: Moment,
        optimizer: torch.optim.Optimizer,
        example: Tensor,
        still_finite: Callable[[], None],
    ) -> Edited:
        """Ask for edits and apply them, all or none.

        Args:
            example: a batch of one, which surgery follows through the network.
            still_finite: ends the trial if the training has diverged. Asked before anything is changed, and
                before a method is blamed for what it made of such a network; so that a method which changes
                nothing costs no look at the device.

        Raises:
            TrialEndedError: if a layer lost its last unit.
            TrialFaultError: for what the method raises, and for what surgery refuses.
        """
        if getattr(type(self.method), "edits", None) is SizingMethod.edits:
            return Edited()  # as it is inherited, it proposes nothing
        try:
            edits, ended = self._ask(moment)
        except TrialFaultError:
            still_finite()
            raise
        if not edits:
            return Edited(ended)
        still_finite()
        if self.certify:
            example = self.part.x[:_CERTIFIED_EXAMPLES]
        with refusals:
            receipt = surgery.apply(self.network, optimizer, edits, example, certify=self.certify)
        account = _account(receipt)
        if account.keys() <= {"output_change"}:
            return Edited(ended)
        self.journal.events.append(Event(moment.epoch, moment.step, account))
        if receipt.emptied:
            dead = ", ".join(receipt.emptied)
            raise TrialEndedError("collapsed", f"{dead} lost its last unit in epoch {moment.epoch}")
        return Edited(ended, changed=True)

    def _ask(self, moment: Moment) -> tuple[list[NetworkEdit], type[NextPhase] | type[Stop] | None]:
        now = Situation(
            moment,
            self.network,
            self.state,
            self.params,
            self.cell,
            Probe(self.part, self.batch_size, self.objective),
            self.generator,
            tuple(self.journal.epochs),
        )
        meter = Meter()
        try:
            with strangers, in_evaluation_mode(self.network), meter:
                self.state, proposed = self.method.edits(now)
                edits = checked_edits(proposed)
        finally:
            self.journal.train_flops += meter.flops
        ended: type[NextPhase] | type[Stop] | None = None
        on_network: list[NetworkEdit] = []
        noted: dict[str, dict[str, float | None]] = {}
        for edit in edits:
            if isinstance(edit, Note):
                own = {name: float(number) for name, number in edit.numbers.items()}
                noted[edit.about] = {name: own[name] if math.isfinite(own[name]) else None for name in own}
            elif isinstance(edit, NextPhase | Stop):
                ended = type(edit)
                self.journal.stop_reason = edit.reason if isinstance(edit, Stop) else ""
            else:
                on_network.append(edit)
        if noted:
            self.journal.events.append(Event(moment.epoch, moment.step, {NOTED: noted}))
        return on_network, ended


def _account(receipt: Receipt) -> dict[str, object]:
    """What a receipt says, without what it says nothing of."""
    account: dict[str, object] = {what: found for what, found in asdict(receipt).items() if found}
    if receipt.output_change is not None:
        # A network on its way to divergence gives numbers that no record can hold.
        changes = receipt.output_change
        account["output_change"] = [change if math.isfinite(change) else None for change in changes]
    return account
